"""`python -m models.train`: makes the tokenizer and trains both models, from nothing to the files.

A run may be stopped at any time; the same command resumes it from its last saved state.
"""

import argparse
import ctypes
import json
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import torch
from tokenizers import Tokenizer

from models import shapes, vocabulary
from models.progress import Progress
from models.training import Recipe, Trainer

HERE = Path(__file__).resolve().parent
FOLDERS = (HERE / "storyteller", HERE / "draft")
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # of mallopt(3)


def main() -> None:
    options = _options()
    _keep_memory()
    torch.set_flush_denormal(True)  # for all future threads; denormal numbers are the slowest
    options.state.mkdir(parents=True, exist_ok=True)
    path = options.state / "run.pt"
    tokenizer = _tokenizer(options.state)
    recipe = Recipe(**{f.name: getattr(options, f.name) for f in fields(Recipe)})
    trainer = Trainer(tokenizer, recipe, compiled=not options.uncompiled)
    if path.exists():
        trainer.resume(path)
    _run(trainer, path, options.save_every)
    for model, folder in zip(trainer.models, options.folders, strict=True):
        shapes.save(model, folder)
        vocabulary.save(tokenizer, folder)
    _write_run(trainer, options.folders)


def _keep_memory() -> None:
    """Keep freed memory in the process: every step takes the same gigabyte again.

    Fresh pages from the operating system cost more than the arithmetic on them.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        for option, value in ((_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 2**28), (_MMAP_MAX, 0)):
            libc.mallopt(option, value)


def _write_run(trainer: Trainer, folders: Sequence[Path]) -> None:
    """Write the run's numbers, for the model card."""
    run = {
        "steps": trainer.step,
        "tokens": trainer.tokens,
        "core_seconds": round(trainer.core_seconds),
        "parameters": {
            folder.name: sum(each.numel() for each in model.parameters())
            for model, folder in zip(trainer.models, folders, strict=True)
        },
    }
    text = json.dumps(run, indent=2) + "\n"
    (folders[0] / "training.json").write_text(text, encoding="utf-8")


def _run(trainer: Trainer, path: Path, every: float) -> None:
    """Run the remaining steps; save the state now and then, and when the run is stopped."""
    progress = Progress(trainer.recipe.steps, trainer.step)
    saved = time.monotonic()
    try:
        while trainer.step < trainer.recipe.steps:
            done = trainer.advance()
            progress.show(
                trainer.step,
                f"{trainer.tokens / 1e6:.2f}M tokens  loss {done.storyteller:.3f}  answers "
                f"{done.answers:.3f}  draft {done.draft:.3f}  accepted {done.accepted:.3f}",
            )
            if time.monotonic() - saved > every:
                trainer.save(path)
                saved = time.monotonic()
    finally:
        trainer.save(path)


def _tokenizer(state: Path) -> Tokenizer:
    if not (state / "tokenizer.json").exists():
        vocabulary.save(vocabulary.trained(), state)
    return vocabulary.load(state)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m models.train", description=__doc__)
    for field in fields(Recipe):
        flag = "--" + field.name.replace("_", "-")
        parser.add_argument(flag, type=type(field.default), default=field.default)
    parser.add_argument(
        "--uncompiled", action="store_true", help="run without a C++ compiler, far more slowly"
    )
    parser.add_argument(
        "--state", type=Path, default=HERE / ".state", help="folder of the run's state"
    )
    parser.add_argument("--save-every", type=float, default=180.0, help="seconds")
    parser.add_argument(
        "--folders",
        type=Path,
        nargs=2,
        default=FOLDERS,
        help="output folders of the storyteller and the draft",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
