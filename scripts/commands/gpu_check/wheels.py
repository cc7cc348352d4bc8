"""Wheels of what the engine imports besides torch and transformers, for a machine without network.

download(root, "3.12")    from PyPI into `FOLDER`, in the versions of requirements.txt
unpacked(folder)          folders for PYTHONPATH: a wheel is a zip of a package's files
"""

import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

FOLDER = Path(".rowcast/gpu_check")
PACKAGES = ("msgspec", "llguidance")
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_28_x86_64", "manylinux_2_31_x86_64")
SECONDS = 300


def download(root: Path, python: str) -> None:
    """Replace the wheels in the folder."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.whl"):
        old.unlink()
    lines = (root / "requirements.txt").read_text().splitlines()
    pinned = [line for line in lines if line.partition("==")[0] in PACKAGES]
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--only-binary=:all:", "--python-version", python, "--dest", str(folder)),
            *(word for each in PLATFORMS for word in ("--platform", each)),
            *pinned,
        ],
        check=True,
        timeout=SECONDS,
    )


def unpacked(folder: Path) -> list[Path]:
    """Unpack the wheels of packages that this Python lacks; return where they are."""
    found = []
    for wheel in sorted(folder.glob("*.whl")):
        if find_spec(wheel.name.partition("-")[0]) is not None:
            continue
        place = folder / wheel.stem
        if not place.is_dir():
            with zipfile.ZipFile(wheel) as files:
                files.extractall(place)
        found.append(place)
    return found
