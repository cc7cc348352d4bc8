"""Tokens that begin a call and go on in it; free text needs a mask only for these.

    text so far: …<tool_call>    token: {"     begins a call, and adds a quote to it
                                 token: {      begins a call; the grammar has nothing to refuse
                                 token: the    begins none

Results are cached for each state of a `Finder`: there are few, except in text that resembles a bare
call, so their number is bounded.
"""

from functools import cached_property

from rowcast.sampling.grammars.token_bytes import TokenBytes
from rowcast.text.chat.call_beginning import Beginning, Finder, State

_STATES = 1024  # whose results are held


class Beginnings:
    """Where the calls of one grammar begin, in the tokens of one model."""

    def __init__(self, beginning: Beginning, tokens: TokenBytes) -> None:
        self.finder = Finder(beginning)
        self.several = beginning.several
        self._tokens = tokens
        self._last = self.finder.form.last_character.encode()  # before the place of a call
        self._shown = {token: text.encode() for token, text in beginning.shown}
        self._overshooting: dict[State, tuple[tuple[int, bytes], ...]] = {}

    def follow(self, state: State, token: int) -> tuple[State, bytes]:
        """Return the state after one more token, and the beginning of the call that it begins."""
        data = self._shown[token] if token in self._shown else self._tokens.of(token)
        return self.finder.find(state, data, is_mark=token in self._shown)

    def known(self, state: State) -> tuple[tuple[int, bytes], ...] | None:
        """Return the result of `overshooting` if it is cached."""
        return self._overshooting.get(state)

    def overshooting(self, state: State) -> tuple[tuple[int, bytes], ...]:
        """Return the tokens that may begin a call and go on, with the call's beginning."""
        found = self._overshooting.get(state)
        if found is None:
            found = tuple([(token, call) for token, call in self._calls(state) if call])
            if len(self._overshooting) >= _STATES:
                self._overshooting.clear()
            self._overshooting[state] = found
        return found

    def _calls(self, state: State) -> list[tuple[int, bytes]]:
        at_once = bool(self.finder.find(state, self._last)[1])
        tokens = self._tokens.beyond(self._last) if at_once else self._later
        return [(token, self.finder.find(state, data)[1]) for token, data in tokens]

    @cached_property
    def _later(self) -> tuple[tuple[int, bytes], ...]:
        """The tokens with something before that character."""
        tokens = self._tokens.beyond(self._last)
        return tuple([each for each in tokens if each[1].lstrip()[:1] != self._last])
