"""Beam search in a body: vLLM's fields, and what may not be sent beside them.

    use_beam_search, n or best_of, length_penalty, early_stopping ──▶ parameters of the search

`best_of` is the number of beams, `n` that of the hypotheses returned. As in vLLM, a body that
samples is refused; only what was sent counts, not the defaults of the model.
"""

from typing import Any

from rowcast.errors import InvalidField
from rowcast.frontend.api.bodies.types import Sampling

# What chooses among tokens at random, and the values that do not.
_NEUTRAL: dict[str, tuple[float, ...]] = {
    "temperature": (0,),
    "top_p": (1,),
    "top_k": (-1, 0),
    "min_p": (0,),
}
_OPTIONS: dict[str, object] = {"length_penalty": 1.0, "early_stopping": False}


def beams_of(body: Sampling) -> dict[str, Any]:
    """Return the sampler's parameters that a beam search sets; none without one."""
    if not body.use_beam_search:
        _check_no_options(body)
        return {}
    for name, values in _NEUTRAL.items():
        sent = getattr(body, name)
        if sent is not None and sent not in values:
            raise InvalidField(
                name, f"must be {values[0]} with use_beam_search, which draws nothing; leave it out"
            )
    return {"beams": _width(body), "temperature": 0.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0}


def check_beams(values: dict[str, Any], *, grammar: str, prompt_logprobs: bool) -> None:
    """Refuse what the backend does not combine with a beam search."""
    if "beams" not in values:
        return
    if grammar:
        raise InvalidField(
            "use_beam_search", "cannot be combined with a rule for the reply; send one of them"
        )
    if prompt_logprobs:
        raise InvalidField("echo", "cannot be combined with use_beam_search and logprobs")


def _check_no_options(body: Sampling) -> None:
    for name, neutral in _OPTIONS.items():
        if getattr(body, name) not in {None, neutral}:
            raise InvalidField(name, "belongs to beam search; send use_beam_search: true")


def _width(body: Sampling) -> int:
    width: int = getattr(body, "best_of", None) or body.n or 1
    if width < 2:
        name = "best_of" if hasattr(body, "best_of") else "n"
        raise InvalidField(
            name, f"is {width}; use_beam_search needs at least 2 beams: send n or best_of"
        )
    return width
