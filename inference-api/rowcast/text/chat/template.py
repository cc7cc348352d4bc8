"""A model's chat template: from messages to the text that the model continues.

Templates are Jinja, and come with models: in `chat_template.jinja` or `tokenizer_config.json`. They
run in a sandbox that allows no changes. Compiling a template runs parts of it, since constants are
evaluated then: so compilation waits for the first rendering, and loading only parses. A model
without a template gets `PLAIN`: one line per message. Knows no HTTP, no tokens, and loads no
transformers.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

from jinja2 import Environment, Template, TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rowcast.errors import InvalidField
from rowcast.model_files import ModelFiles
from rowcast.text import bounded_json
from rowcast.text.chat.forms import form_of
from rowcast.text.chat.forms.form import Form
from rowcast.text.chat.forms.tagged import TAGGED
from rowcast.text.chat.plain_tools import with_tools

PLAIN = """\
{%- for message in messages %}{{ message.role }}: {{ message.content or '' }}
{% endfor %}
{%- if add_generation_prompt %}assistant:{% endif %}"""
FILE = "chat_template.jinja"
CONFIG = "tokenizer_config.json"
_RESERVED = frozenset({"messages", "tools", "add_generation_prompt"})
_SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")

Message = Mapping[str, Any]

# Where a rendered text ends: at the start of the assistant's turn, after the last message, or
# within it, so that the model continues that message.
End = Literal["turn", "closed", "open"]
_HERE: Final = "\ue000the text ends here\ue000"


class ChatTemplate:
    """A template, ready to render."""

    def __init__(
        self,
        source: str,
        *,
        tool_source: str | None = None,
        special: Mapping[str, str] | None = None,
        name: str = "the model's own",
    ) -> None:
        self._environment = _environment()
        self.name = name
        self.source = tool_source or source
        self._sources = (source, self.source)  # without and with tools
        self._special = dict(special or {})
        _, parsed = map(self._environment.parse, self._sources)
        self._names = {name.name for name in parsed.find_all(nodes.Name) if name.ctx == "load"}
        self._constants = {each.value for each in parsed.find_all(nodes.Const)}

    @classmethod
    def plain(cls) -> "ChatTemplate":
        """Return the template for models without one."""
        return cls(PLAIN, name="plain")

    @classmethod
    def of(cls, files: ModelFiles | None, file: str | None = None) -> "ChatTemplate":
        """Return the template in a model's files, or in `file`, which replaces it."""
        config = files.words(CONFIG) if files else {}
        sources = _sources(files, config) if files else {}
        if file is not None:
            sources = {"default": Path(file).read_text(encoding="utf-8")}
        if "default" not in sources:
            return cls.plain()
        special = {name: text for name in _SPECIAL if (text := _token_text(config.get(name)))}
        name = "the model's own" if file is None else file
        return cls(
            sources["default"], tool_source=sources.get("tool_use"), special=special, name=name
        )

    @property
    def is_plain(self) -> bool:
        """True for our own plain template."""
        return self.source == PLAIN

    @property
    def knows_tools(self) -> bool:
        """True if the template shows tools to the model."""
        return "tools" in self._names

    @cached_property
    def form(self) -> Form:
        """The form in which replies call tools; without tools in it, that of `plain_tools`."""
        return form_of(self.source) if self.knows_tools else TAGGED

    def shows(self, *roles: str) -> bool:
        """True if the template names all of these roles."""
        return self._constants.issuperset(roles)

    def compile(self) -> None:
        """Compile now, so that the first rendering is not slow."""
        _ = self._templates

    @cached_property
    def _templates(self) -> tuple[Template, Template]:
        """The compiled templates, without tools and with them."""
        plain, tooled = self._sources
        compiled = self._environment.from_string(plain)
        if plain == tooled:
            return compiled, compiled
        return compiled, self._environment.from_string(tooled)

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        end: End = "turn",
        extra: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the messages as one text, which the model continues."""
        if tools and not self.knows_tools:
            return self._render_plainly(messages, tools, end=end, extra=extra)
        more = {name: value for name, value in (extra or {}).items() if name not in _RESERVED}
        adapted = self._adapted(messages)
        if end == "open":
            adapted[-1]["content"] = f"{adapted[-1].get('content') or ''}{_HERE}"
        try:
            text = self._templates[bool(tools)].render(
                {
                    **self._special,
                    **more,
                    "messages": adapted,
                    "tools": list(tools) if tools else None,
                    "add_generation_prompt": end == "turn",
                }
            )
            return _before_mark(text) if end == "open" else text
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise InvalidField("messages", f"do not fit the model's template: {error}") from error

    def _render_plainly(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]],
        *,
        end: End,
        extra: Mapping[str, Any] | None,
    ) -> str:
        """Render the tools within the messages; not every template takes a system message."""
        adapted = self._adapted(messages)
        try:
            return self.render(with_tools(adapted, tools), end=end, extra=extra)
        except InvalidField:
            described = with_tools(adapted, tools, system=False)
            return self.render(described, end=end, extra=extra)

    def _adapted(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """Convert messages for most templates: no `developer` role, and arguments as objects.

        Then as templates of this form of calls take them.
        """
        return self.form.history([self._adapt(message) for message in messages])

    def _adapt(self, message: Message) -> dict[str, Any]:
        adapted = dict(message)
        if adapted["role"] == "developer" and "developer" not in self.source:
            adapted["role"] = "system"
        if adapted.get("tool_calls"):
            adapted["tool_calls"] = [_with_object(call) for call in adapted["tool_calls"]]
        reasoning = adapted.get("reasoning_content") or adapted.get("reasoning")
        if reasoning:  # templates use one of these names
            adapted |= {"reasoning_content": reasoning, "reasoning": reasoning}
        return adapted


def _before_mark(text: str) -> str:
    """Return the text up to the end of the last message's content."""
    before, mark, _ = text.rpartition(_HERE)
    if not mark:
        raise InvalidField(
            "continue_final_message",
            "cannot be used: the model's template does not show the last message's content",
        )
    return before


def _with_object(call: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments as an object; unchanged if a cut reply left them malformed."""
    if "custom" in call:  # to templates, a function of one argument
        custom = call["custom"]
        function = {"name": custom["name"], "arguments": {"input": custom["input"]}}
        return {"id": call["id"], "type": "function", "function": function}
    function = dict(call["function"])
    if isinstance(function["arguments"], str):
        function["arguments"] = _spelled(function["arguments"] or "{}")
    return {**call, "function": function}


def _spelled(text: str) -> Any:
    try:
        return bounded_json.loads(text)
    except bounded_json.TooDeep as error:
        raise InvalidField("messages", f"hold a tool call with arguments {error}") from error
    except ValueError:
        return text


def _sources(files: ModelFiles, config: Mapping[str, Any]) -> dict[str, str]:
    """Return templates by name; the separate file is the newer convention."""
    file = files.find(FILE)
    if file is not None:
        return {"default": file.read_text(encoding="utf-8")}
    found = config.get("chat_template")
    if isinstance(found, str):
        return {"default": found}
    return {each["name"]: each["template"] for each in found or []}


def _token_text(token: object) -> str:
    """Return a special token's text; an object may describe the token."""
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else ""


class _Generation(Extension):
    """`{% generation %}` marks the assistant's text for training; here it renders its body."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _now
    return environment


def _to_json(value: object, indent: int | None = None, **options: Any) -> str:
    """Replace Jinja's own filter, which escapes for HTML."""
    return json.dumps(value, ensure_ascii=options.get("ensure_ascii", False), indent=indent)


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)  # noqa: DTZ005  # a template shows the local date
