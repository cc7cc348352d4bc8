"""Files of models, and models' folders, in a folder of a test."""

import json
from pathlib import Path
from typing import Any

from rowcast.models.catalog import Catalog, read_catalog
from rowcast.models.file.faults import InvalidCatalog
from rowcast.settings import Settings, read_settings


def folder(path: Path, weights: bytes = b"1234") -> Path:
    """Make the folder of a model."""
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    (path / "model.safetensors").write_bytes(weights)
    return path


def written(path: Path, models: Any) -> Path:
    """Write a file of models: a text or bytes as they are, anything else as JSON."""
    if isinstance(models, bytes):
        path.write_bytes(models)
    else:
        path.write_text(models if isinstance(models, str) else json.dumps(models, indent=1))
    return path


def settings_for(path: Path, **chosen: Any) -> Settings:
    return read_settings(models=path, **chosen)


def catalog(path: Path, models: Any, **chosen: Any) -> Catalog:
    """Write the file, and read it."""
    return read_catalog(settings_for(written(path, models), **chosen))


def faults(path: Path, models: Any, **chosen: Any) -> list[str]:
    """Return the faults of a file, without its name."""
    try:
        catalog(path, models, **chosen)
    except InvalidCatalog as error:
        return [line.removeprefix(f"{path}") for line in str(error).splitlines()]
    return []
