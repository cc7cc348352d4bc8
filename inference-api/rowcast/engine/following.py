"""What was drawn for a row, as the row's grammar sees it; any engine's last word on it."""

from dataclasses import replace

from rowcast.engine.engine import Drawn
from rowcast.sampling.grammar import Grammars


def follow(grammars: Grammars, drawn: Drawn) -> Drawn:
    """Tell the grammar what was drawn, and say whether the reply ends with it."""
    if problem := grammars.problem(drawn.row):
        return replace(drawn, tokens=(), logprobs=None, top=None, problem=problem)
    if grammars.ended(drawn.row):  # fed again after a backend's end, a reply may be whole already
        return replace(drawn, tokens=(), logprobs=None, top=None, problem="", ends=True)
    for token in drawn.tokens:
        grammars.take(drawn.row, token)
    return replace(drawn, ends=grammars.ended(drawn.row))
