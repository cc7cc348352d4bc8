"""One more form of calls: a file and a line, and its calls are read and constrained."""

import json
from collections.abc import Iterator

import pytest

from rowcast.text.chat.forms import FORMS
from rowcast.text.chat.template import ChatTemplate

from ...serving import Served, serving
from .asking import chat
from .saying import SayingEngine
from .templates import PHI
from .test_forms import calls_of, is_weather
from .test_tools import TOOLS
from .toy_form import TOY

TEMPLATE = PHI.replace("<|tool_call|>", "CALL name").replace("<|/tool_call|>", ")")


@pytest.fixture(scope="module")
def toy() -> Iterator[tuple[Served, SayingEngine]]:
    """A server of a model that writes the toy form, which is registered meanwhile."""
    before, engine = dict(FORMS), SayingEngine("")
    FORMS.clear()
    FORMS.update({TOY.name: TOY} | before)
    try:
        with serving(engine=engine, chat=ChatTemplate(TEMPLATE)) as served:
            yield served, engine
    finally:
        FORMS.clear()
        FORMS.update(before)


@pytest.mark.parametrize("city", ["Rome", "Berlin"])
def test_a_toy_call_is_read_and_valid(toy: tuple[Served, SayingEngine], city: str) -> None:
    served, engine = toy
    engine.errs = True
    engine.says(f'So. CALL weather({{"city": "{city}", "days": 2}}) Well.', ends=False)
    (choice,) = chat(served, tools=TOOLS, max_tokens=200)["choices"]
    assert choice["message"]["content"].startswith("So. ")
    ((name, arguments), *_) = calls_of(choice)
    assert name == "weather"
    assert is_weather(arguments)


def test_a_toy_call_can_be_required(toy: tuple[Served, SayingEngine]) -> None:
    served, engine = toy
    engine.says("", ends=False)
    asked = {"tools": TOOLS, "tool_choice": "required", "parallel_tool_calls": False}
    (choice,) = chat(served, max_tokens=1500, **asked)["choices"]
    ((name, arguments),) = calls_of(choice)
    assert name in {"weather", "now"}
    assert isinstance(json.loads(arguments), dict)
