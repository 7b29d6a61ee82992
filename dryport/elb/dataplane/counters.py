"""What HAProxy counts: its answers to ``show info`` and ``show stat``, and the differences between them. Pure.

A reload begins a new worker, whose counters begin at 0. What the old one serves to its end after that is not seen.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping

import msgspec

_BALANCER = ""
_OF_FRONTENDS = ("stot", "conn_tot", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx")
_OF_SERVERS = ("stot", "econ", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx")

Counts = Mapping[tuple[str, str], int]
"""By a target group's token ("" for all that came to the balancer) and by HAProxy's name of the counter."""


class Reading(msgspec.Struct, frozen=True):
    """The counters of a worker, by its process id, and how many connections clients have open now."""

    worker: int
    counts: dict[tuple[str, str], int]
    open: int


def read(show_info: str, show_stat: str) -> Reading:
    """A reading of what HAProxy answers. Backends are called by their target group's token behind a hyphen."""
    worker = next((line.split()[1] for line in show_info.splitlines() if line.startswith("Pid: ")), "0")
    counts: Counter[tuple[str, str]] = Counter()
    is_open = 0
    for row in csv.DictReader(show_stat.removeprefix("# ").strip().splitlines()):
        if row["svname"] == "FRONTEND":
            is_open += _number(row["scur"])
            counts[_BALANCER, "bytes"] += _number(row["bin"]) + _number(row["bout"])
            for name in _OF_FRONTENDS:
                counts[_BALANCER, name] += _number(row[name])
        elif row["svname"] != "BACKEND":
            token = row["pxname"].rpartition("-")[2]
            for name in _OF_SERVERS:
                counts[token, name] += _number(row[name])
    return Reading(int(worker), dict(counts), is_open)


def _number(text: str | None) -> int:
    return int(text) if text else 0


class Meter:
    """Sums up what is counted between readings, across reloads. The first reading is where it begins."""

    def __init__(self) -> None:
        self._last: Reading | None = None
        self._sums: Counter[tuple[str, str]] = Counter()
        self.open = 0  # at the last reading

    def add(self, reading: Reading) -> None:
        """Take note of a reading."""
        last, self._last, self.open = self._last, reading, reading.open
        if last is None:
            return
        before = last.counts if last.worker == reading.worker else {}
        for key, value in reading.counts.items():
            # A backend that came and went begins anew, too.
            self._sums[key] += max(0, value - before.get(key, 0))

    def take(self) -> Counts:
        """What was counted since this was last asked."""
        sums, self._sums = self._sums, Counter()
        return sums
