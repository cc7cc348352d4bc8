"""Each module has a test file, no folder is too full, and no imports run in a circle.

A module's tests are in the `test_<module>.py` of the folder that mirrors its own (`MIRRORS`), or
in a test file whose docstring says so in its last paragraph, in one form:

    Covers `sync`, `request/types`, `claims/`.

A name is the end of a module's path, long enough to mean one module; a package's is its folder's. A
slash at the end stands for all modules below that folder: only for tables whose every entry is run.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from commands.house.circles import circles
from commands.house.counts import modules_per_folder
from commands.house.source import Module, Source, read
from processes import ROOT

ROOTS = ("inference-api", "proxy", "scripts")
TESTS = ROOT / "tests"
MIRRORS = {  # folders of modules, and of their tests
    "rowcast": "",
    "rowcast_http": "http",
    "rowcast_metrics": "metrics",
    "rowcast_settings": "settings",
    "rowcast_telemetry": "telemetry",
    "rowcast_proxy": "proxy",
    "commands": "scripts",
    "http_client": "scripts/http_client",
    "local": "scripts/local",
}
MOST = 14  # modules in a folder, `__init__` included, as `scripts/house` counts them
ELSEWHERE = {  # they run in environments of their own, with packages that the tests do not have
    "commands/bench_peers/peers/programs/openvino_engine",
    "commands/bench_peers/peers/programs/write_gguf",
}

_CLAIM = re.compile(r"Covers (?:`[\w/]+`, )*`[\w/]+`\.")


def is_imports(node: ast.stmt) -> bool:
    """True if a statement only imports, documents, or lists what is exported."""
    exports = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    return exports or isinstance(node, ast.Import | ast.ImportFrom | ast.Expr)


def needs_tests(module: Module) -> bool:
    """False for the entries to tests, and for packages that only import."""
    if module.path.stem == "__init__":
        return not all(is_imports(node) for node in module.tree.body)
    return not module.path.name.startswith("test_")


def modules(source: Source) -> list[str]:
    """Return the paths of the modules that need tests, such as `rowcast/wire`."""
    return [name.replace(".", "/") for name, each in source.modules.items() if needs_tests(each)]


def mirrored(module: str) -> str:
    """Return where the test file of a module's name would be, in tests/."""
    top, *folders, name = module.split("/") if "/" in module else ("", module)
    return "/".join(part for part in (MIRRORS.get(top, top), *folders, f"test_{name}.py") if part)


def claimed(docstring: str) -> list[str]:
    """Return the names that a test file's docstring says it covers, in its last paragraph."""
    last = " ".join(docstring.rsplit("\n\n", maxsplit=1)[-1].split())
    if not last.startswith("Covers"):
        return []
    if not _CLAIM.fullmatch(last):
        raise ValueError(f"names are given in one form: {last!r}")
    return re.findall("`(.*?)`", last)


def named(claim: str, known: list[str]) -> list[str]:
    """Return the modules that a claim means; it should be one, or all of a folder."""
    if claim.endswith("/"):
        return [each for each in known if f"/{claim}" in f"/{each}"]
    if claim in known:
        return [claim]
    return [each for each in known if each.endswith(f"/{claim}")]


@cache
def claims() -> list[tuple[str, str]]:
    """Return each test file with each name that it says it covers."""
    return list(_claims())


def _claims() -> Iterator[tuple[str, str]]:
    for path in sorted(TESTS.rglob("test_*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
        for claim in claimed(docstring):
            yield str(path.relative_to(TESTS)), claim


@cache
def source() -> Source:
    return read(ROOT, ROOTS)


@cache
def needing_tests() -> list[str]:
    """Return the modules that are run, and so need tests, here."""
    return [each for each in modules(source()) if each not in ELSEWHERE]


@pytest.mark.slow
def test_each_module_has_a_test_file() -> None:
    covered = {module for _, claim in claims() for module in named(claim, needing_tests())}
    without = [
        f"{module}: neither tests/{mirrored(module)} nor a docstring that covers it"
        for module in needing_tests()
        if module not in covered and not (TESTS / mirrored(module)).is_file()
    ]
    assert without == []


def test_each_name_that_a_test_covers_is_one_module_or_folder() -> None:
    wrong = [
        f"{claim} in {file}: {found or 'no such module'}"
        for file, claim in claims()
        if not (found := named(claim, needing_tests()))
        or (len(found) > 1 and not claim.endswith("/"))
    ]
    assert wrong == []


def test_no_file_covers_a_module_twice() -> None:
    for file in {file for file, _ in claims()}:
        own = [each for each in needing_tests() if mirrored(each) == file]
        found = [
            each for at, claim in claims() if at == file for each in named(claim, needing_tests())
        ]
        assert sorted([*own, *found]) == sorted({*own, *found}), file


def test_modules_that_run_elsewhere_exist() -> None:
    assert set(modules(source())) >= ELSEWHERE


def test_no_folder_has_too_many_modules() -> None:
    sizes = modules_per_folder(source())
    full = {str(folder.relative_to(ROOT)): size for folder, size in sizes.items() if size > MOST}
    assert full == {}


@pytest.mark.slow
def test_no_imports_run_in_a_circle() -> None:
    assert circles(source()) == []


def test_a_docstring_is_read_across_lines() -> None:
    text = "Sync alone decides.\n\nCovers `readers`,\n`request/types`, `claims/`.\n"
    assert claimed(text) == ["readers", "request/types", "claims/"]
    assert claimed("Sync alone decides.") == []


@pytest.mark.parametrize("text", ["Covers sync.", "Covers `sync` and more.", "Covers `sync`"])
def test_another_form_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="one form"):
        claimed(text)


def test_names_are_found_by_the_end_of_their_path() -> None:
    known = ["room/till", "room/shelf/till", "room/door", "proxy", "room/proxy"]
    assert named("door", known) == ["room/door"]
    assert named("till", known) == ["room/till", "room/shelf/till"]  # refused
    assert named("shelf/till", known) == ["room/shelf/till"]
    assert named("oor", known) == []
    assert named("shelf/", known) == ["room/shelf/till"]
    assert named("proxy", known) == ["proxy"]


@pytest.mark.parametrize(
    ("module", "file"),
    [
        ("rowcast/backend/line", "backend/test_line.py"),
        ("rowcast/wire", "test_wire.py"),
        ("rowcast_proxy/routes", "proxy/test_routes.py"),
        ("commands/bench/results/table", "scripts/bench/results/test_table.py"),
        ("jwt_util", "test_jwt_util.py"),
    ],
)
def test_tests_mirror_the_tree(module: str, file: str) -> None:
    assert mirrored(module) == file


def test_a_package_with_code_needs_tests(tmp_path: Path) -> None:
    (tmp_path / "shop/room").mkdir(parents=True)
    (tmp_path / "shop/__init__.py").write_text('"""A shop."""\nimport os\n__all__ = ["os"]\n')
    (tmp_path / "shop/room/__init__.py").write_text("OPEN = True\n")
    (tmp_path / "shop/till.py").write_text("")
    (tmp_path / "test_shop.py").write_text("")
    assert modules(read(tmp_path, (".",))) == ["shop/room", "shop/till"]
