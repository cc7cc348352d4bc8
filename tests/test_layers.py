"""The layer table: which module may import which, checked by reading every import in the tree.

Two more promises need a fresh interpreter: importing the server, or the launcher with the scripted
engine, loads neither torch nor transformers.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "inference-api"
ENTRIES = ("inference_api_server", "_mock_inference_api_server", "decode_backend")
OURS = ("rowcast", *ENTRIES)
TEST_ENTRIES = ("test_decoding", "test_inference_api", "test_decode_backend_v1")  # run tests/

VOCABULARY = tuple(
    f"rowcast.{name}"
    for name in (
        "settings",
        "errors",
        "parameter",
        "sampling_params",
        "grammar_limits",
        "wire",
        "tree",
        "scripted_vocabulary",
        "log",
        "parent_death",
        "transport.socket_folder",
        "models.local_env",
    )
)
FILES = ("rowcast.model_files",)
HTTP = ("rowcast_http",)  # the proxy uses it, too
GPU = ("rowcast.engine.kernels.gpu",)  # behind one module: nothing else imports Triton
GPU_ENTRY = ("rowcast.engine.kernels.gpu.__init__", "rowcast.engine.kernels.gpu.available")
KERNELS = ("rowcast.engine.kernels",)
DECODING = ("rowcast.engine.decoding",)
ENGINES = tuple(
    f"rowcast.engine.{name}"
    for name in ("grammar_check", "pooling", "scripted_engine", "scripted_states", "torch_engine")
)
LOADING = ("rowcast.engine.loading", "rowcast.engine.one_layer")
SETTINGS = ("rowcast_settings",)  # the proxy uses it, too
METRICS = ("rowcast_metrics",)  # and this
TELEMETRY = ("rowcast_telemetry",)  # the proxy uses it, too


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer's modules, and what they may import besides the standard library and themselves."""

    name: str
    modules: tuple[str, ...]
    ours: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


LAYERS = (
    Layer(
        "package", ("rowcast.__init__",), ("rowcast.errors", "rowcast.serving", "rowcast.offline")
    ),
    Layer("entries to tests", TEST_ENTRIES),
    Layer(
        "objects of other systems",  # in no other layer's list: nothing of ours knows them
        ("rowcast.compatible",),
        ("rowcast.errors", "rowcast.settings", "rowcast.serving", *FILES),
        ("numpy",),
    ),
    Layer("settings", SETTINGS),
    Layer("metrics", METRICS),
    Layer("telemetry", TELEMETRY, SETTINGS, ("gunicorn",)),
    Layer("vocabulary", VOCABULARY, (*SETTINGS, *TELEMETRY), ("msgspec",)),
    Layer("model files", FILES, VOCABULARY, ("huggingface_hub",)),
    Layer(
        "models",
        ("rowcast.models",),
        (*VOCABULARY, *SETTINGS, *FILES, "rowcast.transport"),
        ("msgspec",),
    ),
    Layer("HTTP server", HTTP, others=("gunicorn", "gevent")),
    Layer("transport", ("rowcast.transport",), VOCABULARY, ("msgspec", "redis")),
    Layer("journal", ("rowcast.journal",), VOCABULARY),
    Layer(
        "text",
        ("rowcast.text",),
        (*VOCABULARY, *FILES),
        ("tokenizers", "jinja2", "llguidance", "msgspec"),
    ),
    Layer(
        "offload",
        ("rowcast.offload",),
        (*VOCABULARY, "rowcast.text", "rowcast.sampling.grammars.grammars"),
        ("llguidance", "msgspec"),
    ),
    Layer(
        "sampling",
        ("rowcast.sampling",),
        (*VOCABULARY, "rowcast.text.chat.call_beginning"),
        ("torch", "llguidance"),
    ),
    Layer(
        "engine protocol",
        ("rowcast.engine.__init__", "rowcast.engine.engine"),
        VOCABULARY,
        ("msgspec",),
    ),
    # The engine's rooms are a ladder: each imports only those above it in this list.
    Layer(
        "entry to the GPU kernels",
        GPU_ENTRY,
        (*GPU, *VOCABULARY, "rowcast.sampling.token_sampler"),
        ("torch", "triton"),
    ),
    Layer("GPU kernels", GPU, (*VOCABULARY, "rowcast.sampling"), ("torch", "triton")),
    Layer("kernels", KERNELS, (*VOCABULARY, "rowcast.sampling"), ("torch", "transformers")),
    Layer("decoding", DECODING, (*VOCABULARY, *KERNELS), ("torch", "transformers")),
    Layer(
        "engines",
        ENGINES,
        (*VOCABULARY, *KERNELS, *DECODING, "rowcast.engine.engine", "rowcast.sampling"),
        ("torch", "msgspec"),
    ),
    Layer(
        "loading",
        LOADING,
        (
            *(*VOCABULARY, *FILES, *KERNELS, *DECODING, *ENGINES),
            *("rowcast.engine.engine", "rowcast.sampling"),
        ),
        ("torch", "transformers", "msgspec"),
    ),
    Layer(
        "measuring",
        ("rowcast.engine.measuring",),
        (
            *(*VOCABULARY, *FILES, *KERNELS, *DECODING, *ENGINES, *LOADING),
            "rowcast.engine.engine",
        ),
        ("torch", "transformers"),
    ),
    Layer(
        "backend",
        ("rowcast.backend",),
        (*VOCABULARY, "rowcast.transport", "rowcast.engine.engine"),
    ),
    Layer(
        "frontend",
        ("rowcast.frontend",),
        (
            *VOCABULARY,
            *FILES,
            *HTTP,
            *METRICS,
            *TELEMETRY,
            "rowcast.__version__",
            "rowcast.models",
            "rowcast.transport",
            "rowcast.text",
            "rowcast.offload",
            "rowcast.journal",
        ),
        ("flask", "werkzeug", "gunicorn", "gevent", "msgspec"),
    ),
)
COMPOSERS = (  # may import everything
    "rowcast.launch",
    "rowcast.engines",
    "rowcast.offline",
    "rowcast.serving",
    "rowcast.console",
    *ENTRIES,
)


def modules(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield name and source of each module below a source root."""
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        yield ".".join(parts), path.read_text()


def imported(module: str, source: str) -> Iterator[str]:
    """Yield everything that a module imports, anywhere in it, by absolute name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")[: -node.level] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def within(name: str, places: tuple[str, ...]) -> bool:
    """True if `name` is one of `places`, or inside one."""
    return any(name == place or name.startswith(f"{place}.") for place in places)


def layer_of(module: str) -> Layer | None:
    return next((layer for layer in LAYERS if within(module, layer.modules)), None)


def trespasses(layer: Layer, module: str, source: str) -> list[str]:
    """Return the imports of a module that its layer does not allow."""
    allowed = (*layer.modules, *layer.ours, *layer.others, *sys.stdlib_module_names)
    return [name for name in imported(module, source) if not within(name, allowed)]


@pytest.mark.parametrize(
    ("module", "source"), [pytest.param(*each, id=each[0]) for each in modules(SOURCE)]
)
def test_a_module_imports_only_what_its_layer_may(module: str, source: str) -> None:
    layer = layer_of(module)
    if layer is None:
        assert within(module, COMPOSERS), f"{module} belongs to no layer: add it to the table"
    else:
        assert trespasses(layer, module, source) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "unknown"),
    [
        ("proxy", OURS),
        ("scripts", (*OURS, *HTTP, *SETTINGS, *METRICS, *TELEMETRY, "rowcast_proxy")),
    ],
)
def test_the_proxy_and_the_scripts_know_nothing_of_the_server(
    folder: str, unknown: tuple[str, ...]
) -> None:
    for module, source in modules(ROOT / folder):
        assert [name for name in imported(module, source) if within(name, unknown)] == [], module


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("rowcast.frontend.new", "import torch"),
        ("rowcast.frontend.new", "from rowcast.backend.rows import Rows"),
        ("rowcast.frontend.api.new", "from ...engine import engine"),
        ("rowcast.backend.new", "from rowcast.engine import torch_engine"),
        ("rowcast.backend.new", "def late() -> None:\n    import rowcast.engine.scripted_engine"),
        ("rowcast.engine.kernels.new", "from rowcast.engine.decoding import row_cache"),
        ("rowcast.engine.kernels.new", "import triton"),
        ("rowcast.engine.kernels.gpu.new", "from rowcast.engine.kernels.linear import pack"),
        ("rowcast.engine.decoding.new", "from rowcast.engine.loading.loader import load"),
        ("rowcast.engine.torch_engine", "from rowcast.engine.measuring.price import median"),
        ("rowcast.engine.loading.new", "from rowcast.engine.measuring.price import median"),
        ("rowcast.wire", "from rowcast.transport.ports import Gone"),
        ("rowcast.text.new", "import flask"),
        ("rowcast.frontend.new", "from rowcast.compatible.easydel import vInference"),
        ("rowcast_http.new", "from rowcast.errors import Overloaded"),
        ("rowcast_http.new", "from rowcast_proxy.errors import Refusal"),
        ("rowcast_settings.new", "from rowcast.settings import Settings"),
        ("rowcast_settings.new", "import msgspec"),
        ("rowcast_telemetry.new", "from rowcast.wire import Submit"),
    ],
)
def test_the_table_sees_a_trespass(module: str, source: str) -> None:
    layer = layer_of(module)
    assert layer is not None
    assert trespasses(layer, module, source)


@pytest.mark.slow
def test_one_module_knows_the_web_framework() -> None:
    package = SOURCE / "rowcast"
    knows = {
        module
        for module, source in modules(package)
        if any(within(name, ("flask",)) for name in imported(f"rowcast.{module}", source))
    }
    assert knows == {"frontend.app"}


@pytest.mark.slow
@pytest.mark.parametrize("module", ["inference_api_server", "rowcast.launch.__main__"])
def test_importing_it_loads_no_torch(module: str) -> None:
    code = f"import sys, {module}; print({{'torch', 'transformers'}} & set(sys.modules))"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert shown.stdout == "set()\n"


@pytest.mark.slow
def test_preparing_a_packed_model_loads_no_transformers() -> None:
    code = "import sys, rowcast.engine.loading.engine_factory; print('transformers' in sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert shown.stdout == "False\n"


def test_importing_the_package_imports_none_of_its_parts() -> None:
    code = "import sys, rowcast; print([name for name in sys.modules if 'rowcast.' in name])"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert shown.stdout == "[]\n"
