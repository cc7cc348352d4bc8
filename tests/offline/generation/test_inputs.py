"""The forms in which prompts come, each with its parameters."""

import pytest

from rowcast import SamplingParams
from rowcast.errors import InvalidField
from rowcast.offline.generation.inputs import Input, PromptInput, inputs_of, is_one, paired


def test_the_forms_of_one_prompt() -> None:
    for form in ("a", {"prompt": "a"}):
        assert list(inputs_of(form)) == [Input("prompt", "a")]
    forms: list[PromptInput] = [[1, 2], (1, 2), {"prompt_token_ids": [1, 2]}]
    for tokens in forms:
        assert list(inputs_of(tokens)) == [Input("prompt", None, (1, 2))]
        assert is_one(tokens)


def test_a_list_numbers_its_prompts() -> None:
    prompts: list[PromptInput] = ["a", [1], {"prompt": "b"}]
    found = list(inputs_of(prompts))
    assert [each.name for each in found] == ["prompts[0]", "prompts[1]", "prompts[2]"]
    assert not is_one(["a"])


@pytest.mark.parametrize(
    ("prompts", "problem"),
    [
        (7, "prompts must be a string"),
        (["a", 7], r"prompts\[1\] must be a string"),
        (["a", []], r"prompts\[1\] is empty"),
        ([{"prompt": ""}], r"prompts\[0\] is empty"),
        ({"text": "a"}, "prompt has 'text'; it must be"),
        ([{"prompt_embeds": 1}], r"prompts\[0\] has 'prompt_embeds'"),
        ([[1, "a"]], r"prompts\[0\] must be"),
    ],
)
def test_what_is_no_prompt_is_named(prompts: object, problem: str) -> None:
    with pytest.raises(InvalidField, match=problem):
        list(inputs_of(prompts))  # type: ignore[arg-type]


def test_parameters_are_shared_or_one_for_each() -> None:
    one, two = SamplingParams(), SamplingParams(n=2)
    assert list(paired("ab", one, 2)) == [("a", one), ("b", one)]
    assert list(paired("ab", None, 2)) == [("a", None), ("b", None)]
    assert list(paired("ab", [one, two], 2)) == [("a", one), ("b", two)]
    with pytest.raises(InvalidField, match="has 1 entries for 2 prompts; give one for each"):
        list(paired("ab", [one], 2))
    with pytest.raises(InvalidField, match="has only 1 entries"):
        list(paired(iter("ab"), [one], None))
    with pytest.raises(InvalidField, match="contains 7; give SamplingParams"):
        list(paired("a", [7], 1))  # type: ignore[list-item]
