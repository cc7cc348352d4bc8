"""`scripts/house` on a small tree whose figures can be counted by hand, and on this repository.

Covers `circles`, `house/cli`, `counts`, `house/docstrings`, `expressions`, `house/source`,
`house/types`, `walk`.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from commands.house import cli
from commands.house.circles import circles
from commands.house.counts import count
from commands.house.docstrings import counterpart, docstrings, drawn
from commands.house.source import Source, read
from commands.house.walk import find, walk
from processes import ROOT

SHOP = {
    "shop/__init__.py": "from shop.till import Till\n",
    "shop/door.py": '''
        """Serves customers."""
        from functools import partial
        from shop import Till
        from shop.goods import Apple, Fruit, greet

        def serve(till: Till | None, fruits: "list[Fruit]") -> int:
            """Serve one customer."""
            greet()
            for fruit in fruits:
                till.add(fruit.price())
            later = partial(_wrap, Apple(1))
            with till.opened() as drawer:
                drawer.push()
            if not fruits:
                raise Empty(till)
            return till.total + later()

        def _wrap(apple):
            return apple.price()

        def _sweep() -> None:
            pass

        class Empty(Exception):
            def __init__(self, till: Till) -> None:
                till.sweep()
    ''',
    "shop/goods.py": '''
        from dataclasses import dataclass

        class Fruit:
            def price(self) -> int:
                return 1

        @dataclass
        class Apple(Fruit):
            weight: int

            def __post_init__(self) -> None:
                self._check()

            def _check(self) -> None:
                try:
                    self.price()
                except (ValueError, Exception):
                    pass

        def greet() -> None:
            """Greet."""
    ''',
    "shop/till.py": '''
        from __future__ import annotations
        from collections.abc import Iterator
        from contextlib import contextmanager

        class Till:
            def __init__(self, drawer: Drawer) -> None:
                self._drawer = drawer

            def add(self, amount: int) -> None:
                self._drawer.push()

            @property
            def total(self) -> int:
                return 1

            @contextmanager
            def opened(self) -> Iterator[Drawer]:
                yield self._drawer

            def sweep(self) -> None:
                """Sweep."""

        class Drawer:
            def push(self) -> None:
                """Push the drawer."""
    ''',
}


@pytest.fixture
def top(tmp_path: Path) -> Path:
    for name, text in SHOP.items():
        file = tmp_path / "src" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
    return tmp_path


@pytest.fixture
def shop(top: Path) -> Source:
    return read(top, ("src",))


def test_the_figures_of_the_table(shop: Source) -> None:
    counts = count(shop)
    assert counts.files == 4
    assert counts.lines == sum(len(dedent(text).splitlines()) for text in SHOP.values())
    assert (counts.median, counts.longest, counts.long) == (2, 11, 0)
    assert counts.typed == pytest.approx(13 / 14)  # all but _wrap
    assert counts.broad_excepts == 1
    assert (counts.fan, counts.fan_folder) == (4, "shop")
    assert counts.private == pytest.approx(3 / 14)  # _wrap, _sweep, _check
    assert counts.called_once == pytest.approx(2 / 3)  # _sweep has no caller


def test_the_walk_follows_names_imports_and_annotations(shop: Source) -> None:
    done = walk(shop, find(shop, "door:serve"))
    assert [(stay.module, stay.functions) for stay in done.stays] == [
        ("shop.door", ("serve",)),
        ("shop.goods", ("greet", "Fruit.price")),
        ("shop.till", ("Till.add", "Drawer.push")),
        ("shop.goods", ("Apple.__post_init__", "Apple._check")),
        ("shop.door", ("_wrap",)),
        ("shop.till", ("Till.opened", "Till.total")),
    ]
    assert done.modules == 3
    assert done.returns == {"shop.goods": 1, "shop.door": 1, "shop.till": 1}


def test_a_walk_can_be_limited(shop: Source) -> None:
    stays = walk(shop, find(shop, "door:serve"), 1).stays
    reached = [name for stay in stays for name in stay.functions]
    assert "Apple.__post_init__" in reached
    assert "Apple._check" not in reached


@pytest.mark.parametrize("name", ["door:nothing", "nowhere:serve", "Till"])
def test_a_function_that_does_not_exist_is_an_error(shop: Source, name: str) -> None:
    with pytest.raises(LookupError, match="must name one function"):
        find(shop, name)


@pytest.mark.parametrize("name", ["shop.door:serve", "door:serve", "serve"])
def test_a_module_may_be_shortened(shop: Source, name: str) -> None:
    assert find(shop, name).module.name == "shop.door"


def test_circles_are_found_and_parents_do_not_count(top: Path, shop: Source) -> None:
    assert circles(shop) == []
    with (top / "src/shop/till.py").open("a") as file:
        file.write("\ndef late() -> None:\n    from . import door\n")
    assert circles(read(top, ("src",))) == [["shop", "shop.door", "shop.till"]]


def test_the_same_seed_draws_the_same(shop: Source) -> None:
    one, other = ([each.name for each in drawn(shop, 3, 5)] for _ in range(2))
    assert one == other
    assert len(drawn(shop, 99, 5)) == len(docstrings(shop)) == 5


def test_a_docstring_is_found_again_where_it_moved(top: Path, shop: Source) -> None:
    """By module and name; by the module's last name; by the name alone."""
    (top / "new/shop/room").mkdir(parents=True)
    (top / "new/shop/door.py").write_text('def serve() -> None:\n    """Serve."""\n')
    (top / "new/shop/room/till.py").write_text('class Drawer:\n    """A drawer."""\n')
    (top / "new/shop/hello.py").write_text('"""Hello."""\ndef greet() -> None:\n    """Hi."""\n')
    (top / "src/shop/till.py").write_text('class Drawer:\n    """An old drawer."""\n')
    old = docstrings(read(top, ("src",)))
    found = [counterpart(each, old) for each in docstrings(read(top, ("new",)))]
    assert [each.text if each else None for each in found] == [
        "Serve one customer.",
        None,
        "Greet.",
        "An old drawer.",
    ]


def test_the_command_prints_the_table(top: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["src", "--at", str(top)]) == 0
    shown = capsys.readouterr().out
    assert "| src | 4 |" in shown
    assert "import circles: 0" in shown


def test_the_command_prints_a_walk(top: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["src", "--at", str(top), "--walk", "door:serve", "--stays"]) == 0
    shown = capsys.readouterr().out
    assert "6 stays in 3 modules, 3 returns" in shown
    assert "  shop.goods: greet, Fruit.price" in shown


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["nothing"], ["--walk", "nowhere:at_all"]])
def test_what_does_not_exist_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    assert capsys.readouterr().err.startswith("house: ")


@pytest.mark.slow
def test_a_request_can_be_followed_in_this_repository() -> None:
    source = read(ROOT, cli.FOLDERS)
    assert walk(source, find(source, cli.START)).modules > 5


@pytest.mark.slow
def test_docstrings_are_shown_with_those_of_another_checkout(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "proxy", tmp_path / "proxy")
    command = (sys.executable, "scripts/house", "proxy", "--docstrings", "3", "--seed", "4")
    done = subprocess.run(
        (*command, "--at", str(tmp_path)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.startswith("seed 4\n")
    assert done.stdout.count("\nproxy/") == 3
    assert done.stdout.count("  before: the same\n") == 3
