"""From a model's files to an engine: packed in a separate process or from an image; refusals.

Covers `image`, `image_cache`, `image_format`, `image_source`, `packer`, `loading/memory`,
`loading/source`, `source_files`, `subprocess_call`, `one_layer`.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from engine.tiny_models import SHAPES, VOCABULARY, save
from rowcast.engine.decoding.llama.decoder import LlamaDecoder
from rowcast.engine.engine import Feed, Seating
from rowcast.engine.kernels.gpu.available import TritonMissing
from rowcast.engine.kernels.linear_kernel import choose_linear
from rowcast.engine.loading.engine_factory import prepare
from rowcast.engine.loading.images import image_cache
from rowcast.engine.loading.images.image import BadImage
from rowcast.engine.loading.memory import DoesNotFit
from rowcast.engine.loading.subprocess_call import Died, in_subprocess
from rowcast.engine.torch_engine import TorchEngine
from rowcast.errors import RowcastError, UnknownModel
from rowcast.sampling_params import SamplingParams
from rowcast.settings import Settings, read_settings

REPLY = 12
PACKED = choose_linear(1) is not None
packed_only = pytest.mark.skipif(not PACKED, reason="the linear kernel is not fast here")


def said(engine: TorchEngine) -> list[int]:
    """Return a sampled reply to a fixed prompt."""
    prompt, params = [7, 8, 9, 10], SamplingParams(max_tokens=REPLY, min_tokens=REPLY, top_k=50)
    engine.seat(0, Seating(params, 5, 0, len(prompt)))
    tokens, fed = list(prompt), 0
    while len(tokens) < len(prompt) + REPLY:
        (drawn,) = engine.step([Feed(0, fed, tokens[fed:], draws=True)])
        fed = len(tokens)
        tokens += drawn.tokens
    return tokens[len(prompt) :]


def engine_of(settings: Settings) -> TorchEngine:
    engine = prepare(settings)()
    engine.compile()
    return engine


def wanted(model: Path, **others: Any) -> Settings:
    return read_settings(model=str(model), device="cpu", context_length=64, **others)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save("llama", tmp_path)


@packed_only
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_an_image_says_what_its_weights_say(model: Path, tmp_path: Path, dtype: str) -> None:
    plain = engine_of(wanted(model, dtype=dtype))
    kept = {"model_root": tmp_path, "image_suffix": "v2", "dtype": dtype}
    saved = engine_of(wanted(model, save_image=True, **kept))
    (model / "model.safetensors").unlink()  # must not be read again
    loaded = engine_of(wanted(model, load_image=True, **kept))
    assert (tmp_path / "tti_cache" / "llama-v2.image").is_file()
    assert isinstance(loaded.decoder, LlamaDecoder)
    assert plain.fingerprint == saved.fingerprint == loaded.fingerprint
    assert said(plain) == said(saved) == said(loaded)


@packed_only
def test_every_engine_of_one_preparation_says_the_same(model: Path) -> None:
    make = prepare(wanted(model))
    first, second = make(), make()
    assert said(first) == said(second)


@packed_only
def test_both_wishes_take_an_image_that_fits_and_else_make_one(model: Path, tmp_path: Path) -> None:
    both = {"model_root": tmp_path, "save_image": True, "load_image": True}
    image = tmp_path / "tti_cache" / "llama.image"
    engine_of(wanted(model, **both))
    made = image.stat().st_ino
    engine_of(wanted(model, **both))
    assert image.stat().st_ino == made
    engine_of(wanted(model, two_layers=True, **both))
    assert image.stat().st_ino != made


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A separate image cache for the test, with the existing kernels."""
    for name in (name for name in os.environ if name.startswith("XDG_CACHE")):
        monkeypatch.delenv(name)
    images = tmp_path / "cache"
    monkeypatch.setattr(image_cache, "cache_folder", lambda: images)
    return images / "images"


@packed_only
def test_a_small_model_is_packed_once_and_kept(model: Path, cache: Path) -> None:
    first = engine_of(wanted(model))
    [image] = cache.iterdir()
    made = image.stat().st_ino
    again = engine_of(wanted(model))
    assert [each.stat().st_ino for each in cache.iterdir()] == [made]
    assert first.fingerprint == again.fingerprint
    assert said(first) == said(again)
    assert cache.stat().st_mode & 0o077 == 0


@packed_only
def test_what_a_kept_image_is_made_of_is_in_its_name(model: Path, cache: Path) -> None:
    engine_of(wanted(model))
    engine_of(wanted(model, two_layers=True))
    engine_of(wanted(model, dtype="bfloat16"))
    (model / "generation_config.json").write_text('{"suppress_tokens": [9]}')
    engine_of(wanted(model))
    assert len([*cache.iterdir()]) == 4


@packed_only
@pytest.mark.parametrize("harm", ["damaged", "shortened", "emptied"])
def test_a_kept_image_that_is_not_whole_is_made_anew(model: Path, cache: Path, harm: str) -> None:
    first = engine_of(wanted(model))
    [image] = cache.iterdir()
    part = Path(shutil.copy(image, image.with_suffix(".part")))
    {"damaged": damaged, "shortened": shortened, "emptied": emptied}[harm](part)
    part.replace(image)  # the first engine keeps its own mapping
    assert said(engine_of(wanted(model))) == said(first)
    engine_of(wanted(model))


@packed_only
def test_where_nothing_can_be_kept_it_starts_all_the_same(model: Path, cache: Path) -> None:
    cache.parent.write_text("no folder")
    assert len(said(engine_of(wanted(model)))) == REPLY


@packed_only
def test_only_the_latest_images_stay(tmp_path: Path) -> None:
    for number in range(image_cache.MOST_IMAGES + 3):
        image = tmp_path / f"{number}.image"
        image.write_text("")
        os.utime(image, (number, number))
    image_cache.forget_older(image)
    assert {int(each.stem) for each in tmp_path.glob("*.image")} == set(
        range(3, image_cache.MOST_IMAGES + 3)
    )


def damaged(image: Path) -> None:
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 1
    image.write_bytes(content)


def shortened(image: Path) -> None:
    image.write_bytes(image.read_bytes()[:-100])


def emptied(image: Path) -> None:
    image.write_bytes(b"")


def removed(image: Path) -> None:
    image.unlink()


@packed_only
@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (damaged, "is damaged: save it again with SAVE_IMAGE=1"),
        (shortened, "is not a complete image: save it again with SAVE_IMAGE=1"),
        (emptied, "is empty: save it again with SAVE_IMAGE=1"),
        (removed, "image does not exist: start once with SAVE_IMAGE=1"),
    ],
)
def test_an_image_that_is_not_whole_is_refused(
    model: Path, tmp_path: Path, harm: Callable[[Path], None], sentence: str
) -> None:
    prepare(wanted(model, model_root=tmp_path, save_image=True))
    harm(tmp_path / "tti_cache" / "llama.image")
    with pytest.raises(BadImage, match=sentence):
        prepare(wanted(model, model_root=tmp_path, load_image=True))


def other_weights(model: Path) -> None:
    torch.manual_seed(2)
    AutoModelForCausalLM.from_config(SHAPES["llama"]()).save_pretrained(model)


def other_configuration(model: Path) -> None:
    file = model / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "rms_norm_eps": 0.5}))


@packed_only
@pytest.mark.parametrize(
    ("change", "others", "named"),
    [
        (other_weights, {}, "weights"),
        (other_configuration, {}, "configuration"),
        (None, {"dtype": "bfloat16"}, "precision"),
        (None, {"two_layers": True}, "layers"),
    ],
)
def test_an_image_of_another_build_is_refused(
    model: Path,
    tmp_path: Path,
    change: Callable[[Path], None] | None,
    others: dict[str, Any],
    named: str,
) -> None:
    prepare(wanted(model, model_root=tmp_path, save_image=True))
    if change is not None:
        change(model)
    with pytest.raises(BadImage, match=f"was made from different {named}"):
        prepare(wanted(model, model_root=tmp_path, load_image=True, **others))


@pytest.mark.parametrize("wish", ["save_image", "load_image"])
def test_images_are_of_the_llama_form_only_and_need_a_place(tmp_path: Path, wish: str) -> None:
    other = save("gpt2", tmp_path)
    with pytest.raises(BadImage, match="only models of the Llama form"):
        prepare(wanted(other, model_root=tmp_path, **{wish: True}))
    if PACKED:
        with pytest.raises(BadImage, match="below MODEL_ROOT: set it"):
            prepare(wanted(save("llama", tmp_path), **{wish: True}))


@pytest.mark.slow
def test_without_a_model_and_weights_one_layer_needs_no_file() -> None:
    settings = read_settings(no_weights=True, device="cpu")
    engine = engine_of(settings)
    assert (engine.model, engine.vocabulary, engine.context_length) == ("one-layer", 257, 2048)
    again = engine_of(settings)
    assert said(engine) == said(again)
    assert engine.fingerprint == again.fingerprint
    assert all(chr(token).isprintable() for token in said(engine) if token not in {10, 256})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama", "falcon, rotary"])
def test_without_weights_only_a_configuration_is_needed(tmp_path: Path, name: str) -> None:
    model = save(name, tmp_path)
    (model / "model.safetensors").unlink()
    engine = engine_of(wanted(model, no_weights=True))
    assert said(engine) == said(engine_of(wanted(model, no_weights=True)))
    assert engine.vocabulary == VOCABULARY


@pytest.mark.slow
def test_a_model_is_the_same_build_wherever_its_files_are(model: Path, tmp_path: Path) -> None:
    before = engine_of(wanted(model)).fingerprint
    moved = model.rename(tmp_path / "elsewhere")
    assert engine_of(wanted(moved)).fingerprint == before


@pytest.mark.slow
def test_a_bare_name_is_looked_for_below_the_root(model: Path, tmp_path: Path) -> None:
    settings = wanted(Path("llama"), model_root=tmp_path)
    assert engine_of(settings).fingerprint == engine_of(wanted(model)).fingerprint


def truncated(model: Path) -> None:
    file = model / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def cut(model: Path) -> None:
    (model / "model.safetensors").write_bytes(b"\x01")


def without_weights(model: Path) -> None:
    (model / "model.safetensors").unlink()


def without_configuration(model: Path) -> None:
    (model / "config.json").unlink()


def half_configuration(model: Path) -> None:
    (model / "config.json").write_text('{"model_type": "ll')


def list_configuration(model: Path) -> None:
    (model / "config.json").write_text("[]")


def unknown_type(model: Path) -> None:
    (model / "config.json").write_text('{"model_type": "nobody-s"}')


def more_layers(model: Path) -> None:
    file = model / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "num_hidden_layers": 5}))


def wider(model: Path) -> None:
    file = model / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "intermediate_size": 128}))


def quantized(model: Path) -> None:
    file = model / "config.json"
    words = json.loads(file.read_text())
    words["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    file.write_text(json.dumps(words))


@pytest.mark.parametrize("name", ["llama", "gpt_neox"])
@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (truncated, "the weights of MODEL '.*' cannot be read: "),
        (cut, "the weights of MODEL '.*' cannot be read: "),
        (without_weights, "the weights of MODEL '.*' cannot be read: "),
        (without_configuration, "has no config.json"),
        (half_configuration, "config.json of MODEL '.*' cannot be read: "),
        (list_configuration, "config.json of MODEL '.*' is not a JSON object"),
        (unknown_type, "MODEL '.*' cannot be read: "),
        (more_layers, "are incomplete: [0-9]+ tensors are missing"),
        (wider, "the weights of MODEL '.*' cannot be read: "),
        (quantized, "has quantized weights"),
    ],
)
def test_what_is_wrong_with_files_is_one_sentence(
    tmp_path: Path, name: str, harm: Callable[[Path], None], sentence: str
) -> None:
    model = save(name, tmp_path)
    harm(model)
    with pytest.raises(UnknownModel, match=sentence) as refused:
        prepare(wanted(model))()
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_a_hub_without_a_network_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        UnknownModel,
        match="'nobody/nothing' is no folder here and cannot be fetched from the hub",
    ):
        prepare(read_settings(model="nobody/nothing", device="cpu", hub_cache=tmp_path))


def in_hub_cache(model: Path, cache: Path) -> str:
    """Move the model into the layout of a hub's cache; return its id."""
    home = cache / "models--somebody--llama"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text("abc")
    snapshot = home / "snapshots" / "abc"
    snapshot.parent.mkdir()
    model.rename(snapshot)
    return "somebody/llama"


@pytest.mark.slow
@pytest.mark.parametrize("own", [True, False])
def test_a_hub_s_cache_is_where_the_settings_say(
    monkeypatch: pytest.MonkeyPatch, model: Path, tmp_path: Path, own: bool
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    before = engine_of(wanted(model)).fingerprint
    name = in_hub_cache(model, tmp_path / "hf_cache")
    place = {"hub_cache": tmp_path / "hf_cache"} if own else {"model_root": tmp_path}
    assert engine_of(wanted(Path(name), **place)).fingerprint == before


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_a_context_that_the_model_has_not_is_refused(tmp_path: Path, name: str) -> None:
    settings = read_settings(model=str(save(name, tmp_path)), device="cpu", context_length=257)
    with pytest.raises(UnknownModel, match="CONTEXT_LENGTH is 257, but the model has 256"):
        prepare(settings)()


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_what_does_not_fit_is_refused_with_the_arithmetic(tmp_path: Path, name: str) -> None:
    model = save(name, tmp_path)
    file = model / "config.json"
    positions = "n_positions" if name == "gpt2" else "max_position_embeddings"
    words = {**json.loads(file.read_text()), positions: 2_000_000_000}
    file.write_text(json.dumps(words))
    settings = read_settings(model=str(model), device="cpu", no_weights=True)
    with pytest.raises(DoesNotFit, match=r"KV cache [\d,]+ MiB \(32 rows x 2000000000 positions x"):
        prepare(settings)()


@pytest.mark.slow
def test_suppressed_tokens_are_never_drawn(tmp_path: Path) -> None:
    model = save("llama", tmp_path)
    kept = 17
    silent = [token for token in range(VOCABULARY) if token != kept]
    words = {"suppress_tokens": silent, "eos_token_id": 2}
    (model / "generation_config.json").write_text(json.dumps(words))
    assert set(said(engine_of(wanted(model)))) == {kept}


@pytest.mark.slow
def test_a_process_that_is_killed_is_told_as_that() -> None:
    with pytest.raises(Died, match="ended with status -9"), in_subprocess(_dies, "dying") as other:
        other.result()


@pytest.mark.slow
def test_what_another_process_refuses_with_is_raised_here() -> None:
    def refuses() -> None:
        raise DoesNotFit("too large")

    with pytest.raises(DoesNotFit, match="too large"), in_subprocess(refuses, "refusing") as other:
        other.result()


def test_another_process_ends_with_the_block() -> None:
    with pytest.raises(RowcastError, match="enough"), in_subprocess(_waits, "waiting") as other:
        raise RowcastError("enough")
    assert not other.process.is_alive()


def _dies() -> None:
    os.kill(os.getpid(), 9)


def _waits() -> None:
    import time  # noqa: PLC0415

    time.sleep(600)


def test_a_gpu_without_triton_is_refused_before_anything_looks_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rowcast.engine.kernels.gpu.available.find_spec", lambda _name: None)
    with pytest.raises(TritonMissing, match="DEVICE=cuda needs Triton"):
        prepare(read_settings(model="storyteller", device="cuda"))


def test_a_gpu_is_looked_for_without_what_a_fork_cannot_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rowcast.engine.kernels.gpu.available.find_spec", lambda _name: object())
    monkeypatch.delenv("PYTORCH_NVML_BASED_CUDA_CHECK", raising=False)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    prepare(read_settings(no_weights=True, device="cuda"))
    assert os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] == "1"
