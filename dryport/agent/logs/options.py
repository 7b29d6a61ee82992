"""Options of the awslogs driver, read and checked.

Source: "awslogs log driver", Docker's documentation, and "Send Amazon ECS logs to CloudWatch", developer guide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from dryport.agent.model import ContainerRecord

_SIZE = re.compile(r"(\d+)\s*([kmg]?)b?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_DEFAULT_BUFFER = 10 << 20
# strftime's directives as Docker's driver knows them.
_DIRECTIVES = {
    "A": r"(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)",
    "a": r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)",
    "B": r"(?:January|February|March|April|May|June|July|August|September|October|November|December)",
    "b": r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
    "d": r"(?:0[1-9]|[1-2][0-9]|3[0-1])",
    "f": r"\d{6}",
    "H": r"(?:[0-1][0-9]|2[0-3])",
    "I": r"(?:0[0-9]|1[0-2])",
    "j": r"(?:[0-2][0-9][0-9]|3[0-5][0-9]|36[0-6])",
    "L": r"\.\d{3}",
    "M": r"[0-5][0-9]",
    "m": r"(?:0[1-9]|1[0-2])",
    "p": r"[A|P]M",
    "S": r"[0-5][0-9]",
    "U": r"(?:[0-4][0-9]|5[0-3])",
    "w": r"[0-6]",
    "Y": r"\d{4}",
    "y": r"\d{2}",
    "Z": r"[A-Z]{1,4}T",
    "z": r"[+-]\d{4}",
    "%": r"%",
}


class OptionsError(ValueError):
    """An option is missing or wrong; the text says which."""


class Options(NamedTuple):
    """Where a container's output goes.

    ``buffer`` is bytes, ``None`` in blocking mode; a line that ``first_line`` matches starts an event.
    """

    group: str
    stream: str
    region: str = ""
    endpoint: str = ""
    create_group: bool = False
    first_line: re.Pattern[bytes] | None = None
    buffer: int | None = None


def read(options: Mapping[str, str], container: ContainerRecord, task_id: str) -> Options:
    """The options of one container. Raises OptionsError."""
    group = options.get("awslogs-group", "")
    if not group:
        raise OptionsError("must specify a value for log opt 'awslogs-group'")
    prefix = options.get("awslogs-stream-prefix")
    stream = options.get("awslogs-stream") or (f"{prefix}/{container.name}/{task_id}" if prefix else container.id)
    return Options(
        group=group,
        stream=stream,
        region=options.get("awslogs-region", ""),
        endpoint=options.get("awslogs-endpoint", ""),
        create_group=options.get("awslogs-create-group", "").lower() in ("true", "1", "t"),
        first_line=_first_line(options),
        buffer=_buffer(options),
    )


def _first_line(options: Mapping[str, str]) -> re.Pattern[bytes] | None:
    pattern, datetime_format = options.get("awslogs-multiline-pattern"), options.get("awslogs-datetime-format")
    if pattern and datetime_format:
        raise OptionsError(
            "you cannot configure log opt 'awslogs-datetime-format' and 'awslogs-multiline-pattern' at the same time"
        )
    if datetime_format:
        pattern = datetime_pattern(datetime_format)
    if not pattern:
        return None
    try:
        return re.compile(pattern.encode())
    except re.error as error:
        raise OptionsError(f"awslogs could not parse multiline pattern key {pattern!r}: {error}") from error


def datetime_pattern(text: str) -> str:
    """The regular expression of a strftime format. Raises OptionsError."""
    found, position = [], 0
    while position < len(text):
        if text[position] == "%" and position + 1 < len(text):
            directive = text[position + 1]
            if directive not in _DIRECTIVES:
                raise OptionsError(f"awslogs-datetime-format: %{directive} is unknown")
            found.append(_DIRECTIVES[directive])
            position += 2
        else:
            found.append(re.escape(text[position]))
            position += 1
    return "".join(found)


def _buffer(options: Mapping[str, str]) -> int | None:
    mode = options.get("mode", "blocking")
    if mode not in ("blocking", "non-blocking"):
        raise OptionsError(f"logger: unknown mode {mode!r}")
    size = options.get("max-buffer-size")
    if size is not None and mode == "blocking":
        raise OptionsError("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
    if mode == "blocking":
        return None
    if size is None:
        return _DEFAULT_BUFFER
    match = _SIZE.fullmatch(size.strip())
    if match is None:
        raise OptionsError(f"invalid size: '{size}'")
    return int(match[1]) * _UNITS[match[2].lower()]
