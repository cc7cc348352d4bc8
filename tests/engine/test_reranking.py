"""Scores of rerankers: transformers' own, as classifiers and as logits, and values like vectors.

Covers `decoding/classifier`.
"""

import random
from pathlib import Path

import pytest
import torch

from engine.test_embeddings import FORMS, PROMPT, SILENT, bits, engine_of, numbers
from engine.test_purity import GREEDY, ROWS, SAMPLED, Talk
from engine.tiny_models import save
from engine.tiny_rerankers import classified, save_classifier
from rowcast.engine.decoding.llama.decoder import LlamaDecoder
from rowcast.engine.engine import Drawn, Feed, Seating
from rowcast.engine.torch_engine import TorchEngine
from rowcast.errors import UnknownModel
from rowcast.wire import Pooled

pytestmark = pytest.mark.slow

TOKENS = (9, 33, 9)
OTHER = [5, *PROMPT[3:30]]


def seated(engine: TorchEngine, row: int, prompt: list[int], pooling: Pooled) -> None:
    logits = TOKENS if pooling == "logits" else ()
    engine.seat(row, Seating(SILENT, 5, 0, len(prompt), pooling=pooling, logits=logits))


def alone(engine: TorchEngine, pooling: Pooled, prompt: list[int] = PROMPT) -> Drawn:
    seated(engine, 0, prompt, pooling)
    (drawn,) = engine.step([Feed(0, 0, prompt, draws=False)])
    engine.leave(0)
    return drawn


def in_company(engine: TorchEngine, pooling: Pooled, chance: random.Random) -> Drawn:
    """Return what `alone` does of a prompt that is fed in pieces, among other rows."""
    row, near, far = chance.sample(range(ROWS), 3)
    seated(engine, row, PROMPT, pooling)
    seated(engine, far, OTHER, "mean")
    other = None
    if not engine.classifies:
        other = Talk(near, [9, 8, 7], chance.choice([SAMPLED, GREEDY]), seed=3)
        other.seat(engine)
    fed, found = 0, None
    while found is None:
        size = chance.randrange(1, 20)
        feeds = [Feed(row, fed, PROMPT[fed : fed + size], draws=False)]
        if fed < len(OTHER):
            feeds.append(Feed(far, fed, OTHER[fed : fed + size], draws=False))
        if other and not other.done:
            feeds.insert(chance.randrange(2), other.feed(2))
        fed += size
        for drawn in engine.step(feeds):
            if drawn.row == row:
                found = drawn
            elif other and drawn.row == near:
                other.hear(drawn)
    for each in (row, far):
        engine.leave(each)
    return found


@pytest.mark.parametrize(("name", "llama"), FORMS)
def test_a_classifier_scores_as_transformers_does(name: str, llama: bool, tmp_path: Path) -> None:
    path = save_classifier(name, tmp_path)
    engine = engine_of(path, "float32", llama=llama)
    assert isinstance(engine.decoder, LlamaDecoder) == llama
    assert engine.classifies
    wanted = classified(path, [PROMPT, OTHER])
    found = [numbers(alone(engine, "label", each))[0] for each in (PROMPT, OTHER)]
    assert found == pytest.approx(wanted, abs=5e-5)
    assert bits(in_company(engine, "label", random.Random(4))) == bits(alone(engine, "label"))


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("llama", [True, False])
def test_logits_are_those_of_the_next_token_and_company_changes_no_bit(
    kind: str, llama: bool, tmp_path: Path
) -> None:
    engine = engine_of(save("qwen3", tmp_path), kind, llama=llama)
    assert not engine.classifies
    whole = alone(engine, "logits")
    one, other, again = numbers(whole)
    assert one == again != other
    for number in range(4):
        assert bits(in_company(engine, "logits", random.Random(number))) == bits(whole)


def test_logits_and_states_of_one_step_do_not_mix(tmp_path: Path) -> None:
    engine = engine_of(save("llama", tmp_path), "float32")
    kinds: list[Pooled] = ["logits", "last", "logits", "mean"]
    prompts = [PROMPT[: 12 + at] for at in range(4)]
    wanted = [bits(alone(engine, *each)) for each in zip(kinds, prompts, strict=True)]
    for row, (kind, prompt) in enumerate(zip(kinds, prompts, strict=True)):
        seated(engine, row, prompt, kind)
    drawn = engine.step([Feed(row, 0, prompt, draws=False) for row, prompt in enumerate(prompts)])
    assert [bits(each) for each in sorted(drawn, key=lambda each: each.row)] == wanted


def test_a_forked_beginning_changes_no_bit(tmp_path: Path) -> None:
    for pooling, path in (
        ("logits", save("qwen3", tmp_path)),
        ("label", save_classifier("gpt2", tmp_path)),
    ):
        engine = engine_of(path, "float32")
        wanted = bits(alone(engine, pooling))  # type: ignore[arg-type]
        for row in (3, 4):
            seated(engine, row, PROMPT, pooling)  # type: ignore[arg-type]
        engine.step([Feed(3, 0, PROMPT[:30], draws=False)])
        engine.fork(3, 4, PROMPT[:30])
        (drawn,) = engine.step([Feed(4, 30, PROMPT[30:], draws=False)])
        assert bits(drawn) == wanted


def test_logits_that_are_not_finite_end_the_row(tmp_path: Path) -> None:
    engine = engine_of(save("llama", tmp_path), "float32")
    straight = engine.decoder.logits

    def crooked(*step: list[int]) -> torch.Tensor:
        logits = straight(*step).clone()
        logits[0, TOKENS[1]] = torch.inf
        return logits

    engine.decoder.logits = crooked  # type: ignore[method-assign,assignment]
    seated(engine, 7, PROMPT, "logits")
    (drawn,) = engine.step([Feed(7, 0, PROMPT, draws=False)])
    assert "not finite" in drawn.problem


def test_another_head_is_another_build(tmp_path: Path) -> None:
    causal, classifier = save("qwen3", tmp_path), save_classifier("qwen3", tmp_path)
    assert engine_of(causal, "int8").fingerprint != engine_of(classifier, "int8").fingerprint


def test_classifiers_of_several_labels_are_refused(tmp_path: Path) -> None:
    from rowcast.engine.loading.engine_factory import prepare  # noqa: PLC0415
    from rowcast.settings import read_settings  # noqa: PLC0415

    path = save_classifier("llama", tmp_path, labels=3)
    with pytest.raises(UnknownModel, match="a classifier of 3 labels; only those of one"):
        prepare(read_settings(model=str(path), device="cpu"))
