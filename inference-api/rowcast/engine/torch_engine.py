"""A model behind the `Engine` Protocol: 32 rows, one flattened sequence per step.

    feeds ──▶ one sequence of a safe width ──▶ decoder over the row cache ──▶ logits
          of rows that draw ──▶ sampler ──▶ new tokens
          of slots before prompt tokens to be scored ──▶ scorer ──▶ log-probabilities
                                                   ──▶ states of prompts to be pooled ──▶ vectors

Bits do not depend on other rows: a decoder runs only at widths that the probe found to agree, and
attention and sampling reduce each token on its own, in one order. Knows no decoder's arithmetic.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from msgspec import structs
from torch import Tensor

from rowcast.engine.decoding.decoder import DecoderMaker
from rowcast.engine.decoding.facts import Facts
from rowcast.engine.decoding.row_cache import LayerShape, RowCache, grain_of, token_bytes
from rowcast.engine.decoding.widths import Widths, candidates, probe
from rowcast.engine.engine import CacheMemory, Candidates, Drawn, Feed, SavedCache, Scores, Seating
from rowcast.engine.grammar_check import follow, late
from rowcast.engine.kernels.arithmetic import AUTO, Arithmetic
from rowcast.engine.kernels.attention import Attention, choose_attention
from rowcast.engine.kernels.gpu.available import DTYPES, GpuKernels
from rowcast.engine.kernels.linear_kernel import LinearKernel
from rowcast.engine.kernels.token_sampler import choose_token_sampler
from rowcast.engine.pooling import NOT_FINITE, Pools
from rowcast.sampling.candidates import Amount, Ranked
from rowcast.sampling.grammars.grammars import Grammars, TokenTexts
from rowcast.sampling.logprobs import Report
from rowcast.sampling.masks import Masks
from rowcast.sampling.sampler import SampledToken, Sampler
from rowcast.sampling.scorer import Scorer
from rowcast.sampling.token_sampler import TokenSampler
from rowcast.sampling_params import SamplingParams

ROWS = 32
WIDEST = 128
WIDEST_ON_GPU = 1024  # where any width is safe: enough tokens to keep its matrix units busy
BESIDE, BESIDE_ON_GPU = 7 / 16, 7  # tokens of prompts beside those of decoding rows, per row


class TorchEngine:
    """One loaded model."""

    def __init__(
        self,
        name: str,
        facts: Facts,
        make_decoder: DecoderMaker,
        token_texts: Callable[[], TokenTexts],  # the texts of its tokens, for grammars
        *,
        rows: int = ROWS,
        widest: int = WIDEST,
        memory: CacheMemory | None = None,  # None: for all rows in full
        arithmetic: Arithmetic = AUTO,  # of attention on a CPU
        kernels: GpuKernels | None = None,  # of the device, if it is a GPU
    ) -> None:
        self.model = name
        self.rows = rows
        self.width = self.shared_width = widest
        self.context_length = facts.context
        self.end_tokens = facts.end_tokens
        self._device, self._dtype = facts.device, facts.dtype
        whole = whole_memory(facts.shapes, rows, facts.context, facts.dtype)
        self.memory = memory or whole
        self._kernels = kernels
        attention = _attention(facts, arithmetic, kernels)
        self._cache = cache = RowCache(
            facts.shapes,
            attention,
            rows=rows,
            context=facts.context,
            dtype=self._dtype,
            device=self._device,
            sparse=self.memory.tokens < whole.tokens,
        )
        self.decoder, kernel = make_decoder(attention, cache, widest)
        self.dimensions = self.decoder.dimensions
        self.token_bytes = cache.token_bytes
        self.classifies = self.decoder.classifier is not None
        self.has_threads = kernel is not None  # besides torch's
        self.vocabulary = facts.vocabulary
        self._suppressed = facts.suppressed
        native = _token_sampler(rows, self.vocabulary, kernels, self._device, kernel)
        self._sampler = Sampler(rows, self.vocabulary, facts.end_tokens, self._device, native)
        self._scorer = Scorer(self._device, native)
        self._grammars = Grammars(rows, self.vocabulary, token_texts)
        self._masks = Masks(self._grammars, self.vocabulary, self._device)
        self._pools = Pools(self.decoder.classifier)
        self._prompts: dict[int, int] = {}
        self._tops: dict[int, int] = {}  # how many of the likeliest tokens accompany scores
        self._amounts: dict[int, Amount] = {}  # of the rows of beam searches
        self._given_back: set[int] = set()  # rows whose next token sampler and grammar know
        self._digest = facts.digest
        self._widths = Widths((widest,))
        self.fingerprint = ""

    def compile(self) -> None:
        """Probe this machine; from here on every step runs at a width that agrees."""
        self._widths = probe(self._probe_step, self.vocabulary, self.width)
        build = (
            f"{self._digest} {self._dtype} {self.decoder.name} {self._widths.safe} "
            f"{torch.__version__} {self._device.type} {torch.backends.cpu.get_cpu_capability()}"
        )
        if self._kernels is not None:
            build += f" {self._kernels.name}"
        self.fingerprint = hashlib.sha256(build.encode()).hexdigest()[:16]
        if self.decoder.any_width and self._widths.safe == candidates(self.width):
            self._widths = Widths(tuple(range(self.width + 1)))
        beside = BESIDE if self._kernels is None else BESIDE_ON_GPU
        self.shared_width = self._widths.fitting(
            min(self.width, self.rows + int(self.rows * beside))
        )

    @property
    def widths(self) -> Widths:
        """The widths at which steps run."""
        return self._widths

    @torch.inference_mode()
    def seat(self, row: int, seating: Seating) -> None:
        self._prompts[row] = seating.prompt_length
        self._tops[row] = seating.params.top_logprobs
        self._pools.seat(row, seating)
        self._sampler.seat(row, self._allowed(seating.params), seating.seed, seating.choice)
        self._amounts.pop(row, None)
        if seating.params.beams:
            self._amounts[row] = self._amount_of(seating.params)
        self._given_back.discard(row)
        self._grammars.seat(row, seating.params, seating.team)
        if seating.held:
            self._observe(Feed(row, 0, seating.held, draws=False))

    def leave(self, row: int) -> None:
        self._pools.leave(row)
        self._amounts.pop(row, None)
        self._grammars.leave(row)

    def _amount_of(self, params: SamplingParams) -> Amount:
        endings = params.endings(self.end_tokens)
        return Amount(params.beams + len(endings), params.top_logprobs)

    def _allowed(self, params: SamplingParams) -> SamplingParams:
        """Add the tokens that the model's own configuration suppresses to the banned ones."""
        if not self._suppressed:
            return params
        return structs.replace(params, banned_tokens=(*params.banned_tokens, *self._suppressed))

    @torch.inference_mode()
    def fork(self, source: int, target: int, tokens: Sequence[int], held: int = 0) -> None:
        self._cache.copy(source, target, held, len(tokens))
        self._sampler.forget(target)
        self._observe(Feed(target, 0, tokens, draws=False), held)

    @torch.inference_mode()
    def copy(self, source: int, target: int, count: int) -> None:
        self._cache.copy(source, target, 0, count)

    @torch.inference_mode()
    def save(self, row: int, count: int) -> SavedCache:
        return self._cache.save(row, count)

    def new_saved(self, count: int) -> SavedCache:
        return self._cache.new_saved(count)

    @torch.inference_mode()
    def save_part(self, row: int, saved: SavedCache, begin: int, end: int) -> None:
        self._cache.save_part(row, saved, begin, end)

    @torch.inference_mode()
    def load(self, row: int, saved: SavedCache, count: int) -> None:
        self._cache.load(row, saved, count)

    def trim(self, row: int, length: int) -> None:
        self._cache.trim(row, length)

    def ready(self, row: int) -> bool:
        return self._grammars.ready(row)

    @torch.inference_mode()
    def step(self, feeds: Sequence[Feed]) -> list[Drawn]:
        for feed in feeds:
            self._observe(feed)
        tokens = [token for feed in feeds for token in feed.tokens]
        rows = [feed.row for feed in feeds for _ in feed.tokens]
        positions = [feed.position + at for feed in feeds for at in range(len(feed.tokens))]
        drawing = [feed for feed in feeds if feed.draws]
        scoring = [feed for feed in feeds if feed.scored]
        self._grammars.prepare([feed.row for feed in drawing])
        wanted = _last_slots(feeds)
        if scoring:
            wanted += _scored_slots(feeds)
        pooled = self._pools.logit_slots(feeds) if self._pools else []
        logits = self._forward(tokens, rows, positions, wanted + pooled)
        drawn = self._draw(logits, drawing)
        if scoring:
            drawn = self._score(logits[len(drawing) :], scoring, drawn)
        if self._pools:
            drawn += self._pools.drawn(feeds, self.decoder.states, logits[len(wanted) :])
        return drawn

    def _draw(self, logits: Tensor, drawing: Sequence[Feed]) -> list[Drawn]:
        if not self._amounts:
            return self._sample(logits, drawing)
        beams = [at for at, feed in enumerate(drawing) if feed.row in self._amounts]
        others = [at for at, feed in enumerate(drawing) if feed.row not in self._amounts]
        if not beams:
            return self._sample(logits, drawing)
        return [
            *self._rank(self._at(logits, beams), [drawing[at] for at in beams]),
            *self._sample(self._at(logits, others), [drawing[at] for at in others]),
        ]

    def _rank(self, logits: Tensor, drawing: Sequence[Feed]) -> list[Drawn]:
        """Return the candidates of rows of beam searches."""
        rows = [feed.row for feed in drawing]
        amounts = [self._amounts[row] for row in rows]
        ranked = self._sampler.rank(logits, rows, self._indexes(drawing), amounts)
        return [_candidates(row, each) for row, each in zip(rows, ranked, strict=True)]

    def _sample(self, logits: Tensor, drawing: Sequence[Feed]) -> list[Drawn]:
        if not drawing:
            return []
        masked = self._grammars.finish()
        if masked:
            for row, refused in zip(masked, self._masks.refused(masked), strict=True):
                self._sampler.refuse(row, refused)
        set_aside = [late(feed.row) for feed in drawing if self._grammars.late(feed.row)]
        drawn = self._choose(logits[: len(drawing)], drawing)
        if self._grammars:
            drawn = [follow(self._grammars, each) for each in drawn]
        drawn += set_aside
        self._given_back.update(each.row for each in drawn if each.late)
        return drawn

    def _choose(self, logits: Tensor, drawing: Sequence[Feed]) -> list[Drawn]:
        """Draw for the rows that are not set aside."""
        places = [at for at, feed in enumerate(drawing) if not self._grammars.late(feed.row)]
        if len(places) < len(drawing):
            logits = self._at(logits, places)
            drawing = [drawing[place] for place in places]
        rows = [feed.row for feed in drawing]
        chosen = self._sampler.choose(logits, rows, self._indexes(drawing))
        return [_drawn(row, choice) for row, choice in zip(rows, chosen, strict=True)]

    def _at(self, logits: Tensor, places: Sequence[int]) -> Tensor:
        return logits[torch.tensor(places, dtype=torch.int64, device=self._device)]

    def _indexes(self, drawing: Sequence[Feed]) -> list[int]:
        """Return the index in its reply of each row's next token."""
        return [feed.position + len(feed.tokens) - self._prompts[feed.row] for feed in drawing]

    def _score(
        self, logits: Tensor, scoring: Sequence[Feed], drawn: Sequence[Drawn]
    ) -> list[Drawn]:
        """Add the scores of the prompt tokens that the feeds list to what was drawn."""
        by_row = {each.row: each for each in drawn}
        begin = 0
        for feed in scoring:
            end = begin + len(feed.scored)
            count = self._tops[feed.row]
            scores = self._scorer.score(logits[begin:end], feed.scored, count)
            by_row[feed.row] = _scored(by_row.get(feed.row) or Drawn(feed.row, ()), scores)
            begin = end
        return list(by_row.values())

    def _observe(self, feed: Feed, followed: int = 0) -> None:
        """Pass a feed to sampler and grammar, with prompt and reply tokens separate.

        `followed`: its first tokens, which the grammar has followed already.
        """
        if feed.row in self._given_back:
            self._given_back.remove(feed.row)
            return
        of_prompt = max(0, self._prompts[feed.row] - feed.position)
        self._sampler.observe(feed.row, feed.tokens[:of_prompt], reply=False)
        self._sampler.observe(feed.row, feed.tokens[of_prompt:], reply=True)
        self._grammars.observe(feed.row, feed.tokens[max(of_prompt, followed) :])

    def _forward(
        self,
        tokens: Sequence[int],
        rows: Sequence[int],
        positions: Sequence[int],
        wanted: Sequence[int],
    ) -> Tensor:
        """Return logits of the `wanted` slots from one pass at the narrowest safe width."""
        blank = self._widths.fitting(len(tokens)) - len(tokens)
        unwanted = self._widths.fitting(len(wanted)) - len(wanted)
        logits = self.decoder.logits(
            [*tokens, *[0] * blank],
            [*rows, *[-1] * blank],
            [*positions, *[0] * blank],
            [*wanted, *[0] * unwanted],
        )
        return logits[: len(wanted)]

    @torch.inference_mode()
    def _probe_step(self, tokens: Sequence[int], at: int) -> Tensor:
        numbers = range(at, at + len(tokens))
        self._widths = Widths((len(tokens),))
        return self._forward(
            tokens,
            [number % self.rows for number in numbers],
            [number // self.rows for number in numbers],
            range(len(tokens)),
        ).clone()


def whole_memory(
    shapes: Mapping[int, LayerShape], rows: int, context: int, dtype: torch.dtype
) -> CacheMemory:
    """Return the memory of a cache whose rows are full."""
    share = CacheMemory(0, token_bytes(shapes, dtype), grain_of(shapes, dtype))
    return replace(share, tokens=rows * share.up(context))


def _attention(facts: Facts, arithmetic: Arithmetic, kernels: GpuKernels | None) -> Attention:
    if kernels is not None and facts.dtype in DTYPES:
        return kernels.attention()
    return choose_attention(facts.device, facts.dtype, arithmetic=arithmetic)


def _token_sampler(
    rows: int,
    vocabulary: int,
    kernels: GpuKernels | None,
    device: torch.device,
    kernel: LinearKernel | None,
) -> TokenSampler | None:
    """Return the GPU's token sampler, or the CPU's, on the linear kernel's threads.

    None: torch chooses.
    """
    if kernels is not None:
        return kernels.token_sampler(rows, vocabulary)
    if device.type != "cpu":
        return None
    return choose_token_sampler(rows, vocabulary, kernel.thread_pool if kernel else None)


def _last_slots(feeds: Sequence[Feed]) -> list[int]:
    """Return the slot of each drawing feed's last token."""
    slots, end = [], -1
    for feed in feeds:
        end += len(feed.tokens)
        if feed.draws:
            slots.append(end)
    return slots


def _scored_slots(feeds: Sequence[Feed]) -> list[int]:
    """Return the slots whose logits score a prompt token."""
    slots: list[int] = []
    begin = 0
    for feed in feeds:
        slots += range(begin, begin + len(feed.scored))
        begin += len(feed.tokens)
    return slots


def _drawn(row: int, choice: SampledToken) -> Drawn:
    if choice.failed:
        return Drawn(row, (), problem=NOT_FINITE)
    logprobs = None if choice.logprob is None else (choice.logprob,)
    top = None if choice.top is None else (choice.top,)
    return Drawn(row, (choice.token,), logprobs, top=top)


def _candidates(row: int, ranked: Ranked | None) -> Drawn:
    if ranked is None:
        return Drawn(row, (), problem=NOT_FINITE)
    return Drawn(row, (), candidates=Candidates(*ranked))


def _scored(drawn: Drawn, reports: Sequence[Report] | None) -> Drawn:
    if reports is None:
        return Drawn(drawn.row, (), problem=NOT_FINITE)
    logprobs = tuple([each.logprob for each in reports])
    top = tuple([each.top for each in reports if each.top])
    return structs.replace(drawn, scores=Scores(logprobs, top or None))
