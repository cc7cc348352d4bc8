"""`rowcast convert`: a packed file, the line that serves it, and one sentence for each mistake."""

import re
from pathlib import Path

import pytest

from engine.tiny_models import save
from rowcast.engine.loading import convert
from rowcast.engine.loading.engine_factory import save_image
from rowcast.engine.loading.images.image import BadImage, open_image
from rowcast.engine.loading.images.image_format import restore
from rowcast.settings import Settings


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODEL_ROOT", "MODEL_WEKA_DIR", "DTYPE", "SAVE_IMAGE", "LOAD_IMAGE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.slow
def test_a_model_is_packed_in_8_bits(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model, root = save("llama", tmp_path), tmp_path / "root"
    assert convert.main([str(model), "--root", str(root), "--suffix", "v2"]) == 0
    (image,) = (root / "tti_cache").iterdir()
    assert image.name == f"{model.name}-v2.image"
    assert restore(open_image(image)).made_of.precision == "int8"
    shown = capfd.readouterr().out
    assert shown.startswith(f"{image}: ")
    served = f"MODEL={model} DTYPE=int8 MODEL_ROOT={root} IMAGE_SUFFIX=v2 LOAD_IMAGE=1 make run-app"
    assert served in shown


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["scripted", "--root", "{}"], "the scripted model has no weights; name another MODEL"),
        (["storyteller"], "give --root, or set MODEL_ROOT"),
        (["/nowhere", "--root", "{}"], "MODEL '/nowhere' is not a folder here"),
        (["{}/a.gguf", "--root", "{}"], "is a GGUF file, which cannot be read yet"),
    ],
)
def test_what_cannot_be_packed_is_refused_with_a_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert.main([each.format(tmp_path) for each in arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(rf"\S.*convert: .*{re.escape(sentence)}", line)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["a", "--dtype", "q2"], ["a", "--rot", "b"]])
def test_a_bad_call_shows_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        convert.main(arguments)
    assert ended.value.code == 2
    assert "usage: " in capsys.readouterr().err


def test_other_architectures_have_no_packed_form(tmp_path: Path) -> None:
    settings = Settings(model=str(save("gpt2", tmp_path)), model_root=tmp_path, save_image=True)
    with pytest.raises(BadImage, match="only models of the Llama form"):
        save_image(settings)
