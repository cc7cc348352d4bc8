"""Chat templates: a model's own in a sandbox, a file's, or a plain one."""

import json
from pathlib import Path

import pytest

from rowcast.errors import InvalidField
from rowcast.model_files import ModelFiles
from rowcast.text.chat.template import ChatTemplate

MESSAGES = [{"role": "system", "content": "Be <kind>."}, {"role": "user", "content": "Hi & bye"}]
CHATML = """\
{%- if tools %}{{ tools | tojson }}
{% endif -%}
{%- for message in messages %}
{{- bos_token }}<|im_start|>{{ message['role'] }}
{{ message['content'] | trim }}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def folder(path: Path, **config: object) -> ModelFiles:
    (path / "tokenizer_config.json").write_text(json.dumps(config))
    return ModelFiles(str(path), path, None)


def test_a_model_without_a_template_gets_a_plain_one() -> None:
    plain = ChatTemplate.of(None)
    assert plain.render(MESSAGES) == "system: Be <kind>.\nuser: Hi & bye\nassistant:"
    assert plain.render(MESSAGES, end="closed") == "system: Be <kind>.\nuser: Hi & bye\n"
    assert not plain.knows_tools


@pytest.mark.parametrize("said", ["Well, ", "", "Hi & bye", "user: Hi"])
def test_an_open_text_ends_within_the_last_message(said: str) -> None:
    messages = [*MESSAGES, {"role": "assistant", "content": said}]
    assert ChatTemplate.plain().render(messages, end="open").endswith(f"bye\nassistant: {said}")
    trimmed = ChatTemplate(CHATML).render(messages, end="open")
    assert trimmed.endswith(f"<|im_start|>assistant\n{said}")


def test_a_template_that_hides_the_last_message_can_not_continue_it() -> None:
    with pytest.raises(InvalidField, match="last message's content"):
        ChatTemplate("{{ messages[0].content }}").render(MESSAGES, end="open")


def test_the_models_own_template_is_used(tmp_path: Path) -> None:
    token = {"content": "<s>", "special": True}
    template = ChatTemplate.of(folder(tmp_path, chat_template=CHATML, bos_token=token))
    assert template.render(MESSAGES[1:]) == (
        "<s><|im_start|>user\nHi & bye<|im_end|>\n<|im_start|>assistant\n"
    )
    assert template.knows_tools


def test_tools_are_shown_as_json_that_is_not_escaped(tmp_path: Path) -> None:
    template = ChatTemplate.of(folder(tmp_path, chat_template=CHATML, bos_token=""))
    assert template.render(MESSAGES[1:], tools=[{"a": "<é>"}]).startswith('[{"a": "<é>"}]\n')


def test_a_file_of_its_own_goes_before_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text("{{ messages[0].content }}!")
    template = ChatTemplate.of(folder(tmp_path, chat_template=CHATML))
    assert template.render(MESSAGES) == "Be <kind>.!"


def test_a_file_that_is_named_goes_before_both(tmp_path: Path) -> None:
    (tmp_path / "mine.jinja").write_text("mine")
    model = folder(tmp_path, chat_template=CHATML)
    assert ChatTemplate.of(model, str(tmp_path / "mine.jinja")).render(MESSAGES) == "mine"


def test_tools_may_have_a_template_of_their_own(tmp_path: Path) -> None:
    named = [
        {"name": "default", "template": "plain"},
        {"name": "tool_use", "template": "{{ tools | length }} tools"},
    ]
    template = ChatTemplate.of(folder(tmp_path, chat_template=named))
    assert template.render(MESSAGES) == "plain"
    assert template.render(MESSAGES, tools=[{}, {}]) == "2 tools"


def test_extra_names_reach_the_template_but_replace_nothing() -> None:
    template = ChatTemplate("{{ mood }} {{ messages | length }}")
    assert template.render(MESSAGES, extra={"mood": "calm", "messages": []}) == "calm 2"


def test_a_template_may_refuse_messages() -> None:
    template = ChatTemplate("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(InvalidField, match="roles must alternate"):
        template.render(MESSAGES)


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages.append(1) }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ messages[7].content.lower() }}",
        "{{ 1 / 0 }}",
        "{{ messages[0].content + 7 }}",
    ],
)
def test_a_template_can_do_no_harm(source: str) -> None:
    with pytest.raises(InvalidField):
        ChatTemplate(source).render(MESSAGES)


def test_training_marks_and_loop_controls_are_known() -> None:
    source = "{% generation %}a{% endgeneration %}{% for x in [1, 2] %}{% break %}{% endfor %}"
    assert ChatTemplate(source).render(MESSAGES) == "a"


def test_arguments_of_earlier_calls_are_objects_to_a_template() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    template = ChatTemplate("{{ messages[0].tool_calls[0].function.arguments.a + 1 }}")
    assert template.render([{"role": "assistant", "tool_calls": [call]}]) == "2"


def test_broken_arguments_are_shown_as_they_are() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a'}}
    template = ChatTemplate("{{ messages[0].tool_calls[0].function.arguments }}")
    assert template.render([{"role": "assistant", "tool_calls": [call]}]) == '{"a'


@pytest.mark.parametrize("constant", ["9**(9**8)", "'a' * 4000000000", "'a'|center(4000000000)"])
def test_reading_a_template_evaluates_nothing_of_it(constant: str) -> None:
    template = ChatTemplate("{{ " + constant + " }}{{ tools }}")
    assert template.knows_tools
    assert not template.is_plain
