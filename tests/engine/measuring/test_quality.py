"""The quality command: sums match their definitions, fp32 equals itself, text is read."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from engine.outliers import save_with_outliers
from engine.tiny_models import VOCABULARY, save
from models.corpus.documents import documents
from models.training import HELD_OUT_SEED
from rowcast.engine.measuring.quality import Quality, print_table, read_tokens

STORYTELLER = Path(__file__).resolve().parents[3] / "models" / "storyteller"


def test_sums_are_those_of_the_definitions() -> None:
    torch.manual_seed(3)
    ours, reference = torch.randn(5, 7), torch.randn(5, 7)
    ours[0] = reference[0]
    following = torch.tensor([0, 6, 2, 3, 3])
    quality = Quality()
    quality.add(ours[:2], reference[:2], following[:2])
    quality.add(ours[2:], reference[2:], following[2:])
    expected = torch.nn.functional.kl_div(
        ours.log_softmax(-1), reference.log_softmax(-1), reduction="sum", log_target=True
    )
    assert quality.tokens == 5
    assert quality.agreeing == int((ours.argmax(-1) == reference.argmax(-1)).sum())
    assert quality.divergence == pytest.approx(float(expected), rel=1e-5)
    apart = torch.nn.functional.cross_entropy(
        ours, following, reduction="none"
    ) - torch.nn.functional.cross_entropy(reference, following, reduction="none")
    assert quality.change == pytest.approx(float(apart.mean().exp()) - 1, rel=1e-5)
    assert quality.error == pytest.approx(float(apart.std(correction=0)) / 5**0.5, rel=1e-5)
    assert quality.surprise == pytest.approx(
        float(torch.nn.functional.cross_entropy(ours, following, reduction="sum")), rel=1e-5
    )


@pytest.mark.slow
def test_fp32_is_itself_and_int8_is_near(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_table([str(save("llama", tmp_path)), "float32", "int8", "--tokens", "600"])
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in capsys.readouterr().out.splitlines()[2:]
    ]
    assert rows[0][:3] == ["float32", "100.00%", "0.00e+00"]
    assert rows[1][0] == "int8"
    assert 80 < float(rows[1][1].rstrip("%")) < 100
    assert 0 < float(rows[1][2]) < 0.1


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Text that the storyteller was not trained on."""
    file = tmp_path / "text"
    file.write_text("\n\n".join(each.text for each in islice(documents(HELD_OUT_SEED), 6)))
    return file


@pytest.mark.slow
@pytest.mark.parametrize("outliers", [False, True], ids=["as it is", "with outliers"])
def test_int8_keeps_the_storytellers_perplexity(
    outliers: bool, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_with_outliers(STORYTELLER, tmp_path / "scaled") if outliers else STORYTELLER
    print_table([str(model), "int8", "--text", str(text), "--tokens", "513", "--within", "0.5"])
    row = capsys.readouterr().out.splitlines()[-1].split("|")
    assert float(row[2].strip(" %")) > 96
    assert float(row[3]) < 1e-3


@pytest.mark.slow
def test_what_changes_by_more_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="1"):
        print_table([str(save("llama", tmp_path)), "int8", "--tokens", "50", "--within", "-99"])
    assert "the limit is -99 %" in capsys.readouterr().err


def test_a_text_is_read_by_the_models_own_tokenizer(tmp_path: Path) -> None:
    path, text = save("llama", tmp_path), tmp_path / "text"
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())[:VOCABULARY]
    tokenizer = Tokenizer(
        models.BPE(vocab={each: at for at, each in enumerate(alphabet)}, merges=[])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(path / "tokenizer.json"))
    text.write_text("abcabc")
    assert read_tokens(str(path), text, 5, VOCABULARY) == [*map(alphabet.index, "abcab")]


def test_an_unknown_name_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        print_table([str(tmp_path), "int7"])
    assert "int7: unknown; choose from auto, float32" in capsys.readouterr().err
