"""From TGI's body to a prompt.

Greedy, unless `do_sample` is true or the body has a temperature, `top_k` or `top_p`;
`max_new_tokens` is 100 by default. What is not supported is refused.
"""

from dataclasses import dataclass
from typing import Any

from rowcast.errors import InvalidField
from rowcast.frontend.api.bodies.parsing import as_struct
from rowcast.frontend.api.bodies.rules import compiled, schema_of
from rowcast.frontend.api.generate.tgi.body import (
    GenerateParameters,
    InputsBody,
    JsonGrammar,
    RegexGrammar,
    SchemaGrammar,
)
from rowcast.frontend.api.openai.response.logprobs import check_amount
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.models.waiting import ClaimOptions
from rowcast.frontend.request.origin import Origin
from rowcast.frontend.request.prompt import Prompt
from rowcast.frontend.request.request import Request
from rowcast.frontend.served_model import ServedModel
from rowcast.offload import tasks
from rowcast.sampling_params import SamplingParams
from rowcast.text.stop import StopSequences

MAX_NEW_TOKENS = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """A parsed body."""

    parameters: GenerateParameters
    stream: bool
    served: ServedModel
    origin: Origin
    prompt: Prompt

    @property
    def seed(self) -> int | None:
        """The seed; None if no token is drawn."""
        return self.prompt.seed if self.parameters.samples else None

    @property
    def before(self) -> str:
        """The text before the reply."""
        return self.prompt.text if self.parameters.return_full_text else ""


def wanted_of(
    frontend: Frontend, request: Request, sent: dict[str, Any], *, stream: bool = False
) -> Wanted:
    """Parse and validate a body. `stream`: stream the reply, whatever the body says."""
    body = _body(sent)
    stream = stream or bool(body.stream)
    parameters = body.parameters or GenerateParameters()
    _check(parameters, stream=stream)
    served = frontend.model(body.model, request, ClaimOptions(events=stream))
    origin = request.origin()
    tokens = _tokens(served, request, body.inputs, parameters.truncate)
    prompt = Prompt(
        tokens=tokens,
        text=body.inputs,
        params=_params(parameters, len(tokens), _grammar(served, request, parameters), stream),
        seed=origin.seed if parameters.seed is None else parameters.seed,
        dialect="tgi",
        stop=StopSequences(parameters.stop or ()),
        choices=range(parameters.best_of or 1),
    )
    return Wanted(parameters, stream, served, origin, prompt)


def _body(sent: dict[str, Any]) -> InputsBody:
    for name in ("prompt", "text"):
        if name in sent:
            raise InvalidField(name, "cannot be combined with inputs; send one of them")
    return as_struct(sent, InputsBody)


def _check(parameters: GenerateParameters, *, stream: bool) -> None:
    """Refuse what is not supported, and values that cannot be combined."""
    if parameters.typical_p not in {None, 1}:
        raise _refused("typical_p", "is not supported; send top_p")
    if parameters.watermark:
        raise _refused("watermark", "is not supported: replies are not marked; send false")
    if parameters.adapter_id is not None:
        raise _refused("adapter_id", "is not supported: there are no adapters; leave it out")
    several = (parameters.best_of or 1) > 1
    if several and not parameters.samples:
        raise _refused("best_of", "needs sampling: without it all replies are equal")
    if several and stream:
        raise _refused("best_of", "cannot be streamed: the best is known only at the end")
    if parameters.decoder_input_details and stream:
        raise _refused("decoder_input_details", "has no place in a stream; leave one of them out")


def _refused(name: str, problem: str) -> InvalidField:
    return InvalidField(f"parameters.{name}", problem)


def _tokens(
    served: ServedModel, request: Request, inputs: str, truncate: int | None
) -> tuple[int, ...]:
    """Return the prompt's tokens: the last `truncate`, or all of them."""
    tokens = served.encode(request, inputs, for_prompt=truncate is None)
    return tokens if truncate is None else tokens[-truncate:]


def _grammar(served: ServedModel, request: Request, parameters: GenerateParameters) -> str:
    """Return the rule that the reply must follow."""
    field = "parameters.grammar.value"
    match parameters.grammar:
        case JsonGrammar(value=value):
            schema = schema_of(field, value)
        case SchemaGrammar(value=named):
            schema = named.schema
        case RegexGrammar(value=regex):
            return compiled(served, request, field, tasks.regex_rule, regex).grammar
        case None:
            return ""
    # TGI's users omit the type: TGI allows only objects.
    rule = compiled(served, request, field, tasks.schema_rule, {"type": "object"} | schema, True)
    return rule.grammar


def _params(
    parameters: GenerateParameters, prompt_tokens: int, grammar: str, stream: bool
) -> SamplingParams:
    max_tokens = parameters.max_new_tokens or MAX_NEW_TOKENS
    several, likeliest = (parameters.best_of or 1) > 1, parameters.top_n_tokens or 0
    if parameters.shows_details:
        scored = prompt_tokens if parameters.decoder_input_details else 0
        check_amount(parameters.best_of or 1, scored, max_tokens, likeliest)
    return SamplingParams(
        max_tokens=max_tokens,
        temperature=(parameters.temperature or 1.0) if parameters.samples else 0.0,
        top_k=parameters.top_k or 0,
        top_p=parameters.top_p or 1.0,
        repetition_penalty=parameters.repetition_penalty or 1.0,
        frequency_penalty=parameters.frequency_penalty or 0.0,
        logprobs=stream or several or parameters.shows_details,
        top_logprobs=likeliest if stream or parameters.shows_details else 0,
        prompt_logprobs=bool(parameters.decoder_input_details),
        grammar=grammar,
    )
