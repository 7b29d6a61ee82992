"""The agent's own log: to standard error, and to a file where one is set, which is rolled over.

Source: ``ECS_LOGFILE`` and its relatives, "Amazon ECS container agent configuration", developer guide.
"""

from __future__ import annotations

import datetime
import logging
import logging.handlers
import re
from pathlib import Path

import msgspec

from dryport.agent.settings import Settings

_MEGABYTE = 1_000_000
_CHATTY = ("pyroute2", "hpack", "asyncio")  # they tell every message and header


class Lines(logging.Formatter):
    """A record as a line: ``logfmt`` or ``json``, with level, time in UTC, message and module."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._json = kind == "json"

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + self.formatException(record.exc_info)
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds")
        fields = {
            "level": record.levelname.lower(),
            "time": at.replace("+00:00", "Z"),
            "msg": message,
            "module": record.name,
        }
        if self._json:
            return msgspec.json.encode(fields).decode()
        return " ".join(f"{name}={_quoted(value)}" for name, value in fields.items())


def configure(settings: Settings) -> None:
    """Have everything logged as the settings wish, and say which of them are not in force. Raises OSError."""
    root = logging.getLogger()
    root.setLevel(logging.DEBUG)
    for handler, level in _handlers(settings):
        handler.setLevel(level)
        handler.setFormatter(Lines(settings.log_format))
        root.addHandler(handler)
    root.setLevel(min(handler.level for handler in root.handlers))
    for library in _CHATTY:
        logging.getLogger(library).setLevel(logging.WARNING)
    for warning in settings.warnings:
        logging.getLogger("dryport.agent").warning(warning)


def _handlers(settings: Settings) -> list[tuple[logging.Handler, str]]:
    made: list[tuple[logging.Handler, str]] = [(logging.StreamHandler(), settings.log_level)]
    level = settings.log_level if settings.log_file_level is None else settings.log_file_level
    if settings.log_file and level:
        made.append((_file(settings, Path(settings.log_file)), level))
    return made


def _file(settings: Settings, path: Path) -> logging.Handler:
    path.parent.mkdir(parents=True, exist_ok=True)
    if settings.log_rollover == "size":
        return logging.handlers.RotatingFileHandler(
            path, maxBytes=settings.log_megabytes * _MEGABYTE, backupCount=settings.log_files
        )
    handler = logging.handlers.TimedRotatingFileHandler(path, "h", backupCount=settings.log_files, utc=True)
    handler.suffix, handler.extMatch = "%Y-%m-%d-%H", re.compile(r"^\d{4}-\d{2}-\d{2}-\d{2}$")
    return handler


def _quoted(value: str) -> str:
    plain = value and not any(character in ' "=\n\\' for character in value)
    return value if plain else msgspec.json.encode(value).decode()
