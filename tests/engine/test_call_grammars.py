"""Grammars of calls on a real engine: free text is untouched, and calls are valid and pure."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tokenizers import Tokenizer

from backend.driven import submit
from engine.speaking import save_speaking
from engine.test_grammars import LIST, PROMPT, asked, engine_of, replies
from rowcast.engine.torch_engine import TorchEngine
from rowcast.text.chat.forms.bare import BARE
from rowcast.text.chat.forms.form import Form
from rowcast.text.chat.forms.tagged import TAGGED
from rowcast.text.chat.parts import CallArguments, CallStart
from rowcast.text.chat.tool_calls import ToolReader
from rowcast.text.rules.tool_rule import Callee, rule_of_optional_calls
from rowcast.wire import Submit

pytestmark = pytest.mark.slow

SCHEMA = {
    "type": "object",
    "properties": {"name": {"enum": ["value", "list"]}, "flag": {"type": "boolean"}},
    "required": ["name", "flag"],
    "additionalProperties": False,
}
CALLEES = [Callee("set", SCHEMA), Callee("set_all", SCHEMA), Callee("other")]
RULES = {
    form: rule_of_optional_calls(form, CALLEES, several=True).grammar for form in (TAGGED, BARE)
}
BEGUN = {TAGGED: 'So <tool_call>\n{"', BARE: '{"name": "set", "parameters": {'}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_speaking(tmp_path_factory.mktemp("calling"))


@pytest.fixture(scope="module", params=[True, False], ids=["llama", "modules"])
def engine(request: pytest.FixtureRequest, path: Path) -> TorchEngine:
    return engine_of(path, llama=request.param)


@pytest.mark.parametrize(
    "more", [{}, {"temperature": 0.0}, {"top_k": 7}, {"frequency_penalty": 0.5}, {"min_tokens": 50}]
)
def test_free_text_is_the_same_as_without_tools(engine: TorchEngine, more: dict[str, Any]) -> None:
    for form in (TAGGED, BARE):
        plain = submit("a", PROMPT, max_tokens=120, ignore_eos=False, **more)
        params = msgspec.structs.replace(plain.params, grammar=RULES[form])
        tooled = msgspec.structs.replace(plain, params=params)
        others = [asked(f"{seed}", LIST, seed) for seed in range(3)]
        assert replies(engine, *others, tooled)["a"] == replies(engine, plain)["a"]


def begun(path: Path, form: Form, seed: int) -> Submit:
    tokens = Tokenizer.from_file(str(path / "tokenizer.json")).encode(BEGUN[form]).ids
    return msgspec.structs.replace(asked("mine", RULES[form], seed), delivered=tuple(tokens))


@pytest.mark.parametrize("form", [TAGGED, BARE], ids=["tagged", "bare"])
def test_a_call_that_has_begun_is_valid(engine: TorchEngine, path: Path, form: Form) -> None:
    tokenizer, ended = Tokenizer.from_file(str(path / "tokenizer.json")), 0
    for seed in range(6):
        tokens, end = replies(engine, begun(path, form, seed))["mine"]
        reader = ToolReader(form, {callee.name for callee in CALLEES})
        parts = reader.feed(tokenizer.decode(tokens))
        (name, *_) = [part.name for part in parts if isinstance(part, CallStart)]
        written = "".join(
            part.text for part in parts if isinstance(part, CallArguments) and part.index == 0
        )
        if not reader.unfinished:
            ended += 1
            read = json.loads(written)
            assert set(read) == (set() if name == "other" else {"name", "flag"})
        assert end.reason == ("stop" if form is BARE else end.reason)
    assert ended > 3


@pytest.mark.parametrize("form", [TAGGED, BARE], ids=["tagged", "bare"])
def test_company_and_backends_that_ended_change_no_call(
    engine: TorchEngine, path: Path, form: Form
) -> None:
    ask = begun(path, form, 5)
    alone = replies(engine, ask)["mine"]
    others = [asked(f"{seed}", RULES[TAGGED], seed) for seed in range(3)]
    others += [asked(f"list {seed}", LIST, seed) for seed in range(3)]
    for count in range(len(ask.delivered or ()), len(alone[0]), max(1, len(alone[0]) // 6)):
        again = msgspec.structs.replace(ask, delivered=tuple(alone[0][:count]))
        assert replies(engine, *others, again)["mine"] == alone
