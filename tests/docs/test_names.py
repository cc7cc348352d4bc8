"""Every name in back-ticks, in a docstring, a comment or a document, exists.

    `Sampler.seat(row)`   each part is a name in the source, or the name of a module
    `rows.py`, `docs/`    a file or folder, by the end of its path
    `PORT=7001`           a variable: a setting, or a string of the source
    `--port 7001`         an option of a program or setting
    `GET /health`         a path that the server or the proxy routes
    `make docs`, `rowcast serve`, `python -m rowcast.settings`    a target, a command, a module

Other phrases (sentences, values, shell lines, addresses) claim nothing. `FOREIGN` lists the words
that are not ours.
"""

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from processes import ROOT
from rowcast.console import COMMANDS
from rowcast.frontend.metrics.families import FAMILIES as OF_SERVER
from rowcast_proxy.metrics import FAMILIES as OF_PROXY

SOURCES = ("inference-api", "proxy", "scripts", "models", "gunicorn.conf.py", "setup.py")
SHELLS = ("scripts/install", "scripts/check", ".ci/run")
TREE = (
    *(*SOURCES, "config", "deploy", "tests", "docs", "examples", "static", "templates"),
    *(".github", ".ci"),
)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
# These two quote what users of other projects type. tests/docs/test_contract.py holds the first.
OF_OTHERS = {"contract.md", "migrating.md"}

FOREIGN = {
    "Python": "finally False",
    "HTTP": "Cookie Expect Set-Cookie X-Forwarded-Proto",
    "tokens": "aud nbf",
    "JSON Schema": "exclusiveMaximum",
    "models": "facebook/opt-125m opt-125m",
    "packages and versions": "python3-venv vX.Y.Z",
    "written at run time": (
        ".rowcast/ .rowcast/abuse.md .rowcast/abuse.json found/ logs/ rowcast/journal-PORT.db"
    ),
}
FOREIGN_WORDS = {word for words in FOREIGN.values() for word in words.split()}

_WORD = re.compile(r"\.?[A-Za-z_]\w*(?:[.-]\w+)*(?:\(.*\))?:?")
_ASSIGNED = re.compile(r'([A-Z][A-Z0-9_]+)=|"?([A-Za-z_][\w-]*)"?: ')
_PATH = re.compile(r"[\w.<>{}-]*(?:/[\w.<>{}-]+)+/?|[\w.-]+/")
_FILE = re.compile(r"[\w.-]+\.(?:py|md|c|css|html|js|toml|json|jinja|svg|yml|txt)")
_HOLE = re.compile(r"<[^>]*>|\{[^}]*\}")
_METHODS = {"GET", "POST", "DELETE", "OPTIONS"}


def files_of(places: tuple[str, ...]) -> list[Path]:
    """Return the files at or below these places, without hidden and compiled ones."""
    found = [each for place in places for each in (ROOT / place, *(ROOT / place).rglob("*"))]
    return [each for each in found if each.is_file() and "__pycache__" not in each.parts]


def is_python(file: Path) -> bool:
    return file.suffix == ".py" or (not file.suffix and b"python" in file.read_bytes()[:40])


@cache
def programs() -> dict[Path, ast.Module]:
    """Return the source's Python files, and what is in each."""
    found = (file for file in files_of(SOURCES) if is_python(file))
    return {file: ast.parse(file.read_text()) for file in found}


@cache
def files() -> list[str]:
    """Return every file of the tree, as a path from its root."""
    return [f"/{file.relative_to(ROOT)}" for file in (*files_of(TREE), *ROOT.glob("*"))]


def identifiers(tree: ast.AST) -> Iterator[str]:
    """Yield every name that a module defines or uses."""
    for node in ast.walk(tree):
        for field in ("name", "arg", "id", "attr"):
            if isinstance(name := getattr(node, field, None), str):
                yield from name.split(".")


def strings(tree: ast.AST) -> Iterator[str]:
    """Yield a module's strings: JSON fields, headers, routes, options; and keys of its log."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
            yield from (word for pair in re.findall(r"(\w+)=(\w*)", node.value) for word in pair)


def c_names() -> Iterator[str]:
    for file in files_of(SOURCES):
        if file.suffix in (".c", ".h"):
            code = re.sub(r"/\*.*?\*/|//[^\n]*", "", file.read_text(), flags=re.DOTALL)
            yield from re.findall(r"[A-Za-z_]\w*", code)


def targets() -> Iterator[str]:
    for line in (ROOT / "Makefile").read_text().splitlines():
        if found := re.match(r"([\w -]+):(?!=)", line):
            yield from (f"make {target}" for target in found[1].split())


def settings() -> Iterator[str]:
    """Yield the variable and the option of each field of a settings class."""
    for file, tree in programs().items():
        for node in ast.walk(tree) if file.name == "settings.py" else ():
            if isinstance(node, ast.Assign) and is_field(node.value):
                (name,) = identifiers(node.targets[0])
                yield name.upper()
                yield f"--{name.replace('_', '-')}"


def is_field(value: ast.expr) -> bool:
    """True for what makes a field of a table of settings."""
    if not isinstance(value, ast.Call):
        return False
    return ast.unparse(value.func) in {"setting", "optional", "required"}


@cache
def texts() -> frozenset[str]:
    return frozenset(each for tree in programs().values() for each in strings(tree))


@cache
def headers() -> frozenset[str]:
    return frozenset(each.lower() for each in texts() if "-" in each)


@cache
def routes() -> frozenset[str]:
    return frozenset(_HOLE.sub("<>", each) for each in texts() if each.startswith("/"))


@cache
def known() -> frozenset[str]:
    """Return every name that exists."""
    shells = (re.findall(r"\$\{?(\w+)", (ROOT / file).read_text()) for file in SHELLS)
    return frozenset(
        (
            *(each for tree in programs().values() for each in identifiers(tree)),
            *(part for file in files() for part in (*Path(file).parts, Path(file).stem)),
            *c_names(),
            *(name for names in shells for name in names),
            *texts(),
            *targets(),
            *settings(),
            *metrics(),
            *(f"rowcast {command.name}" for command in COMMANDS),
        )
    )


def metrics() -> Iterator[str]:
    """Yield the names of metrics and of their samples, and those of alerts."""
    for family in (*OF_SERVER, *OF_PROXY):
        for name in family.names:
            yield from (name, *family.samples_of(name))
    yield from re.findall(r"- alert: (\w+)", (ROOT / "deploy" / "alerts.yml").read_text())


def claims(phrase: str) -> Iterator[str]:
    """Yield the names that a back-ticked phrase claims to exist."""
    first, *rest = phrase.split()
    if first in {"make", "rowcast"} and rest and re.fullmatch(r"[a-z][a-z-]*", rest[0]):
        yield f"{first} {rest[0]}"
    elif first == "python" and rest:
        yield rest[1] if rest[0] == "-m" else rest[0]
    elif first in _METHODS and rest:
        yield rest[0]
    elif first.startswith("--"):
        yield first
    elif found := _ASSIGNED.match(phrase):
        yield found[1] or found[2]
    elif _WORD.fullmatch(phrase) or (not rest and (_PATH.fullmatch(phrase) or _FILE.match(phrase))):
        yield phrase


def exists(name: str) -> bool:
    """True if the name is in the source, in the tree, routed, or foreign."""
    if name in known() or name in FOREIGN_WORDS or name.rstrip(":").lower() in headers():
        return True
    if name.startswith("/"):
        path = _HOLE.sub("<>", name)
        return any(route == path or route.startswith(f"{path}/") for route in routes())
    if "/" in name or _FILE.fullmatch(name):
        path = _HOLE.split(name)[0].rstrip("/")  # up to the first placeholder
        return any(f"/{path}/" in f"{file}/" for file in files())
    word = name.partition("(")[0].strip(".:")
    return all(part in known() or part in FOREIGN_WORDS for part in word.split("."))


@cache
def phrases() -> dict[str, list[str]]:
    """Return every back-ticked phrase, with the files that have it."""
    found: dict[str, list[str]] = defaultdict(list)
    for page in (*PAGES, *sorted((ROOT / "docs").glob("*.md"))):
        if page.name not in OF_OTHERS:
            text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
            collect(text, page, found)
    for file in programs():
        for token in tokenize.generate_tokens(io.StringIO(file.read_text()).readline):
            docstring = token.type == tokenize.STRING and token.string.startswith('"""')
            if docstring or token.type == tokenize.COMMENT:
                collect(token.string, file, found)
    return found


def collect(text: str, file: Path, found: dict[str, list[str]]) -> None:
    for phrase in re.findall(r"`([^`\n]*[^`\s][^`\n]*)`", text):
        found[phrase].append(str(file.relative_to(ROOT)))


@pytest.mark.slow
def test_every_name_in_back_ticks_exists() -> None:
    missing = [
        f"{phrase} in {', '.join(files)}"
        for phrase, files in phrases().items()
        if not all(exists(name) for name in claims(phrase))
    ]
    assert missing == []


def test_most_phrases_claim_a_name() -> None:
    assert len(phrases()) > 1000
    assert sum(any(claims(phrase)) for phrase in phrases()) > len(phrases()) / 2


def test_no_foreign_word_is_ours_or_unused() -> None:
    assert {word for word in FOREIGN_WORDS if word in known()} == set()
    used = {part for phrase in phrases() for part in re.split(r"[.\s]", phrase)}
    assert FOREIGN_WORDS - used - set(phrases()) == set()


@pytest.mark.parametrize(
    "phrase",
    [
        *("Sampler.sit", "decode_bakcend", "rowz.py", "backend/gone.py"),
        *("WAITING_LNIE=3", "--waiting-lnie 3", "GET /helth", "/v1/chat/completion"),
        *("make serv", "rowcast sevre", "python -m rowcast.setings", "X-Rowcast-Sed"),
    ],
)
def test_a_typo_is_found(phrase: str) -> None:
    assert not all(exists(name) for name in claims(phrase))
