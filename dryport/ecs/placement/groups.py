"""Where a group's tasks are, and how they spread over what instances have in common. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dryport.ecs.placement.bits import joined, listed
from dryport.ecs.placement.model import Instance
from dryport.ecs.placement.numbers import Levels

HOST = "instanceId"
Domain = str | int | None  # a value, a slot, or what lacks the attribute


class Domains:
    """The slots by their value of a field: ``attribute:NAME``, or ``instanceId`` by which each is its own domain.

    Instances that lack an attribute are one more domain.
    """

    def __init__(self, field: str) -> None:
        self._attribute = field.removeprefix("attribute:") if field != HOST else None
        self.of: dict[int, Domain] = {}
        self.sets: dict[Domain, int] = {}

    def set_of(self, domain: Domain) -> int:
        """The slots of a domain."""
        return 1 << domain if self._attribute is None else self.sets[domain]  # type: ignore[operator]

    def joined(self, domains: Sequence[Domain]) -> int:
        """The slots of several domains."""
        if self._attribute is None:
            return joined(domains)  # type: ignore[arg-type]
        found = 0
        for domain in domains:
            found |= self.sets[domain]
        return found

    def divided(self, slots: int) -> list[tuple[Domain, int]]:
        """A set of slots by domain."""
        if self._attribute is not None and len(self.sets) <= slots.bit_count():
            return [(domain, both) for domain, those in self.sets.items() if (both := slots & those)]
        found: dict[Domain, list[int]] = {}
        for slot in listed(slots):
            found.setdefault(self.of[slot], []).append(slot)
        return [(domain, joined(those)) for domain, those in found.items()]

    def put(self, slot: int, instance: Instance) -> None:
        """Bring a slot into its domain."""
        if self._attribute is None:
            self.of[slot] = slot
        else:
            value = self.of[slot] = instance.attributes.get(self._attribute)
            self.sets[value] = self.sets.get(value, 0) | 1 << slot

    def remove(self, slot: int) -> None:
        """Take a slot out of its domain."""
        domain = self.of.pop(slot)
        if self._attribute is not None:
            left = self.sets[domain] ^ 1 << slot
            if left:
                self.sets[domain] = left
            else:
                del self.sets[domain]


class Spread:
    """How many of a group's wanted tasks each domain has."""

    def __init__(self, domains: Domains, wanted: dict[int, int]) -> None:
        self._domains = domains
        counts: dict[Domain, int] = dict.fromkeys(domains.of.values(), 0)
        for slot, count in wanted.items():
            counts[domains.of[slot]] += count
        self.counts = counts
        self.levels = Levels()
        gathered: dict[int, int] = {}
        for domain, count in counts.items():
            gathered[count] = gathered.get(count, 0) | domains.set_of(domain)
        for count, slots in gathered.items():
            self.levels.move(slots, None, count)

    def add(self, moved: Mapping[int, int]) -> None:
        """Count tasks in or out, so many by slot."""
        domains, counts = self._domains, self.counts
        by_domain: dict[Domain, int] = {}
        for slot, by in moved.items():
            domain = domains.of[slot]
            by_domain[domain] = by_domain.get(domain, 0) + by
        steps: dict[tuple[int, int], list[Domain]] = {}
        for domain, by in by_domain.items():
            old = counts[domain]
            counts[domain] = old + by
            steps.setdefault((old, old + by), []).append(domain)
        for (old, new), those in steps.items():
            self.levels.move(domains.joined(those), old, new)


class Group:
    """A task group. ``hosting``: the slots with one of its tasks or more; ``wanted`` counts those that are to run."""

    def __init__(self) -> None:
        self._hosted: dict[int, int] = {}
        self.hosting = 0
        self.wanted: dict[int, int] = {}
        self.spreads: dict[str, Spread] = {}

    @property
    def empty(self) -> bool:
        """Whether it has no task."""
        return not self._hosted

    def add(self, moved: Mapping[int, int], wanted: bool) -> None:
        """Count tasks in, so many by slot."""
        hosted = self._hosted
        fresh = [slot for slot in moved if slot not in hosted]
        for slot, by in moved.items():
            hosted[slot] = hosted.get(slot, 0) + by
        if fresh:
            self.hosting |= joined(fresh)
        if wanted:
            for slot, by in moved.items():
                self.wanted[slot] = self.wanted.get(slot, 0) + by
            for spread in self.spreads.values():
                spread.add(moved)

    def remove(self, slot: int, wanted: bool) -> None:
        """Count a task out."""
        if _less(self._hosted, slot):
            self.hosting ^= 1 << slot
        if wanted:
            _less(self.wanted, slot)
            for spread in self.spreads.values():
                spread.add({slot: -1})


def _less(counts: dict[int, int], slot: int) -> bool:
    """Count one less; whether it was the last."""
    count = counts[slot] - 1
    if count:
        counts[slot] = count
    else:
        del counts[slot]
    return not count
