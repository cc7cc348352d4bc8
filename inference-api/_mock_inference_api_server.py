"""Entry: the same server on the scripted engine. Nothing is patched; a setting chooses the engine.

gunicorn --config gunicorn.conf.py '_mock_inference_api_server:create_test_server()'
python inference-api/_mock_inference_api_server.py --port 7000
"""

import sys

from flask import Flask

from inference_api_server import build, run
from rowcast.settings import read_settings


def create_test_server() -> Flask:
    """Create the server on the scripted engine, with other settings from the environment."""
    return build(read_settings(mock_model=True))


if __name__ == "__main__":
    run(
        "_mock_inference_api_server:create_test_server()",
        read_settings(sys.argv[1:], mock_model=True),
    )
