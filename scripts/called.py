"""What a program's help calls it: `rowcast bench` behind the console command, else its path."""

import os


def called(script: str) -> str:
    """Return the console command that started this program, or `script`."""
    return os.environ.get("ROWCAST_COMMAND") or script


def as_called(script: str, text: str) -> str:
    """Return a text with every `script` in it replaced so."""
    return text.replace(script, called(script))
