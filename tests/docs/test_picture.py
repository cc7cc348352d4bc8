"""docs/road.svg equals the output of scripts/picture."""

import subprocess
import sys
from xml.etree import ElementTree

from processes import ROOT


def drawn() -> str:
    command = (sys.executable, "scripts/picture")
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    return done.stdout.decode()


def test_the_picture_is_current() -> None:
    assert (ROOT / "docs" / "road.svg").read_text(encoding="utf-8") == drawn(), "run `make docs`"


def test_the_picture_is_an_svg_for_light_and_dark_pages() -> None:
    picture = drawn()
    assert ElementTree.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"
    assert "prefers-color-scheme: dark" in picture
    assert picture.count("http") == 1, "nothing is fetched from elsewhere"
