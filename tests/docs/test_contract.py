"""docs/contract.md and tests/contract/ agree: a test's id names its promise, and the reverse."""

import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from processes import ROOT

FOLDER = ROOT / "tests" / "contract"
PAGE = (ROOT / "docs" / "contract.md").read_text()
ROWS = re.findall(r"^\| ([A-Z]-\d\d) \| .* \| (.*) \| (.*) \|$", PAGE, re.MULTILINE)
TESTS = {name: tests for name, _, tests in ROWS}
PARTS = "TFVPE"  # the sections whose promises are counted


def ids(function: str) -> list[str]:
    """Return the promises in a test's name: test_t06_t25_to_t28_… is T-06 and T-25 to T-28."""
    found: list[str] = []
    words = iter(function.split("_")[1:])
    for word in words:
        if word == "to" and found:
            last = next(words)
            found += [f"{last[0].upper()}-{n:02d}" for n in _between(found[-1], last)]
        elif re.fullmatch(r"[a-z]\d\d", word):
            found.append(f"{word[0].upper()}-{word[1:]}")
        else:
            break
    return found


def _between(first: str, last: str) -> range:
    return range(int(first[2:]) + 1, int(last[1:]) + 1)


def files_by_promise() -> dict[str, set[str]]:
    """Return the files of tests/contract, by the promises that their tests name."""
    files: dict[str, set[str]] = defaultdict(set)
    for page in sorted(FOLDER.glob("test_*.py")):
        for function in re.findall(r"^(?:async )?def (test_\w+)", page.read_text(), re.MULTILINE):
            for each in ids(function):
                files[each].add(page.name)
    return files


TESTED = files_by_promise()


def test_ids_are_read_from_names() -> None:
    assert ids("test_t06_t07_t25_to_t28_two_layers") == [
        *("T-06", "T-07", "T-25", "T-26", "T-27", "T-28")
    ]
    assert ids("test_a_base_url") == []


@pytest.mark.parametrize("promise", sorted(TESTED))
def test_the_promise_of_each_test_is_on_the_page_with_its_file(promise: str) -> None:
    assert promise in TESTS
    missing = [name for name in TESTED[promise] if f"`{name}`" not in TESTS[promise]]
    assert missing == []


@pytest.mark.parametrize("promise", sorted(TESTS))
def test_each_test_on_the_page_exists_and_names_the_promise(promise: str) -> None:
    cell = TESTS[promise]
    if cell == "no test yet":
        assert promise not in TESTED
        return
    for name in re.findall(r"`(\S+\.py)`", cell):
        file = FOLDER / name if "/" not in name else ROOT / Path(name)
        assert file.is_file(), name
        assert "/" in name or name in TESTED[promise]


def test_every_promise_is_listed_once_and_has_a_state() -> None:
    counted = Counter(name for name, _, _ in ROWS)
    assert [name for name, times in counted.items() if times > 1] == []
    states = {state.partition(":")[0].split()[0] for _, state, _ in ROWS}
    assert states == {"there", "partly", "later"}


def test_the_page_and_the_readme_count_what_is_without_a_test() -> None:
    total = {part: [name for name in TESTS if name[0] == part] for part in PARTS}
    without = {part: [n for n in names if n not in TESTED] for part, names in total.items()}
    for part in PARTS:
        assert f"| {part} | {len(total[part])} | {len(without[part])} |" in PAGE
    all_of_them, missing = (sum(map(len, each.values())) for each in (total, without))
    assert f"| together | {all_of_them} | {missing} |" in PAGE
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert re.search(rf"{missing} of (the )?{all_of_them}\b", readme)
