"""N-15: calls that a model makes of its own accord are valid, over real processes and kills."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from processes import ROOT, SERVER, Running, free_port, running

from .calling_model import save_calling

pytestmark = pytest.mark.slow

LOADING = 120.0
TEMPLATE = ROOT / "tests" / "clients" / "template.jinja"
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Rome"]}, "days": {"enum": list(range(9))}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "parameters": PARAMETERS}}
    for name in ("weather", "weather_tomorrow")
]
HELLO: Any = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def calling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of a model that writes broken calls."""
    folder = tmp_path_factory.mktemp("calling")
    model, port = save_calling(folder / "model"), free_port()
    env = {"MODEL": str(model), "CHAT_TEMPLATE": str(TEMPLATE), "PORT": str(port)}
    env |= {"DTYPE": "float32", "JOURNAL": "off"}
    with running(SERVER, port, folder / "server.log", env=env, patience=LOADING) as server:
        yield server


def client_of(server: Running) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


def called(server: Running, seed: int, **asked: Any) -> tuple[str | None, list[tuple[str, str]]]:
    """Return the finish reason and the calls of a stream."""
    body: Any = {"model": "model", "messages": HELLO, "tools": TOOLS, "seed": seed} | asked
    reason, calls = None, list[list[str]]()
    for chunk in client_of(server).chat.completions.create(stream=True, **body):
        for choice in chunk.choices:
            reason = choice.finish_reason or reason
            for call in choice.delta.tool_calls or ():
                if call.id:
                    calls.append([call.function.name, ""])
                calls[call.index][1] += call.function.arguments or ""
    return reason, [(name, arguments) for name, arguments in calls]


def test_n15_a_model_that_breaks_its_calls_makes_valid_ones(calling: Running) -> None:
    for seed in range(3):
        reason, ((name, arguments), *_) = called(calling, seed, max_tokens=150)
        assert name in {"weather", "weather_tomorrow"}
        assert reason in {"tool_calls", "length"}
        read = json.loads(arguments)
        assert set(read) == {"city", "days"}
        assert read["city"] in {"Paris", "Rome"}


def test_n15_a_call_that_is_cut_says_so(calling: Running) -> None:
    reason, calls = called(calling, 1, max_tokens=20)
    assert reason == "length"
    whole = client_of(calling).chat.completions.create(
        model="model", messages=HELLO, tools=TOOLS, seed=1, max_tokens=20
    )
    assert whole.choices[0].finish_reason == "length"
    found = whole.choices[0].message.tool_calls or []
    functions = [call.function for call in found if call.type == "function"]
    assert [(each.name, each.arguments) for each in functions] == calls


def test_n15_a_killed_decoder_changes_no_call(calling: Running) -> None:
    before = called(calling, 3, max_tokens=150)
    body: Any = {"model": "model", "messages": HELLO, "tools": TOOLS, "seed": 3, "max_tokens": 150}
    stream = client_of(calling).chat.completions.create(stream=True, **body)
    pieces = ""
    for at, chunk in enumerate(stream):
        if at == 5:
            calling.backend().kill()
        for call in chunk.choices[0].delta.tool_calls or ():
            pieces += call.function.arguments or ""
    assert pieces == "".join(arguments for _, arguments in before[1])
