"""The basis of chaos's verdicts about several models: the build that an answer came from.

Covers `model_file`, `chaos/models/builds`, `tally`, `chaos/models/reports`.
"""

import json
import random
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from commands.chaos.models.builds import DRAFT, NEW, OLD, SMALL, STORY, RightAnswers, renamed
from commands.chaos.models.model_file import ModelFile
from commands.chaos.models.reports import ModelReport, parsed, unload
from commands.chaos.models.tally import Tally
from commands.chaos.traffic.crowd import Reading
from commands.chaos.traffic.kinds import KINDS, NAMING, mixed
from commands.chaos.traffic.request import Request
from local.server import ServerError

BUILDS = OLD, NEW, DRAFT
TEXTS = {OLD.label: "once", NEW.label: "long ago", DRAFT.label: "gibberish"}
NEEDS = {OLD.label: 263, NEW.label: 257, DRAFT.label: 176}


def body(text: str, model: str, fingerprint: str) -> dict[str, object]:
    """Return a whole completion."""
    return {"model": model, "system_fingerprint": fingerprint, "choices": [{"text": text}]}


def requests() -> list[Request]:
    form = "json"
    return [
        Request.of("whole", form, "/v1/completions", {"model": name, "prompt": name})  # type: ignore[arg-type]
        for name in (STORY, SMALL)
    ]


def right(needs: Mapping[str, int] = NEEDS) -> RightAnswers:
    answers = {
        build.label: {
            request: body(TEXTS[build.label], request.model, build.label) for request in requests()
        }
        for build in BUILDS
    }
    return RightAnswers(BUILDS, answers, needs)


def reading(request: Request, answer: dict[str, object], status: str = "200 OK") -> Reading:
    """Return a reading that has received all of this answer."""
    ours, theirs = socket.socketpair()
    content = json.dumps(answer).encode()
    theirs.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status.encode(), len(content)))
    theirs.sendall(content)
    theirs.close()
    with ours:
        found = Reading(request, ours, 0.0)
        while found.read():
            pass
    return found


def test_every_entry_of_the_file_is_there_at_any_moment(tmp_path: Path) -> None:
    file = ModelFile(tmp_path / "models.json", {"a": {"model": "x"}, "b": {"model": "y"}})
    with file.path.open() as opened:
        file.set("a", {"model": "z"})
        assert json.load(opened)["a"] == {"model": "x"}  # a reader of the old file is not disturbed
    assert json.loads(file.path.read_text()) == {"a": {"model": "z"}, "b": {"model": "y"}}
    assert [each.name for each in tmp_path.iterdir()] == ["models.json"]


@pytest.mark.parametrize("name", ["story", "an-org/story"])
def test_a_request_goes_to_the_model_that_it_names(name: str) -> None:
    drawn = mixed(random.Random(3), 2 * len(KINDS), 5, 9, kinds=NAMING, model="story")
    assert {each.model for each in drawn} == {"story"}
    if "/" in name:
        drawn = [each for each in drawn if b'"model"' in each.body]
    moved = [each.to_model(name) for each in drawn]
    assert {each.model.rpartition("/")[2] for each in moved} == {"story"}
    assert [each.to_model("story") for each in moved] == drawn


def test_an_answer_is_of_one_build() -> None:
    tally, (story, small) = Tally(right()), requests()
    for request, build in ((story, OLD), (story, NEW), (small, DRAFT)):
        answer = body(TEXTS[build.label], request.model, build.label)
        assert tally.take(reading(request, answer)) == (build.label,)
    assert tally.builds == {OLD.label: 1, NEW.label: 1, DRAFT.label: 1}
    assert tally.faults == []


def test_an_answer_of_another_model_is_recognised_whatever_name_it_bears() -> None:
    tally, (story, _) = Tally(right()), requests()
    for model, fingerprint in ((SMALL, DRAFT.label), (STORY, OLD.label)):
        assert tally.take(reading(story, body(TEXTS[DRAFT.label], model, fingerprint))) == ()
    assert (tally.wrong, tally.altered) == (2, 0)
    assert "whole to story: it is of small" in tally.faults


def test_an_answer_that_changes_its_build_midway_is_altered() -> None:
    tally, (story, _) = Tally(right()), requests()
    tally.take(reading(story, body("once long ago", STORY, OLD.label)))
    tally.take(reading(story, body(TEXTS[NEW.label], STORY, OLD.label)))
    assert (tally.altered, tally.wrong, tally.read) == (1, 1, 2)
    assert len(tally.faults) == 2


def test_failed_and_cut_answers_are_counted_separately() -> None:
    tally, (story, _) = Tally(right()), requests()
    tally.take(reading(story, {"error": {}}, "503 Service Unavailable"))
    cut = reading(story, body("once", STORY, OLD.label))
    cut.failure = "cut before its end"
    tally.take(cut)
    tally.take(reading(story, {"error": {"message": "cannot be loaded"}}))
    assert (tally.failed, tally.cut) == (2, 1)
    assert len(tally.faults) == 3
    assert "2 failed, 1 cut, 0 of the wrong model, 0 altered" in tally.summary


def test_an_answer_that_two_builds_give_may_be_of_either() -> None:
    known = right()
    story = requests()[0]
    answers = known.answers | {NEW.label: known.answers[OLD.label]}  # type: ignore[operator]
    tally = Tally(RightAnswers(BUILDS, answers, NEEDS))
    answer = reading(story, body(TEXTS[OLD.label], STORY, OLD.label))
    assert tally.take(answer) == (OLD.label, NEW.label)


def test_a_request_with_a_key_has_the_answer_of_the_one_without() -> None:
    tally, (story, _) = Tally(right()), requests()
    answer = reading(story.keyed("a"), body(TEXTS[OLD.label], STORY, OLD.label))
    assert tally.take(answer) == (OLD.label,)


def test_room_for_one_is_room_for_each_and_for_no_two() -> None:
    room = right().room_for_one
    assert room >= max(NEEDS.values())
    assert room < sum(sorted(NEEDS.values())[:2])
    with pytest.raises(ServerError, match="no room for one only"):
        _ = right({OLD.label: 500, NEW.label: 90, DRAFT.label: 20}).room_for_one


def test_a_name_is_replaced_wherever_an_answer_has_it() -> None:
    answer = {"model": "a", "text": "a", "end": [{"model": "a"}, {"model": "c"}], "n": 1}
    assert renamed(answer, "a", "b") == {
        "model": "b",
        "text": "a",
        "end": [{"model": "b"}, {"model": "c"}],
        "n": 1,
    }
    assert renamed(b"a", "a", "b") == b"a"


def test_a_report_is_read_with_what_is_not_known_yet() -> None:
    listed = {
        "data": [
            {"id": "a", "state": "ready", "fingerprint": "f", "bytes": 5, "loads": 2},
            {"id": "b", "state": "unloaded", "fingerprint": None},
        ]
    }
    found = parsed(listed)
    assert found["a"] == ModelReport("ready", "f", 5, 2, 0.0)
    assert found["b"] == ModelReport("unloaded", "", 0, 0, 0.0)


def test_unloading_is_a_request_of_its_own() -> None:
    assert json.loads(unload("big").body) == {"model": "big"}
    assert unload("big").path == "/models/unload"
