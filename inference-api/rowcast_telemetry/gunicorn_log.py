"""gunicorn's own lines as JSON: the `logger_class` of server and proxy with LOG_FORMAT=json."""

from typing import Any

from gunicorn.glogging import Logger

from rowcast_telemetry.log_lines import JsonLines


class JsonLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's logger, with another format."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(JsonLines())
