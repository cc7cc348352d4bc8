"""Tool calls in a reply's text, found while the text is arriving.

Models write calls in a form that their chat template teaches; `forms/` has each of them.
`ToolReader.feed(text)` returns text, the names of calls that begin, and their arguments piece by
piece; joined, the pieces do not depend on where the text was cut. Anything that looks like a call
but is not one remains text. `tool_rule.py` has the grammars of calls, `call_beginning.py` the place
from which they apply.
"""

from collections.abc import Callable, Collection

from rowcast.text.chat.forms.form import PLAIN, Form, Head, NoHead, Opened
from rowcast.text.chat.parts import CallArguments, CallStart, ReasoningPart, TextPart
from rowcast.text.json_value import JsonValue

Found = TextPart | ReasoningPart | CallStart | CallArguments


class ToolReader:
    """Splits one reply's text into text and calls."""

    def __init__(self, form: Form, names: Collection[str], *, several: bool = True) -> None:
        self._form = form
        self._names = frozenset(names)
        self._several = several
        self._held = ""
        self._place = form.start
        self._signs = form.signs_of_calls
        self._opening = ""  # of the call whose head is read
        self._another = False  # that call follows one without text between them
        self._after_call = False
        self._arguments = JsonValue()
        self._state: Callable[[], list[Found] | None] = self._read_text
        self.calls = 0

    @property
    def unfinished(self) -> bool:
        """True if a call has begun whose arguments have not ended."""
        return self._state == self._read_arguments

    @property
    def thinking(self) -> bool:
        """True if the next text is reasoning."""
        return self._state == self._read_text and self._place in self._form.thoughts

    def feed(self, text: str) -> list[Found]:
        """Return what this text adds."""
        self._held += text
        found: list[Found] = []
        while self._held and (step := self._state()) is not None:
            found += step
        return found if self._several else [each for each in found if not _is_second(each)]

    def finish(self) -> list[Found]:
        """Return the text held back until the end of the reply."""
        held, self._held = self._held, ""
        if self._state == self._read_tail:
            return []  # part of a call's end
        opening = self._opening if self._state == self._read_head else ""
        return self._parts(opening + held)

    def _read_text(self) -> list[Found] | None:
        """Read up to the next opening; hold back text that may become one."""
        if self._after_call and self._place != PLAIN:
            self._held = self._held.lstrip()  # drop white space between calls
            self._after_call = not self._held
        sign = self._signs.get(self._place)
        if sign is not None and sign not in self._held:
            text, self._held = self._held, ""
            return self._parts(text)
        place, length = self._place, len(self._held)
        sought = self._form.seek(place, self._held)
        found = self._parts(sought.text)
        self._held, self._place = sought.rest, sought.place
        if sought.opening is not None:
            self._opening, self._another, self._state = sought.opening, False, self._read_head
            return found
        return found if found or place != sought.place or len(sought.rest) < length else None

    def _parts(self, text: str) -> list[Found]:
        """Return text as the part that it is at this place."""
        if not text:
            return []
        return [ReasoningPart(text) if self._place in self._form.thoughts else TextPart(text)]

    def _read_head(self) -> list[Found] | None:
        """Read up to the beginning of the arguments."""
        head = self._form.head(Opened(self._held, self._names, another=self._another))
        if isinstance(head, Head):
            return self._begin(head)
        if head is NoHead.YET:
            return None
        self._state, self._place = self._read_text, self._form.after_stray
        return self._parts(self._opening)

    def _begin(self, head: Head) -> list[Found]:
        self._held = self._held[head.end :]
        self._arguments = JsonValue()
        self._state = self._read_arguments
        self.calls += 1
        return [CallStart(self.calls - 1, head.name)]

    def _read_arguments(self) -> list[Found] | None:
        taken = self._arguments.feed(self._held)
        text, self._held = self._held[:taken], self._held[taken:]
        if self._arguments.ended:
            self._state = self._read_tail
        return [CallArguments(self.calls - 1, text)] if text else None

    def _read_tail(self) -> list[Found] | None:
        """Read what ends a call, up to the next one's head or to text."""
        tail = self._form.tail(self._held)
        if tail is None:
            return None
        self._held = self._held[tail.end :]
        self._another, self._opening = tail.another, ""
        self._after_call, self._place = True, self._form.after_call
        self._state = self._read_head if tail.another else self._read_text
        return []


def _is_second(found: Found) -> bool:
    return isinstance(found, CallStart | CallArguments) and found.index > 0
