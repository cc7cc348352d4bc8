"""Where a model's files are: in a folder of its own, or in a hub's cache, fetched when missing.

    files_of(settings).find("tokenizer.json") ──▶ its path, or None
    files_of(settings).folder()               ──▶ configuration and weights, all of them here

MODEL may be a folder, the name of one below MODEL_ROOT or beside the file of models, one of the
models in the box, or a hub id.
Knows nothing of the files' contents, except the configuration's plain values.
"""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rowcast.errors import UnknownModel
from rowcast.settings import DRAFT, STORYTELLER, Settings
from rowcast.tree import tree

_log = logging.getLogger("rowcast.loading")

BOX = tree() / "models"
CONFIGURATION = "config.json"
WORDS = ("*.json", "*.jinja")
WEIGHTS = "*.safetensors"
CLASSIFIER, LABELS = "ForSequenceClassification", 2  # the labels of one that names none


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of one model."""

    model: str
    place: Path | None  # None: a hub
    cache: Path | None  # a hub's; None: the hub library's default

    def find(self, name: str) -> Path | None:
        """Return one file's path; None if the model has no such file."""
        if self.place is not None:
            path = self.place / name
            return path if path.is_file() else None
        return self._fetch_one(name)

    def folder(self) -> Path:
        """Return the folder of configuration and weights, once all are there."""
        if self.place is not None:
            return self.place
        started = time.monotonic()
        _log.info("hub model=%s", self.model)
        folder = self._fetch([*WORDS, WEIGHTS])
        _log.info("hub model=%s seconds=%.1f", self.model, time.monotonic() - started)
        return folder

    def words(self, name: str) -> dict[str, Any]:
        """Return the contents of a JSON file; empty if the model has none."""
        path = self.find(name)
        if path is None:
            return {}
        try:
            words = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise UnknownModel(f"{name} of MODEL {self.model!r} cannot be read: {error}") from error
        if not isinstance(words, dict):
            raise UnknownModel(f"{name} of MODEL {self.model!r} is not a JSON object")
        return words

    def _fetch_one(self, name: str) -> Path | None:
        # Imported here: a model in a folder needs no hub.
        from huggingface_hub import hf_hub_download, try_to_load_from_cache  # noqa: PLC0415
        from huggingface_hub.errors import (  # noqa: PLC0415
            EntryNotFoundError,
            LocalEntryNotFoundError,
        )

        try:
            return Path(hf_hub_download(self.model, name, cache_dir=self.cache))
        except LocalEntryNotFoundError as error:
            # Offline, a model that was fetched before has only the files that were fetched.
            if try_to_load_from_cache(self.model, CONFIGURATION, cache_dir=self.cache):
                return None
            raise self._missing(error) from error
        except EntryNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise self._missing(error) from error

    def _fetch(self, patterns: list[str]) -> Path:
        from huggingface_hub import snapshot_download  # noqa: PLC0415
        from huggingface_hub.utils.tqdm import disable_progress_bars  # noqa: PLC0415

        disable_progress_bars()
        try:
            found = snapshot_download(self.model, cache_dir=self.cache, allow_patterns=patterns)
        except (OSError, ValueError) as error:
            raise self._missing(error) from error
        return Path(found)

    def _missing(self, error: Exception) -> UnknownModel:
        reason = " ".join(str(error).split()).partition(". ")[0] or type(error).__name__
        return UnknownModel(
            f"MODEL {self.model!r} is no folder here and cannot be fetched from the hub: {reason}"
        )


def labels_in(words: Mapping[str, Any]) -> int:
    """Return the labels of the classifier that a configuration describes; 0: it is none."""
    named = words.get("architectures")
    if not (isinstance(named, list) and named and str(named[0]).endswith(CLASSIFIER)):
        return 0
    labels = words.get("id2label")
    return len(labels) if isinstance(labels, dict) else LABELS


def files_of(settings: Settings) -> ModelFiles:
    """Return the files of the model that the settings name."""
    model, root = settings.served_model, settings.model_root
    box = [BOX / model] if model in (STORYTELLER, DRAFT) else []
    beside = [settings.models.parent / model] if settings.models else []
    for place in (Path(model), *([root / model] if root else []), *box, *beside):
        if place.is_dir():
            if not (place / CONFIGURATION).is_file():
                raise UnknownModel(f"MODEL {model!r}: {place} has no {CONFIGURATION}")
            return ModelFiles(model, place, None)
    if Path(model).suffix == ".gguf":
        raise UnknownModel(
            f"MODEL {model!r} is a GGUF file, which cannot be read yet; use a folder with "
            f"{CONFIGURATION}, *.safetensors and tokenizer.json"
        )
    if Path(model).is_absolute() or model.startswith((".", "~")) or model.count("/") > 1:
        raise UnknownModel(f"MODEL {model!r} is not a folder here")
    return ModelFiles(model, None, settings.hub_folder)
