"""Where a group's tasks are, and how they spread over what instances have in common. Pure."""

from __future__ import annotations

from dryport.ecs.placement.model import Instance
from dryport.ecs.placement.numbers import Levels

HOST = "instanceId"


class Domains:
    """The slots by their value of a field: ``attribute:NAME``, or ``instanceId`` by which each is its own domain.

    Instances that lack an attribute are one more domain.
    """

    def __init__(self, field: str) -> None:
        self._attribute = field.removeprefix("attribute:") if field != HOST else None
        self.of: dict[int, str | int | None] = {}
        self._sets: dict[str | int | None, int] = {}

    def set_of(self, domain: str | int | None) -> int:
        """The slots of a domain."""
        return 1 << domain if self._attribute is None else self._sets[domain]  # type: ignore[operator]

    def put(self, slot: int, instance: Instance) -> None:
        """Bring a slot into its domain."""
        if self._attribute is None:
            self.of[slot] = slot
        else:
            value = self.of[slot] = instance.attributes.get(self._attribute)
            self._sets[value] = self._sets.get(value, 0) | 1 << slot

    def remove(self, slot: int) -> None:
        """Take a slot out of its domain."""
        domain = self.of.pop(slot)
        if self._attribute is not None:
            left = self._sets[domain] ^ 1 << slot
            if left:
                self._sets[domain] = left
            else:
                del self._sets[domain]


class Spread:
    """How many of a group's wanted tasks each domain has."""

    def __init__(self, domains: Domains, wanted: dict[int, int]) -> None:
        self._domains = domains
        counts: dict[str | int | None, int] = dict.fromkeys(domains.of.values(), 0)
        for slot, count in wanted.items():
            counts[domains.of[slot]] += count
        self._counts = counts
        self.levels = Levels()
        gathered: dict[int, int] = {}
        for domain, count in counts.items():
            gathered[count] = gathered.get(count, 0) | domains.set_of(domain)
        for count, slots in gathered.items():
            self.levels.move(slots, None, count)

    def add(self, slot: int, by: int) -> None:
        """Count a task in or out."""
        domain = self._domains.of[slot]
        count = self._counts[domain]
        self._counts[domain] = count + by
        self.levels.move(self._domains.set_of(domain), count, count + by)


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

    def add(self, slot: int, bit: int, wanted: bool) -> None:
        """Count a task in."""
        count = self._hosted.get(slot, 0)
        self._hosted[slot] = count + 1
        if not count:
            self.hosting |= bit
        if wanted:
            self.wanted[slot] = self.wanted.get(slot, 0) + 1
            for spread in self.spreads.values():
                spread.add(slot, 1)

    def remove(self, slot: int, bit: int, wanted: bool) -> None:
        """Count a task out."""
        count = self._hosted[slot] - 1
        if count:
            self._hosted[slot] = count
        else:
            del self._hosted[slot]
            self.hosting ^= bit
        if wanted:
            count = self.wanted[slot] - 1
            if count:
                self.wanted[slot] = count
            else:
                del self.wanted[slot]
            for spread in self.spreads.values():
                spread.add(slot, -1)
