"""What HAProxy's checks found, in AWS's words. Pure."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping

from dryport.elb.dataplane.plan import Health
from dryport.elb.dataplane.slots import Slots

_INITIAL = Health(state="initial", reason="Elb.InitialHealthChecking", description="Initial health checks in progress")
_WORSE = ("draining", "healthy", "initial", "unhealthy")
_PASSED = ("OK", "OKC")
_DRAINING = Health(
    state="draining",
    reason="Target.DeregistrationInProgress",
    description="Target deregistration is in progress",
)


def _servers(show_stat: str) -> dict[tuple[str, str], dict[str, str]]:
    table = csv.DictReader(show_stat.removeprefix("# ").strip().splitlines())
    return {(row["pxname"], row["svname"]): row for row in table}


def _status(row: Mapping[str, str]) -> str:
    return row["check_status"].removeprefix("* ")  # the star: a check is under way


def report(
    show_stat: str,
    slots: Mapping[str, Slots],
    before: Mapping[str, Mapping[str, Health]],
    patience: Mapping[str, int] = {},
) -> dict[str, dict[str, Health]]:
    """By backend and ``Target.key``, from the answer to ``show stat`` (CSV, its first line a comment with the names).

    ``before`` is what the last report said: a target that recovers is unhealthy until it has passed all its checks.
    ``patience`` are the seconds of a backend's checks within which a new target cannot have failed as often as it
    takes; until its first check, what was found of whom the slot had before is shown.
    """
    rows = _servers(show_stat)
    return {
        backend: dict(_of_slots(backend, places, rows, before.get(backend, {}), patience.get(backend, 0)))
        for backend, places in slots.items()
    }


def together(show_stat: str, slots: Mapping[str, Slots], before: Mapping[str, Health]) -> dict[str, Health]:
    """By address, what is worst of what the backends found; ``before`` by address, too."""
    known = {
        backend: {each.key: before.get(each.address, _INITIAL) for each in places if each is not None}
        for backend, places in slots.items()
    }
    found: dict[str, Health] = {}
    for places in report(show_stat, slots, known).values():
        for key, health in places.items():
            address = key.rpartition(":")[0]
            if health.state == "initial" and before.get(address, _INITIAL).state == "healthy":
                continue  # a backend that has just been made (``adoptions``)
            if _WORSE.index(health.state) >= _WORSE.index(found.get(address, health).state):
                found[address] = health
    return found


def adoptions(show_stat: str, slots: Mapping[str, Slots], before: Mapping[str, Health]) -> Iterator[str]:
    """HAProxy's commands for targets, known as healthy by their address, in backends that have just been made."""
    rows = _servers(show_stat)
    for backend, places in slots.items():
        for place, target in enumerate(places, 1):
            row = rows.get((backend, f"s{place}"))
            if target is None or target.draining or row is None or not row["status"].startswith("DOWN"):
                continue
            if before.get(target.address, _INITIAL).state == "healthy" and of_server(row).state == "initial":
                yield f"set server {backend}/s{place} health up"


def promotions(show_stat: str, slots: Mapping[str, Slots], before: Mapping[str, Mapping[str, Health]]) -> Iterator[str]:
    """HAProxy's commands for targets that passed their first check: as on AWS that one suffices at the start."""
    rows = _servers(show_stat)
    for backend, places in slots.items():
        for place, target in enumerate(places, 1):
            row = rows.get((backend, f"s{place}"))
            if target is None or target.draining or row is None or not row["status"].startswith("DOWN"):
                continue
            first = before.get(backend, {}).get(target.key, _INITIAL).state == "initial"
            # What was found of whom the slot had before is shown until the next check; what has passed counts from 0.
            if first and _status(row).endswith(_PASSED) and int(row["check_health"] or 0):
                yield f"set server {backend}/s{place} health up"


def endings(
    found: Mapping[str, Mapping[str, Health]], slots: Mapping[str, Slots], before: Mapping[str, Mapping[str, Health]]
) -> Iterator[str]:
    """HAProxy's commands that end what targets have which were found unhealthy just now.

    Its own ``on-marked-down shutdown-sessions`` would end what a target has when that begins to drain, too. ``found``
    lacks what a reload took away between the answers that it is made of.
    """
    for backend, states in found.items():
        known = before.get(backend, {})
        for place, target in enumerate(slots[backend], 1):
            if target is None or states.get(target.key, _INITIAL).state != "unhealthy":
                continue
            if known.get(target.key, _INITIAL).state != "unhealthy":
                yield f"shutdown sessions server {backend}/s{place}"


def _of_slots(
    backend: str,
    slots: Slots,
    rows: Mapping[tuple[str, str], Mapping[str, str]],
    before: Mapping[str, Health],
    patience: int,
) -> Iterator[tuple[str, Health]]:
    for place, target in enumerate(slots, 1):
        row = rows.get((backend, f"s{place}"))
        if target is None or row is None:
            continue
        found = _DRAINING if target.draining else of_server(row, before.get(target.key, _INITIAL), patience)
        yield target.key, found


def of_server(row: Mapping[str, str], before: Health = _INITIAL, patience: int = 0) -> Health:
    """The health of one server by its line of ``show stat``."""
    status = _status(row)
    unknown = status in ("", "INI", "UNK")
    passing = status.endswith(_PASSED)
    if unknown:
        return _INITIAL
    if row["status"].startswith("UP"):  # "UP 1/2" is on its way down
        return Health(state="healthy")
    if passing:  # not yet as often as it takes
        return before if before.state == "unhealthy" else _INITIAL
    if before.state == "initial" and int(row["lastchg"] or 0) < patience:
        return _INITIAL
    if status == "L7STS":
        codes = f" with these codes: [{row['check_code']}]" if row["check_code"] else ""  # none of gRPC's
        return _unhealthy("Target.ResponseCodeMismatch", f"Health checks failed{codes}")
    if status.endswith("TOUT"):
        return _unhealthy("Target.Timeout", "Request timed out")
    return _unhealthy("Target.FailedHealthChecks", "Health checks failed")


def _unhealthy(reason: str, description: str) -> Health:
    return Health(state="unhealthy", reason=reason, description=description)
