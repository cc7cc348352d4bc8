"""What goes into the wheel; pyproject.toml has everything else.

The packages `rowcast`, `rowcast_http`, `rowcast_metrics`, `rowcast_settings` and
`rowcast_telemetry`, and the entries, are installed as they are. Models, scripts, the proxy and
gunicorn's configuration keep the layout of the source tree, below the folder `rowcast_tree`: see
inference-api/rowcast/tree.py.
"""

from setuptools import find_packages, setup

TREE = (
    "config/*.example.json",
    "config/*.schema.json",
    "models/storyteller/*",
    "models/draft/*",
    "templates/*",
    "static/*",
    "proxy/**/*.py",
    "scripts/serve",
    "scripts/bench",
    "scripts/bench_peers",
    "scripts/replay",
    "scripts/models",
    "scripts/top",
    "scripts/chaos",
    "scripts/abuse",
    "scripts/**/*.py",
    "scripts/**/*.c",
    "scripts/**/*.jinja",
    "scripts/**/*.md",
)

setup(
    script_name="setup.py",  # so that it is not taken for one of the root's modules
    packages=[*find_packages("inference-api", include=["rowcast*"]), "rowcast_tree"],
    package_dir={"": "inference-api", "rowcast_tree": "."},  # brings gunicorn.conf.py, too
    package_data={
        "rowcast": ["py.typed", "**/*.c", "**/*.h", "**/*.html"],
        "rowcast_tree": list(TREE),
    },
    exclude_package_data={
        "": ["**/__pycache__/*"],
        # For the source tree alone, which one counts, and the other copies to a bare machine.
        "rowcast_tree": ["scripts/commands/house/*", "scripts/commands/gpu_check/*"],
    },
)
