"""The trainer learns, and a resumed run equals an uninterrupted one."""

import io
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from models import forward, vocabulary
from models.corpus.documents import ANSWER, document
from models.progress import Progress
from models.shapes import DRAFT, STORYTELLER, fresh
from models.training import Recipe, Trainer
from models.vocabulary import SIZE
from models.windows import POOL, Packer, Place, encoded

RECIPE = Recipe(steps=6, batch=512, warmup=1, draft_from=0.5)

# A step at full size takes a minute where bf16 products are emulated.
SMALL = (
    STORYTELLER | {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2},
    DRAFT | {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 1},
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return vocabulary.trained(200)


@pytest.mark.slow
def test_a_run_that_is_taken_up_again_is_the_same_run(tokenizer: Tokenizer, tmp_path: Path) -> None:
    whole = Trainer(tokenizer, RECIPE, compiled=False, shapes=SMALL)
    for _ in range(2):
        first = whole.advance()
    whole.save(tmp_path / "run.pt")
    ahead = [whole.advance() for _ in range(2)]
    again = Trainer(tokenizer, RECIPE, compiled=False, shapes=SMALL)
    again.resume(tmp_path / "run.pt")
    assert (again.step, again.core_seconds > 0) == (2, True)
    assert [again.advance() for _ in range(2)] == ahead
    assert again.tokens == whole.tokens
    assert ahead[-1].storyteller < first.storyteller


@pytest.mark.slow
def test_the_draft_learns_in_the_second_part_of_a_run(tokenizer: Tokenizer) -> None:
    trainer = Trainer(tokenizer, RECIPE, compiled=False, shapes=SMALL)
    before = trainer.models[1].lm_head.weight.clone()
    told = [trainer.advance() for _ in range(3)]
    assert torch.equal(trainer.models[1].lm_head.weight, before)
    assert [each.draft for each in told] == [0, 0, 0]
    joined = trainer.advance()
    assert not torch.equal(trainer.models[1].lm_head.weight, before)
    assert joined.draft > 7
    assert 0 < joined.accepted < 1


@pytest.mark.slow
def test_the_storyteller_begins_able_to_copy() -> None:
    words = torch.randint(5, SIZE, (4, 100), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = fresh(STORYTELLER, 3)(input_ids=torch.cat((words, words), 1)).logits
    said = logits[:, 100:-1].argmax(-1)
    assert (said == words[:, 1:]).float().mean() > 0.6  # by chance: 0.0003


@pytest.mark.parametrize("shape", [STORYTELLER, DRAFT], ids=["storyteller", "draft"])
def test_the_plain_function_says_what_transformers_say(shape: dict[str, int | bool]) -> None:
    model = fresh(shape, 3)
    for each in [each for each in model.parameters() if each.ndim == 2]:
        torch.nn.init.normal_(each, 0, 0.02)  # none of them zero
    tokens = torch.arange(60).reshape(2, 30) * 37 % 3072
    with torch.no_grad():
        theirs = model(input_ids=tokens, use_cache=False).logits
        ours = forward.logits(
            model.config, dict(model.named_parameters()), forward.turns(model.config), tokens
        )
    assert theirs.std() > 0.1
    assert (ours - theirs).abs().max() < 0.05 * theirs.std()


def test_the_tokenizer_is_made_again_as_it_is(tokenizer: Tokenizer, tmp_path: Path) -> None:
    vocabulary.save(tokenizer, tmp_path)
    again = vocabulary.load(tmp_path)
    assert again.to_str() == tokenizer.to_str() == vocabulary.trained(200).to_str()
    assert again.get_vocab_size() <= vocabulary.SIZE
    assert again.decode(again.encode("Ünïcödé 漢字").ids) == "Ünïcödé 漢字"


@pytest.mark.slow
def test_batches_hold_whole_documents_with_their_weights(tokenizer: Tokenizer) -> None:
    packer = Packer(tokenizer, 1, 1024)
    batch = packer.next()
    assert batch.tokens.numel() <= 1024 or len(batch.tokens) == 1
    assert batch.weights.max() == ANSWER
    rows = {
        tuple(tokens[weights > 0].tolist()) for tokens, weights in zip(*_rows(batch), strict=True)
    }
    docs = {doc.tokens for doc in encoded(tokenizer, [document(1, at) for at in range(POOL)])}
    assert rows <= docs


def _rows(batch: object) -> tuple[torch.Tensor, torch.Tensor]:
    return batch.tokens, batch.weights  # type: ignore[attr-defined]


def test_batches_are_full_but_for_what_lengths_leave(tokenizer: Tokenizer) -> None:
    packer = Packer(tokenizer, 1, 4096)
    sizes = [packer.next().tokens.numel() for _ in range(20)]
    assert max(sizes) <= 4096
    assert min(sizes) > 4096 - 1024


@pytest.mark.slow
def test_a_packer_goes_on_where_another_was(tokenizer: Tokenizer) -> None:
    packer = Packer(tokenizer, 1, 512)
    for _ in range(3):
        packer.next()
    place = packer.place
    expected = packer.next().tokens
    again = Packer(tokenizer, 1, 512)
    again.seek(place)
    assert place == Place(0, 3)
    assert torch.equal(again.next().tokens, expected)


@pytest.mark.parametrize(("step", "rate"), [(0, 0.1), (9, 1.0), (50, 1.0), (80, 0.5), (100, 0.0)])
def test_the_rate_rises_stays_and_falls(step: int, rate: float) -> None:
    assert Recipe(steps=100, warmup=10, decay=0.4).rate(step) == pytest.approx(rate)


@pytest.mark.parametrize(("step", "rate"), [(49, 0.0), (50, 0.1), (59, 1.0), (80, 0.5)])
def test_the_draft_joins_later(step: int, rate: float) -> None:
    recipe = Recipe(steps=100, warmup=10, decay=0.4, draft_from=0.5)
    assert recipe.draft_rate(step) == pytest.approx(rate)


def test_progress_is_told_on_one_line() -> None:
    out = io.StringIO()
    progress = Progress(4, out=out)
    progress.show(4, "loss 1.0")
    assert out.getvalue() == "[########################] 4/4  0:00 left  loss 1.0\n"
