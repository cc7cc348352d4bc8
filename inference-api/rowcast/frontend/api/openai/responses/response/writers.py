"""Builders of the items of an output, one class per kind, and of the events about them.

begin()        it is added, and so is its part
add(text)      more of it
end(status)    its text, its part and itself are complete
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from rowcast.frontend.api.openai.response.types import TokenLogprob
from rowcast.frontend.api.openai.responses.request.items import ItemStatus, ReasoningPart
from rowcast.frontend.api.openai.responses.response.events import (
    ArgumentsDelta,
    ArgumentsDone,
    Event,
    ItemAdded,
    ItemDone,
    OutputTextDelta,
    PartAdded,
    PartDone,
    ReasoningDelta,
    ReasoningDone,
    TextDone,
)
from rowcast.frontend.api.openai.responses.response.types import (
    OutputCall,
    OutputItem,
    OutputMessage,
    OutputReasoning,
    OutputText,
)
from rowcast.text import bounded_json

Scores = Sequence[TokenLogprob]


class Writer(ABC):
    """Builds one item."""

    def __init__(self, name: str, at: int) -> None:
        """`name`: the item's id; `at`: its number."""
        self.name = name
        self.at = at
        self._texts: list[str] = []

    @property
    def text(self) -> str:
        """All of its text so far."""
        return "".join(self._texts)

    @abstractmethod
    def begin(self) -> Iterator[Event]:
        """Yield the events before its text."""

    @abstractmethod
    def add(self, text: str, scores: Scores) -> Event:
        """Return the event for more of its text."""

    @abstractmethod
    def end(self, status: ItemStatus) -> Iterator[Event]:
        """Yield the events after its text."""

    @abstractmethod
    def item(self, status: ItemStatus) -> OutputItem:
        """Return the item."""


class MessageWriter(Writer):
    """Builds a message."""

    def __init__(self, name: str, at: int) -> None:
        super().__init__(name, at)
        self._scores: list[TokenLogprob] = []

    def begin(self) -> Iterator[Event]:
        item = OutputMessage(self.name, "in_progress", [])
        yield ItemAdded(output_index=self.at, item=item)
        yield PartAdded(output_index=self.at, item_id=self.name, part=OutputText())

    def add(self, text: str, scores: Scores) -> Event:
        self._texts.append(text)
        self._scores += scores
        return OutputTextDelta(
            output_index=self.at, item_id=self.name, delta=text, logprobs=list(scores)
        )

    def end(self, status: ItemStatus) -> Iterator[Event]:
        at, name, scores = self.at, self.name, self._scores
        yield TextDone(output_index=at, item_id=name, text=self.text, logprobs=scores)
        yield PartDone(output_index=at, item_id=name, part=self._part)
        yield ItemDone(output_index=at, item=self.item(status))

    def item(self, status: ItemStatus) -> OutputMessage:
        return OutputMessage(self.name, status, [self._part])

    @property
    def _part(self) -> OutputText:
        return OutputText(self.text, logprobs=self._scores)


class ReasoningWriter(Writer):
    """Builds an item of reasoning."""

    def begin(self) -> Iterator[Event]:
        item = OutputReasoning(self.name, "in_progress", [])
        yield ItemAdded(output_index=self.at, item=item)
        yield PartAdded(output_index=self.at, item_id=self.name, part=ReasoningPart(""))

    def add(self, text: str, scores: Scores) -> Event:  # noqa: ARG002  # only messages have them
        self._texts.append(text)
        return ReasoningDelta(output_index=self.at, item_id=self.name, delta=text)

    def end(self, status: ItemStatus) -> Iterator[Event]:
        at, name, text = self.at, self.name, self.text
        yield ReasoningDone(output_index=at, item_id=name, text=text)
        yield PartDone(output_index=at, item_id=name, part=ReasoningPart(text))
        yield ItemDone(output_index=at, item=self.item(status))

    def item(self, status: ItemStatus) -> OutputReasoning:
        return OutputReasoning(self.name, status, [ReasoningPart(self.text)])


class CallWriter(Writer):
    """Builds a function call."""

    def __init__(self, name: str, at: int, call: str, function: str) -> None:
        """`call`: the call's id; `function`: what is called."""
        super().__init__(name, at)
        self._call = call
        self._function = function

    def begin(self) -> Iterator[Event]:
        yield ItemAdded(output_index=self.at, item=self.item("in_progress"))

    def add(self, text: str, scores: Scores) -> Event:  # noqa: ARG002  # only messages have them
        self._texts.append(text)
        return ArgumentsDelta(output_index=self.at, item_id=self.name, delta=text)

    def end(self, status: ItemStatus) -> Iterator[Event]:
        arguments = self.text
        yield ArgumentsDone(
            output_index=self.at, item_id=self.name, name=self._function, arguments=arguments
        )
        complete = status == "completed" or _is_json(arguments)
        item = self.item("completed" if complete else "incomplete")
        yield ItemDone(output_index=self.at, item=item)

    def item(self, status: ItemStatus) -> OutputCall:
        return OutputCall(self.name, status, self._call, self._function, self.text)


def _is_json(text: str) -> bool:
    """True if the arguments are complete, although the reply was cut."""
    try:
        bounded_json.loads(text)
    except ValueError:
        return False
    return True
