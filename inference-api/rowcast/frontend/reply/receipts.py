"""Receipts: the inputs of replies and a digest of their tokens, so that anyone can check them.

    question   build, context, seed, parameters, stop sequences, prompts    the inputs of the tokens
    replies    prompt and choice of each; end, number of tokens, digest and trail

A chain runs through a reply's tokens: each link is the SHA-256 of the previous link (32 zero bytes
at first) followed by the token as four bytes, little-endian. The last link is the reply's `digest`;
the first bytes of all links make its `trail`: where two trails diverge, the replies do. Knows no
dialect.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, structs

from rowcast.frontend.reply.text import ReplyText
from rowcast.frontend.turns import in_turns
from rowcast.parameter import MOST, Biases, Parameter, Tokens, bounded, with_fields
from rowcast.sampling_params import PARAMETERS, SamplingParams
from rowcast.wire import Status, Submit

LEAST_SEED = -(2**63)  # seeds are reported as requested, and used modulo 2**64

Count = Annotated[int, Meta(ge=0, le=MOST)]
Positive = Annotated[int, Meta(ge=1, le=MOST)]
TokenId = Annotated[int, Meta(ge=0, le=MOST, title="TokenId")]  # the documents fill in the limit
Bias = Annotated[float, Meta(ge=-100, le=100)]
Prompted = Annotated[tuple[TokenId, ...], Meta(min_length=1)]
Text = Annotated[str, Meta(min_length=1)]
RECORDED_AS: dict[Any, Any] = {
    Tokens: tuple[TokenId, ...],
    Biases: tuple[tuple[TokenId, Bias], ...],
}
SELDOM = [each for each in PARAMETERS if each.seldom]
Hex = Annotated[str, Meta(pattern="^([0-9a-f]{2})*$")]


def _field(parameter: Parameter) -> tuple[str, Any, Any]:
    kind = bounded(RECORDED_AS.get(parameter.type, parameter.type), parameter.bounds)
    if parameter.seldom:
        return parameter.name, kind | UnsetType, UNSET
    return parameter.name, kind, parameter.default


@with_fields(_field(each) for each in PARAMETERS)
class Parameters(Struct, forbid_unknown_fields=True, kw_only=True):
    """`SamplingParams`, with the bounds of all dialects; an omitted field is off."""

    @classmethod
    def from_params(cls, params: SamplingParams) -> "Parameters":
        """Return the sampler's parameters, with nothing left out but defaults of seldom ones."""
        values = structs.asdict(params)
        for each in SELDOM:
            if values[each.name] == each.default:
                del values[each.name]
        return cls(**values)

    def to_params(self) -> SamplingParams:
        """Return the parameters for the sampler."""
        values = structs.asdict(self)
        return SamplingParams(**{name: each for name, each in values.items() if each is not UNSET})


class Question(Struct, forbid_unknown_fields=True, kw_only=True):
    """All inputs of the replies except the build."""

    version: Literal[1]
    seed: Annotated[int, Meta(ge=LEAST_SEED, le=2**63 - 1)]
    parameters: Parameters
    stop: Annotated[list[Text], Meta(max_length=16)]
    prompts: Annotated[list[Prompted], Meta(min_length=1, max_length=1024)]


class Which(Struct, forbid_unknown_fields=True, kw_only=True):
    """One reply: the number of its prompt and of its choice."""

    prompt: Annotated[int, Meta(ge=0, le=1023)]
    choice: Annotated[int, Meta(ge=0, le=127)]


class ReplyDigest(Which, kw_only=True):
    """One reply, and the data that identifies its tokens."""

    finish_reason: Literal["stop", "length"]
    tokens: Count
    digest: Hex
    trail: Hex


class Receipt(Question, kw_only=True):
    """The receipt for all replies to one request, in the order of the answer's choices."""

    model: str
    build: str
    context_length: Positive
    replies: list[ReplyDigest]


def receipt_of(status: Status, stop: Sequence[str], replies: Iterable[ReplyText]) -> Receipt:
    """Return the receipt for complete replies to one request."""
    submitted = [(reply, reply.choice.submit) for reply in replies]
    prompts = {submit.session: submit.prompt for _, submit in submitted}
    submit = submitted[0][1]
    digests = _digests(submitted, {session: at for at, session in enumerate(prompts)})
    return Receipt(
        version=1,
        model=status.model,
        build=status.fingerprint,
        context_length=status.context_length,
        seed=submit.seed if submit.seed < -LEAST_SEED else submit.seed + 2 * LEAST_SEED,
        parameters=Parameters.from_params(submit.params),
        stop=list(stop),
        prompts=list(prompts.values()),
        replies=list(digests),
    )


def chain(tokens: Iterable[int]) -> tuple[str, str]:
    """Return the digest and trail of a reply, in hexadecimal digits."""
    link, trail = bytes(32), bytearray()
    for token in tokens:
        link = hashlib.sha256(link + token.to_bytes(4, "little")).digest()
        trail.append(link[0])
    return link.hex(), trail.hex()


def _digests(
    submitted: Iterable[tuple[ReplyText, Submit]], places: Mapping[str, int]
) -> Iterator[ReplyDigest]:
    """Yield the digests, of many replies or of long ones in parts, between which streams run."""
    for reply, submit in in_turns(submitted):
        yield _digest_of(reply, submit, places[submit.session])


def _digest_of(reply: ReplyText, submit: Submit, prompt: int) -> ReplyDigest:
    digest, trail = chain(in_turns(reply.choice.tokens[: reply.tokens]))
    return ReplyDigest(
        prompt=prompt,
        choice=submit.choice,
        finish_reason="length" if reply.ending and reply.ending.reason == "length" else "stop",
        tokens=reply.tokens,
        digest=digest,
        trail=trail,
    )
