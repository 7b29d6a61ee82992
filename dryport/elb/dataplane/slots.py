"""Which of a backend's servers is which target: changes of targets need no reload while there are free slots. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from dryport.elb.dataplane.plan import Target

Slots = tuple[Target | None, ...]
_FEWEST = 64  # of some 7 KB each
_ROOMY = 512  # slots; up to so many, three of four are free where they are made
_NOWHERE = "0.0.0.0"  # the address of an empty slot
_FORCED_MAINTENANCE = 1  # SRV_ADMF_FMAINT


def read(show_servers_state: str) -> dict[str, Slots]:
    """The slots of each backend by what HAProxy answers to ``show servers state``: a version, the columns' names after
    a number sign, a line a server. A server that is forced into maintenance, with an address, drains."""
    found: dict[str, list[Target | None]] = {}
    names: list[str] = []
    for line in show_servers_state.splitlines():
        fields = line.split()
        if line.startswith("# "):
            names = fields[1:]
        elif len(fields) > 1 and names:
            row = dict(zip(names, fields, strict=False))
            found.setdefault(row["be_name"], []).append(_read(row))
    return {backend: tuple(slots) for backend, slots in found.items()}


def _read(row: Mapping[str, str]) -> Target | None:
    if row["srv_addr"] == _NOWHERE:
        return None
    forced = int(row["srv_admin_state"]) & _FORCED_MAINTENANCE
    return Target(address=row["srv_addr"], port=int(row["srv_port"]), draining=bool(forced))


def assign(slots: Slots, targets: Iterable[Target]) -> Slots:
    """The slots with these targets. One that stays keeps its slot; where they do not suffice there are four times as
    many as it takes: a service's first tasks come one by one, and a deployment that replaces all of them, the new ones
    first, is to take no reload."""
    wanted = {target.key: target for target in targets}
    kept = [wanted.pop(slot.key, None) if slot is not None else None for slot in slots]
    size, needed = len(kept), len(wanted) + sum(slot is not None for slot in kept)
    if size < max(needed, _FEWEST):
        size = max(size, _FEWEST)
        while size < needed or size < min(4 * needed, _ROOMY):
            size *= 2
    kept += [None] * (size - len(kept))
    coming = iter(wanted.values())
    return tuple(slot if slot is not None else next(coming, None) for slot in kept)


def endings(backend: str, old: Slots, new: Slots) -> Iterator[str]:
    """HAProxy's runtime commands that end what the targets have which are gone."""
    for place, (before, after) in enumerate(zip(old, new, strict=False), 1):
        if before is not None and (after is None or after.key != before.key):
            yield f"shutdown sessions server {backend}/s{place}"


def commands(backend: str, old: Slots, new: Slots) -> Iterator[str]:
    """HAProxy's runtime commands from one to the other. Raises ``ValueError`` where it takes a reload: another size.

    A target that drains or goes is put into maintenance, which ends nothing that runs: new requests go elsewhere, those
    that a cookie ties to it too. One that comes is down until its health checks say otherwise.
    """
    if len(old) != len(new):
        raise ValueError(f"{backend} has {len(old)} slots, not {len(new)}")
    for place, (before, after) in enumerate(zip(old, new, strict=True), 1):
        if before == after:
            continue
        server = f"set server {backend}/s{place}"
        serving = before is not None and not before.draining
        if after is None or after.draining:
            if serving:
                yield f"{server} state maint"
            continue
        if before is None or before.draining or before.key != after.key:
            if serving:
                yield f"{server} state maint"
            yield f"{server} addr {after.address} port {after.port}"
            serving = False
        if not serving:
            yield f"{server} state ready"
            yield f"{server} health down"
