"""Entry: `tests/test_decode_backend_v1.py`, where users of the Inference API look for it."""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    program = Path(__file__).resolve().parent.parent / "tests" / Path(__file__).name
    sys.path[0] = str(program.parent)
    runpy.run_path(str(program), run_name="__main__")
