"""What a model needs is known before it is loaded, and is what it takes.

Covers `free_memory`.
"""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
import torch

from engine.tiny_models import SHAPES, save
from processes import ROOT
from rowcast.engine.decoding.llama.model import MODEL_TYPES
from rowcast.engine.decoding.row_cache import LayerShape, cache_bytes
from rowcast.engine.kernels.packed_weight import CHUNK, LANES, weight_bytes
from rowcast.engine.loading import needs as needs_module
from rowcast.engine.loading.free_memory import free_here
from rowcast.engine.loading.loader import load
from rowcast.engine.loading.memory import Cache, DoesNotFit, fit
from rowcast.engine.loading.needs import BY_MODULES, LLAMA_TYPES, PACKED, Needs, needs_of_model
from rowcast.engine.loading.source import ModelSource
from rowcast.engines import needs_of
from rowcast.errors import UnknownModel
from rowcast.settings import Settings, read_settings


def without_processes(settings: Settings) -> int:
    found = needs_of_model(settings.replaced(prefix_memory=0))
    return found.size - (PACKED if f"processes {PACKED >> 20} " in found.arithmetic else BY_MODULES)


@pytest.mark.parametrize("shape", SHAPES)
def test_weights_and_cache_are_those_of_the_loaded_model(shape: str, tmp_path: Path) -> None:
    folder = str(save(shape, tmp_path))
    settings = read_settings(model=folder, dtype="float32", device="cpu")
    source = ModelSource(
        model=folder, dtype=torch.float32, device=torch.device("cpu"), context=0, rows=32
    )
    loaded = load(source)
    facts = loaded.facts
    cache = cache_bytes(facts.shapes, 32, facts.context, facts.dtype)
    weights = sum(each.numel() * each.itemsize for each in loaded.model.parameters())
    assert without_processes(settings) == pytest.approx(cache + weights, rel=0.05)


def test_in_8_bits_weights_are_as_large_as_the_kernel_packs_them() -> None:
    assert (needs_module.LANES, needs_module.CHUNK) == (LANES, CHUNK)
    shapes = {"layers.0.weight": (100, 70)}
    found = needs_module.Tensors(shapes, 2, in_8_bits=True).size
    assert found == weight_bytes(100, 70, "int8")


def test_the_types_that_may_be_packed_are_the_decoder_s() -> None:
    assert LLAMA_TYPES == MODEL_TYPES


def processes_of(dtype: str) -> int:
    found = needs_of_model(read_settings(model="storyteller", dtype=dtype))
    return int(re.findall(r"processes ([0-9,]+) MiB", found.arithmetic)[0]) << 20


def test_without_a_compiler_or_in_float16_no_weights_are_packed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(needs_module, "_has_vectors", lambda: True)
    monkeypatch.setattr(needs_module, "COMPILERS", ("true",))  # one that is there
    assert processes_of("bfloat16") == processes_of("float32") == processes_of("int8") == PACKED
    assert processes_of("float16") == BY_MODULES
    monkeypatch.setenv("PATH", str(tmp_path))
    assert processes_of("bfloat16") == BY_MODULES


def test_fewer_layers_and_a_shorter_context_need_less() -> None:
    whole = needs_of_model(read_settings(model="storyteller"))
    few = needs_of_model(read_settings(model="storyteller", two_layers=True))
    short = needs_of_model(read_settings(model="storyteller", context_length=64))
    assert few.size < whole.size
    assert short.size < whole.size
    assert "KV cache 96 MiB (32 rows x 1024 positions x 1536 values x 2 bytes)" in whole.arithmetic


def test_the_store_of_prefixes_is_counted() -> None:
    chosen = needs_of_model(read_settings(model="storyteller", prefix_memory=5 << 30))
    none = needs_of_model(read_settings(model="storyteller", prefix_memory=0))
    assert chosen.size - none.size == 5 << 30
    assert "+ prefixes 5,120 MiB +" in chosen.arithmetic
    default = needs_of_model(read_settings(model="storyteller")).size - none.size
    assert default == min(96 << 20, psutil.virtual_memory().total // 20), "no more than the cache"


def test_a_model_that_does_not_fit_beside_its_prefixes_is_refused() -> None:
    cache = Cache({0: LayerShape(1, 8, 8)}, 32, 64, torch.float32)
    cpu = torch.device("cpu")
    fit("m", 0, cache, cpu, prefixes=None)
    with pytest.raises(
        DoesNotFit, match=r"\+ prefixes .* Set a lower CONTEXT_LENGTH, KV_MEMORY or PREF"
    ):
        fit("m", 0, cache, cpu, prefixes=1 << 60)


def of_prefixes(needs: Needs) -> int:
    """Return the bytes of the store of prefixes by default, which are whole mebibytes here."""
    found = re.search(r"prefixes ([0-9,]+) MiB", needs.arithmetic)
    assert found is not None
    return int(found[1].replace(",", "")) << 20


def test_the_cache_takes_as_much_as_kv_memory() -> None:
    whole = needs_of_model(read_settings(model="storyteller"))
    few = needs_of_model(read_settings(model="storyteller", kv_memory=8 << 20))
    assert whole.size - few.size == (88 << 20) + of_prefixes(whole) - of_prefixes(few)
    assert of_prefixes(few) <= 8 << 20, "no more than the cache"
    assert "KV cache 8 MiB of 96 MiB (32 rows x 1024 positions" in few.arithmetic
    assert (whole.kv_memory, few.kv_memory) == (0, 8 << 20)
    assert needs_of_model(read_settings(model="storyteller", kv_memory=1 << 40)) == whole


def test_among_several_models_the_cache_takes_what_their_memory_leaves(tmp_path: Path) -> None:
    whole = needs_of_model(read_settings(model="storyteller"))
    others = whole.size - (96 << 20)

    def needs(memory: int) -> Needs:
        settings = read_settings(model="storyteller", models=str(tmp_path / "models.json"))
        return needs_of_model(settings.replaced(models_memory=memory))

    assert needs(whole.size) == whole
    assert needs(others + (40 << 20)).size <= others + (40 << 20)
    assert needs(others + (40 << 20)).kv_memory > 39 << 20
    assert needs(others).kv_memory >= 3 << 20, "one row, which is too much: it will be refused"


def test_random_weights_need_no_file() -> None:
    assert 0 < without_processes(read_settings(no_weights=True)) < 64 << 20


def test_a_model_without_weights_needs_nothing() -> None:
    assert needs_of(read_settings(model="scripted")).size == 0


def test_weights_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    folder = save("llama", tmp_path)
    (folder / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0no header at all")
    with pytest.raises(UnknownModel, match=r"cannot be read: model\.safetensors"):
        needs_of_model(read_settings(model=str(folder)))


def test_asking_loads_no_torch() -> None:
    code = (
        "import sys; from rowcast.engines import needs_of; from rowcast.settings import "
        "read_settings; needs_of(read_settings(model='storyteller')); "
        "print({'torch', 'transformers'} & set(sys.modules))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT / "inference-api")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert shown.stdout == "set()\n"


RESIDENT = """
import os
from rowcast.engines import prepare_engine
from rowcast.settings import read_settings
make = prepare_engine(read_settings())
if pid := os.fork():
    os.waitpid(pid, 0)
else:
    engine = make()
    print(os.getppid(), os.getpid(), flush=True)
    input()
"""


def taken(processes: Sequence[int]) -> float:
    """Return the bytes that a model's processes take in a server.

    Pages of libraries count by two thirds: the fork server has them, too. Other processes on this
    machine may, and change nothing.
    """
    libraries, own = dict[tuple[str, str], int](), 0
    for process in processes:
        for mapping in psutil.Process(process).memory_maps(grouped=False):
            start = mapping.addr.partition("-")[0]
            if mapping.path.startswith("/") and ".so" in mapping.path:
                place = (mapping.path, start)  # the same in forks of one process
                libraries[place] = max(libraries.get(place, 0), mapping.rss)
            else:
                own += mapping.pss
    return own + sum(libraries.values()) * 2 / 3


@pytest.mark.slow
def test_the_storyteller_takes_about_what_it_needs() -> None:
    """Without its cache, which takes memory only as rows fill."""
    env = os.environ | {
        "PYTHONPATH": str(ROOT / "inference-api"),
        "MODEL": "storyteller",
        "CONTEXT_LENGTH": "64",
    }
    command = [sys.executable, "-c", RESIDENT]
    with subprocess.Popen(
        command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline().split()
        found = taken([int(pid) for pid in line])
        process.communicate("\n", timeout=60)
    needed = needs_of_model(read_settings(model="storyteller", context_length=64)).size
    assert found == pytest.approx(needed, rel=0.1)


def test_some_memory_is_free_here() -> None:
    assert 0 < free_here() <= psutil.virtual_memory().total
