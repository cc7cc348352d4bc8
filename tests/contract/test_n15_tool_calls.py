"""N-15: calls that a model makes of its own accord are valid, over real processes and kills."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import openai
import pytest

from processes import ROOT, SERVER, Running, free_port, running

from .calling_model import save_calling, save_naming

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
NAMING = """\
{%- for tool in tools or [] %}{{ tool | tojson }} [TOOL_CALLS] name [ARGS] arguments {% endfor %}
{%- for message in messages %}{{ message.role }}: {{ message.content or '' }}
{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"""
HELLO: Any = [{"role": "user", "content": "Hello"}]


def serving(model: Path, template: Path) -> AbstractContextManager[Running]:
    """Start a server of a model."""
    port = free_port()
    env = {"MODEL": str(model), "CHAT_TEMPLATE": str(template), "PORT": str(port)}
    env |= {"DTYPE": "float32", "JOURNAL": "off"}
    return running(SERVER, port, model.parent / "server.log", env=env, patience=LOADING)


@pytest.fixture(scope="module")
def calling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of a model that writes broken calls."""
    with serving(save_calling(tmp_path_factory.mktemp("calling") / "model"), TEMPLATE) as server:
        yield server


@pytest.fixture(scope="module")
def naming(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of a model that begins calls with a special token."""
    folder = tmp_path_factory.mktemp("naming")
    (folder / "template.jinja").write_text(NAMING)
    with serving(save_naming(folder / "model"), folder / "template.jinja") as server:
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


def test_n15_a_call_that_begins_with_a_special_token_is_valid(naming: Running) -> None:
    asked: Any = {"max_tokens": 400, "parallel_tool_calls": False}
    for seed in range(3):
        body: Any = {"model": "model", "messages": HELLO, "tools": TOOLS, "seed": seed} | asked
        with client_of(naming).chat.completions.stream(**body) as events:
            whole = events.get_final_completion()
        (call,) = whole.choices[0].message.tool_calls or []
        assert call.type == "function"
        assert call.function.name in {"weather", "weather_tomorrow"}
        read = json.loads(call.function.arguments)
        assert set(read) == {"city", "days"}
        assert read["city"] in {"Paris", "Rome"}
        assert whole.choices[0].finish_reason == "tool_calls"
        calls = [(call.function.name, call.function.arguments)]
        assert called(naming, seed, **asked) == ("tool_calls", calls)
