"""Where the files next to the Python packages are: models, scripts, the proxy.

                         the package                    next to it
    source tree          ROOT/inference-api/rowcast     ROOT/models, ROOT/scripts, …
    after pip install    site-packages/rowcast          site-packages/rowcast_tree/models, …

`rowcast_tree` has the layout of the source tree, so a path below `tree()` is the same in both.
setup.py lists its contents. Nothing is ever written there.
"""

from pathlib import Path

INSTALLED = "rowcast_tree"
_PACKAGES = Path(__file__).resolve().parents[1]


def tree() -> Path:
    """Return the root of the source tree, or the folder that replaces it once installed."""
    installed = _PACKAGES / INSTALLED
    return installed if installed.is_dir() else _PACKAGES.parent
