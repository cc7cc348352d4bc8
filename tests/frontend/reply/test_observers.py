"""Observers: registered in one line, they see every reply begin and end, and can harm none."""

import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from rowcast.errors import Overloaded
from rowcast.frontend.reply.observers import OBSERVERS, Observation
from rowcast.frontend.reply.reply_outcome import Outcome
from rowcast.frontend.reply.text import ReplyText
from rowcast.frontend.request.prompt import Prompt
from rowcast.frontend.request.request import Body, Request
from rowcast.frontend.sessions.choice import Choice
from rowcast.sampling_params import SamplingParams
from rowcast.text.tokens.tokenizer import ScriptedTokenizer
from rowcast.wire import Rejected, Submit

from ..serving import lasting_seed, serving, spoken


@dataclass
class Toy:
    """An observer that collects what it sees."""

    begun: list[tuple[str, int]] = field(default_factory=list)
    ended: list[tuple[str, int, Outcome]] = field(default_factory=list)

    def begin(self, request: Request, prompt: Prompt, submit: Submit, /) -> None:
        self.begun.append((prompt.dialect, submit.choice))

    def end(self, request: Request, prompt: Prompt, submit: Submit, outcome: Outcome, /) -> None:
        self.ended.append((prompt.dialect, submit.choice, outcome))


class Broken:
    """An observer that raises whatever it sees."""

    def begin(self, request: Request, prompt: Prompt, submit: Submit, /) -> None:
        raise RuntimeError("begin")

    def end(self, request: Request, prompt: Prompt, submit: Submit, outcome: Outcome, /) -> None:
        raise RuntimeError("end")


def test_one_that_is_added_in_one_line_sees_a_reply_begin_and_end() -> None:
    toy = Toy()
    with serving(observers=(*OBSERVERS, toy)) as served:
        response = served.stream(text="Hello", seed=3, max_tokens=12)
        assert (toy.begun, toy.ended) == ([("native", 0)], [])
        assert response.text == spoken("Hello", 3, 12)
        response.close()
    ((dialect, choice, outcome),) = toy.ended
    assert (dialect, choice) == ("native", 0)
    assert (outcome.reason, outcome.tokens, outcome.accepted) == ("length", 12, True)
    assert outcome.times.opened <= outcome.first <= outcome.ended


@pytest.mark.slow
def test_it_sees_the_end_of_a_cancelled_reply() -> None:
    toy = Toy()
    with serving(observers=(toy,)) as served:
        seed = lasting_seed("Hello", 500)
        served.stream(text="Hello", seed=seed, max_tokens=2048).close()
    ((_, _, outcome),) = toy.ended
    assert (len(toy.begun), outcome.reason, outcome.accepted) == (1, "cancelled", True)


def test_it_sees_each_choice() -> None:
    toy = Toy()
    with serving(observers=(toy,)) as served:
        body: dict[str, Any] = {"model": "scripted", "prompt": ["a", "b"], "n": 2, "max_tokens": 3}
        assert served.post("/v1/completions", **body).status_code == 200
    assert toy.begun == [("openai", choice) for choice in (0, 1, 0, 1)]
    assert sorted(choice for _, choice, _ in toy.ended) == [0, 0, 1, 1]


def test_a_refused_reply_ends_without_having_begun() -> None:
    toy, params = Toy(), SamplingParams(max_tokens=9)
    prompt = Prompt(tokens=(1,), params=params, seed=1, dialect="native")
    choice = Choice(Submit("s", 0, (1,), params, seed=1))
    observation = Observation((toy,), Request(path="/", body=Body(bytes)), [prompt], [choice])
    reply = ReplyText(choice, ScriptedTokenizer().decoder(), (), observation.end)
    choice.offer(Rejected("s", 0, "overloaded", "full", 4))
    with pytest.raises(Overloaded):
        reply.verdict(20)
    ((_, _, outcome),) = toy.ended
    assert (toy.begun, outcome.accepted) == ([], False)
    assert (outcome.tokens, outcome.first) == (0, 0.0)


@pytest.mark.slow
def test_one_that_raises_is_logged_and_harms_neither_the_reply_nor_other_observers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "rowcast")
    toy = Toy()
    with serving(observers=(Broken(), *OBSERVERS, toy)) as served:
        assert served.post(text="Hello", seed=3, max_tokens=12).text == spoken("Hello", 3, 12)
    assert (len(toy.begun), len(toy.ended)) == (1, 1)
    lines = [each for each in caplog.records if each.name == "rowcast.request"]
    problems = [str(each.exc_info[1]) for each in lines if each.exc_info]
    assert problems == ["begin", "end"]
    assert sum("reason=length" in each.getMessage() for each in lines) == 1
