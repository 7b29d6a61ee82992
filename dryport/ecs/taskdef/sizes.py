"""Task sizes: CPU units (1024 a vCPU) and MiB, and the pairs of them that Fargate offers.

Source: "Task size", task definition parameters, Amazon ECS developer guide.
"""

from __future__ import annotations

import re
from decimal import Decimal

from dryport.ecs.taskdef.refusal import refusal

_CPU = re.compile(r"\s*(\d*\.?\d+)\s*(vcpus?)?\s*", re.IGNORECASE | re.ASCII)
_MEMORY = re.compile(r"\s*(\d*\.?\d+)\s*(gi?b)?\s*", re.IGNORECASE | re.ASCII)
MIN_CPU, MAX_CPU = 128, 196_608  # CPU units, on container instances

_GIB = 1024
FARGATE_MEMORY: dict[int, frozenset[int]] = {
    256: frozenset({512, 1024, 2048}),
    512: frozenset(range(1 * _GIB, 4 * _GIB + 1, _GIB)),
    1024: frozenset(range(2 * _GIB, 8 * _GIB + 1, _GIB)),
    2048: frozenset(range(4 * _GIB, 16 * _GIB + 1, _GIB)),
    4096: frozenset(range(8 * _GIB, 30 * _GIB + 1, _GIB)),
    8192: frozenset(range(16 * _GIB, 60 * _GIB + 1, 4 * _GIB)),
    16384: frozenset(range(32 * _GIB, 120 * _GIB + 1, 8 * _GIB)),
    32768: frozenset({60 * _GIB, 120 * _GIB, 244 * _GIB}),
}


def cpu_units(text: str) -> int:
    """CPU units of a task's ``cpu``: ``256``, ``.25 vCPU``. Raises ServiceError where it is neither."""
    return _whole(_CPU.fullmatch(text), "cpu")


def memory_mib(text: str) -> int:
    """MiB of a task's ``memory``: ``512``, ``0.5GB``. Raises ServiceError where it is neither."""
    return _whole(_MEMORY.fullmatch(text), "memory")


def _whole(match: re.Match[str] | None, kind: str) -> int:
    # int() first: nearly every definition has plain digits.
    if match is not None and match[2] is None and match[1].isdecimal() and int(match[1]) > 0:
        return int(match[1])
    number = Decimal(match[1]) * 1024 if match is not None and match[2] is not None else Decimal(0)
    if number <= 0 or number != number.to_integral_value():
        raise refusal(
            f"Invalid '{kind}' setting for task. For more information, see the Troubleshooting section of the "
            "Amazon ECS Developer Guide."
        )
    return int(number)


def check_instance_cpu(units: int) -> None:
    """Refuse what no container instance takes as a task's CPU."""
    if not MIN_CPU <= units <= MAX_CPU:
        raise refusal(
            "Invalid 'cpu' setting for task. For more information, see the Troubleshooting section of the "
            "Amazon ECS Developer Guide."
        )


def check_fargate(cpu: int, memory: int, *, windows: bool = False) -> None:
    """Refuse what is no size of Fargate: ``cpu`` in CPU units, ``memory`` in MiB."""
    if memory not in FARGATE_MEMORY.get(cpu, ()) or (windows and cpu < 1024):
        raise refusal(
            f"No Fargate configuration exists for given values: {cpu} CPU, {memory} memory. "
            "See the Amazon ECS documentation for the valid values."
        )
