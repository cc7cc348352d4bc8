"""Run toy_parameter.py with a line more in the table of sampling parameters.

    python toy_line.py LINE

The line is added to the source of `rowcast.sampling_params` before anything else imports it.
"""

import runpy
import sys
from importlib import util
from pathlib import Path

MODULE = "rowcast.sampling_params"
END = "\n\n\nPARAMETERS = "

if __name__ == "__main__":
    spec = util.find_spec(MODULE)
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text()
    assert source.count(END) == 1
    sys.modules[MODULE] = module = util.module_from_spec(spec)
    exec(source.replace(END, f"\n    {sys.argv[1]}{END}"), module.__dict__)
    runpy.run_path(str(Path(__file__).with_name("toy_parameter.py")), run_name="__main__")
