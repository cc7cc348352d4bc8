"""One row's grammar of calls: free text, and a grammar from the beginning of each call to its end.

    free text ──a token begins a call──▶ the grammar of one call ──it is complete──▶ free text, or
                                                                                     the reply's end

In free text nothing is masked but tokens that would begin a call with something that the grammar
refuses; where there are none, the row draws as if it had no grammar. The state is a function of the
reply's tokens, drawn or fed.
"""

from collections.abc import Sequence

from rowcast.sampling.grammars.beginnings import Beginnings
from rowcast.sampling.grammars.compiler import Compiled
from rowcast.sampling.grammars.rule import Rule, TokenConsumer
from rowcast.text.chat.call_beginning import State


class CallRule:
    """The grammar of the calls in one reply."""

    def __init__(
        self,
        compiled: Compiled,
        beginnings: Beginnings,
        stops: Sequence[int],
        stride: int,
        consumer: TokenConsumer,
    ) -> None:
        self.compiled = compiled
        self._beginnings = beginnings
        self._stops = stops
        self._stride = stride
        self._consumer = consumer
        self._state = beginnings.finder.start
        self._clear = beginnings.known(self._state) == ()  # no token of this state is masked
        self._begun = b""  # a call that has begun, until its rule is made
        self._call: Rule | None = None
        self._over = False  # nothing may follow the call
        self._observed = 0  # reply tokens that the row was fed
        self._known = 0  # reply tokens that were followed, or will be before the next mask
        self._pending: list[int] = []
        self._text_mask: bytearray | None = None

    @property
    def problem(self) -> str:
        """Why the grammar cannot be followed; empty if it can."""
        return self._call.problem if self._call is not None else ""

    @property
    def mask(self) -> bytearray:
        """The mask of the next draw."""
        if self._call is not None:
            return self._call.mask
        return self._text_mask if self._text_mask is not None else self._open_mask()

    @property
    def masked(self) -> bool:
        """True if the mask of the next draw is computed."""
        return self._text_mask is not None if self._call is None else self._call.masked

    @property
    def free(self) -> bool:
        """True if the next token needs no mask."""
        if self._pending or self._begun or self._call is not None:
            return False
        return self._clear

    @property
    def waits(self) -> bool:
        """True while the row waits for its grammar, if it needs it, or for the texts of tokens."""
        if self.compiled.done:
            return False
        needed = self._pending or self._begun or self._beginnings.known(self._state)
        return bool(needed) or not self.compiled.tokens.loaded

    @property
    def whole(self) -> bool:
        """True if nothing can follow the tokens that the row was fed."""
        return self._over and self._call is not None and self._call.whole

    @property
    def ended(self) -> bool:
        """True if nothing can follow the last token that was followed."""
        return self._over and not self.problem

    def observe(self, tokens: Sequence[int]) -> None:
        """Note reply tokens that the row is fed; those drawn here are known already."""
        fresh = tokens[max(0, self._known - self._observed) :]
        self._observed += len(tokens)
        self._known += len(fresh)
        self._pending += fresh
        if fresh:
            self._text_mask = None

    def take(self, token: int) -> bool:
        """Note a token that was drawn; False if `advance` must consume it first."""
        if self._call is None:
            self._follow_text(token)
        elif not self._call.take(token):
            return False
        else:
            self._leave_call()
        self._known += 1
        return True

    def advance(self) -> None:
        """Follow pending tokens, and compute the mask unless it is done."""
        pending, self._pending = self._pending, []
        self._open_call()
        for token in pending:
            if self._call is None:
                self._follow_text(token)
                self._open_call()
            else:
                self._call.follow([token])
                self._leave_call()
        if self._call is not None:
            self._call.advance()
        elif not self._beginnings.overshooting(self._state):
            self._clear = True
        elif self.compiled.done:
            self._text_mask = self._mask_of_text()

    def abandoned(self) -> Rule:
        """Return the replacement for a rule whose mask does not come: it ends the reply."""
        return self._new_call().abandoned()

    def _new_call(self) -> Rule:
        return Rule(self.compiled, self._stops, self._stride, self._consumer)

    def _follow_text(self, token: int) -> None:
        state, self._begun = self._beginnings.follow(self._state, token)
        if self._begun or state is not self._state:
            self._go_to(state)

    def _go_to(self, state: State) -> None:
        self._state, self._text_mask = state, None
        self._clear = self._beginnings.known(state) == ()

    def _open_call(self) -> None:
        """Make the rule of a call that has begun."""
        if self._begun:
            self._call, begun = self._new_call(), self._begun
            self._begun = b""
            self._call.follow(self.compiled.tokens.split(begun))
            self._leave_call()

    def _leave_call(self) -> None:
        """Return to the text if the call is complete and the reply may go on."""
        if self._call is None or not self._call.ended:
            return
        if self._beginnings.several:
            self._call = None
            self._go_to(self._beginnings.finder.after_call)
        else:
            self._over = True

    def _open_mask(self) -> bytearray:
        return bytearray(b"\xff") * self._stride

    def _mask_of_text(self) -> bytearray:
        """Return the mask of a place where some tokens would begin a call that is refused."""
        mask = self._open_mask()
        for token, begun in self._beginnings.overshooting(self._state):
            if not self._is_followed(begun):
                mask[token // 8] &= ~(1 << token % 8) & 0xFF
        return mask

    def _is_followed(self, begun: bytes) -> bool:
        """True if the grammar allows a call to begin like this."""
        matcher, tokens = self.compiled.matcher(), self.compiled.tokens.split(begun)
        return matcher is None or (bool(tokens) and matcher.validate_tokens(tokens) == len(tokens))
