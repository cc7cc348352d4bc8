"""A model's small text files, from its folder or through the hub's cache."""

from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError


def model_file(model: str, name: str) -> str | None:
    """The text of one file of a model; None when it has none of that name."""
    folder = Path(model)
    if folder.is_dir():
        file = folder / name
        return file.read_text(encoding="utf-8") if file.is_file() else None
    try:
        return Path(hf_hub_download(model, name)).read_text(encoding="utf-8")
    except EntryNotFoundError:
        return None
