"""The engines, by the name of the model that chooses them.

    needs_of(settings)       ──▶ the memory that the model will take, before anything is loaded
    prepare_engine(settings) ──▶ what each forked backend calls to get its engine
    import_libraries()       imports what loading takes long to import, for forks to share

One more engine is a module with a class that is an `Engine` and a function `prepare`, which does
the work that forks can share, and a line in `ENGINES`; if it takes much memory, another in `NEEDS`.
Any other MODEL is one of transformers'.
"""

import contextlib
from collections.abc import Callable

from rowcast.engine import scripted_engine
from rowcast.engine.engine import Engine
from rowcast.engine.loading.needs import Needs, needs_of_model
from rowcast.errors import UnknownModel
from rowcast.settings import SCRIPTED, Settings

MakeEngine = Callable[[], Engine]

ENGINES: dict[str, Callable[[Settings], MakeEngine]] = {SCRIPTED: scripted_engine.prepare}
NEEDS: dict[str, Callable[[Settings], Needs]] = {}


def needs_of(settings: Settings) -> Needs:
    """Return the memory that the configured model takes once it is loaded."""
    name = settings.served_model
    if name in ENGINES and name not in NEEDS:
        return Needs(0, "no weights")
    return NEEDS.get(name, needs_of_model)(settings)


def needs_libraries(settings: Settings) -> bool:
    """True if the configured model is one of transformers', whose libraries take long to import."""
    return settings.served_model not in ENGINES


def import_libraries() -> None:
    """Import what loading transformers' models imports, if it is installed."""
    with contextlib.suppress(ModuleNotFoundError):  # preparing an engine reports that
        import rowcast.engine.loading.engine_factory  # noqa: F401, PLC0415


def prepare_engine(settings: Settings) -> MakeEngine:
    """Return the maker of the configured model's engine, after all work that forks can share."""
    return ENGINES.get(settings.served_model, _prepare_transformers)(settings)


def _prepare_transformers(settings: Settings) -> MakeEngine:
    # Imported here: the other engines must not need torch.
    try:
        from rowcast.engine.loading.engine_factory import prepare  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        needs = f"MODEL is {settings.served_model!r}, which needs {missing.name}"
        raise UnknownModel(f"{needs}; install it, or set MOCK_MODEL=1") from missing
    return prepare(settings)
