"""The snapshot that decisions are made on: a cluster's instances, and what their tasks take. Pure.

It is changed by what it is told of, in whatever order that comes, so that it can be kept up to date for as long as a
process lives: the same instances and tasks make the same board. A decision costs microseconds whatever the number of
instances, since every question ("who has 256 CPU units left?") has its answer ready as a set of slots.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from dryport.ecs.placement.bits import joined, members
from dryport.ecs.placement.groups import Domains, Group, Spread
from dryport.ecs.placement.model import (
    CPU,
    DYNAMIC_PORTS,
    DYNAMIC_TCP,
    DYNAMIC_UDP,
    ENI,
    GPU,
    MAX_RESERVED_PORTS,
    MEMORY,
    PORTS,
    RESOURCES,
    Instance,
    Needs,
    Occupant,
    Port,
    Request,
)
from dryport.ecs.placement.numbers import Levels, Numbers
from dryport.ecs.placement.query import And, Comparison, Node, Not, tree

_MAX_SELECTIONS = 256  # of comparisons whose slots are kept
_MAX_SPREADS = 256
_MAX_FIELDS = 64


@lru_cache(maxsize=4096)
def amounts(needs: Needs) -> tuple[tuple[str, int], ...]:
    """What a task takes of the resources that are counted; those that it takes nothing of are left out."""
    dynamic = {"tcp": needs.dynamic_tcp, "udp": needs.dynamic_udp}
    for protocol, number in needs.ports:
        # Docker must not give away a port that is named.
        dynamic[protocol] += number in DYNAMIC_PORTS
    each = {
        CPU: needs.cpu,
        MEMORY: needs.memory,
        GPU: needs.gpus,
        ENI: needs.interfaces,
        PORTS: len(needs.ports),
        DYNAMIC_TCP: dynamic["tcp"],
        DYNAMIC_UDP: dynamic["udp"],
    }
    return tuple((name, amount) for name, amount in each.items() if amount > 0)


def capacity(instance: Instance) -> dict[str, int]:
    """What an instance has for tasks, of each resource that is counted."""
    kept = {"tcp": 0, "udp": 0}
    for protocol, number in instance.ports:
        kept[protocol] += number in DYNAMIC_PORTS
    return {
        CPU: instance.cpu,
        MEMORY: instance.memory,
        GPU: len(instance.gpus),
        ENI: instance.interfaces,
        PORTS: MAX_RESERVED_PORTS - len(instance.ports),
        DYNAMIC_TCP: len(DYNAMIC_PORTS) - kept["tcp"],
        DYNAMIC_UDP: len(DYNAMIC_PORTS) - kept["udp"],
    }


class Board:
    """A cluster. Sets of slots are integers (``bits``); an instance keeps its slot for as long as it is there."""

    def __init__(self) -> None:
        self.slots: dict[str, int] = {}  # by the instance's ARN
        self.instances: dict[int, Instance] = {}  # by slot
        self.everyone = 0
        self.active = 0
        self.connected = 0
        self.launch_types: dict[str, int] = {}
        self.left = {name: Numbers() for name in RESOURCES}
        self.taken: dict[Port, int] = {}  # by port: where it cannot be had
        self.running = Levels()
        self.groups: dict[str, Group] = {}
        self.epoch = 0  # goes up with every change of an instance
        self.tasks: dict[str, Occupant] = {}
        self._by_instance: dict[str, dict[str, Occupant]] = {}
        self._holders: dict[tuple[int, Port], int] = {}  # how many hold a port, where it is more than one
        self._running: dict[int, int] = {}
        self._domains: dict[str, Domains] = {}
        self._selections: dict[tuple[str, ...], tuple[Comparison, int]] = {}
        self._spreads = 0
        self._free: list[int] = []

    # What there is

    def put_instance(self, instance: Instance) -> None:
        """Add an instance, or say what it is now."""
        slot = self.slots.get(instance.arn)
        if slot is not None and self.instances[slot] == instance:
            return
        self.epoch += 1
        if slot is None:
            slot = self._new_slot(instance.arn)
            self._describe(slot, instance)
            for occupant in self.tasks_on(instance.arn):
                self._settle(slot, occupant)
            return
        old = self.instances[slot]
        if old.attributes != instance.attributes:
            self._forget_spreads()
        self._strike(slot, old)
        self._describe(slot, instance)

    def remove_instance(self, arn: str) -> None:
        """Take an instance away; its tasks count again if it returns."""
        slot = self.slots.get(arn)
        if slot is None:
            return
        self.epoch += 1
        for occupant in self.tasks_on(arn):
            self._leave(slot, occupant)
        self._strike(slot, self.instances[slot])
        self._forget_spreads()
        bit = 1 << slot
        self.everyone ^= bit
        self.running.move(bit, self._running.pop(slot), None)
        for numbers in self.left.values():
            numbers.set(slot, None)
        del self.slots[arn], self.instances[slot]
        self._free.append(slot)

    def put_task(self, occupant: Occupant) -> None:
        """Add a task, or say what it is now."""
        known = self.tasks.get(occupant.arn)
        if known is not None:
            if known == occupant:
                return
            self.remove_task(occupant.arn)
        self.tasks[occupant.arn] = occupant
        there = self._by_instance.get(occupant.instance_arn)
        if there is None:
            there = self._by_instance[occupant.instance_arn] = {}
        there[occupant.arn] = occupant
        slot = self.slots.get(occupant.instance_arn)
        if slot is not None:
            self._settle(slot, occupant)

    def put_alike(self, request: Request, placed: Mapping[int, Sequence[str]]) -> None:
        """Add tasks of one request by their slots. They are new to the board."""
        if not placed:
            return
        needs, group, tasks = request.needs, request.group, self.tasks
        ports, instances, by_instance = needs.ports, self.instances, self._by_instance
        in_order = sorted(placed)  # as they lie in memory: that halves the time of ten thousand
        for slot in in_order:
            arns, instance_arn = placed[slot], instances[slot].arn
            there = by_instance.get(instance_arn)
            if there is None:
                there = by_instance[instance_arn] = {}
            for arn in arns:
                tasks[arn] = there[arn] = Occupant(
                    arn=arn, instance_arn=instance_arn, group=group, needs=needs, ports=ports
                )
        counts = {slot: len(placed[slot]) for slot in in_order}
        for name, amount in amounts(needs):
            self.left[name].take(counts, amount)
        for port in needs.ports:
            slots, held = joined(counts), self.taken.get(port, 0)
            for slot in members(slots & held):
                self._hold(slot, 1 << slot, port)
            self.taken[port] = held | slots
        self._group(request.group).add(counts, True)

    def remove_task(self, arn: str) -> None:
        """Take a task away."""
        occupant = self.tasks.pop(arn, None)
        if occupant is None:
            return
        there = self._by_instance[occupant.instance_arn]
        del there[arn]
        if not there:
            del self._by_instance[occupant.instance_arn]
        slot = self.slots.get(occupant.instance_arn)
        if slot is not None:
            self._leave(slot, occupant)

    # What decisions ask

    def tasks_on(self, instance_arn: str) -> Iterator[Occupant]:
        """The tasks of an instance."""
        return iter(self._by_instance.get(instance_arn, {}).values())

    def free_gpus(self, instance_arn: str) -> list[str]:
        """The GPUs of an instance that no task has, in the order of its registration."""
        slot = self.slots.get(instance_arn)
        if slot is None:
            return []
        taken = {gpu for occupant in self.tasks_on(instance_arn) for gpu in occupant.gpus}
        return [gpu for gpu in self.instances[slot].gpus if gpu not in taken]

    def hosting(self, group: str) -> int:
        """The slots that have a task of a group."""
        found = self.groups.get(group)
        return found.hosting if found is not None else 0

    def spread(self, group: str, field: str) -> Spread:
        """How a group spreads over a field's values."""
        found = self.groups.get(group)
        spread = found.spreads.get(field) if found is not None else None
        if spread is None:
            if self._spreads >= _MAX_SPREADS:
                self._forget_spreads()
            domains = self.domains(field)
            found = self._group(group)
            spread = found.spreads[field] = Spread(domains, found.wanted)
            self._spreads += 1
        return spread

    def domains(self, field: str) -> Domains:
        """The instances by what they have of a field."""
        found = self._domains.get(field)
        if found is None:
            if len(self._domains) >= _MAX_FIELDS:
                self._forget_spreads()
                self._domains.clear()
            found = self._domains[field] = Domains(field)
            for slot, instance in self.instances.items():
                found.put(slot, instance)
        return found

    def select(self, node: Node, everywhere: str | None = None) -> int:
        """The slots that an expression selects; ``everywhere``: if all had a task of this group."""
        if isinstance(node, Comparison):
            return self._compare(node, everywhere)
        if isinstance(node, Not):
            return self.everyone ^ self.select(node.operand, everywhere)
        found = self.select(node.operands[0], everywhere)
        for operand in node.operands[1:]:
            if isinstance(node, And):
                found &= self.select(operand, everywhere)
            else:
                found |= self.select(operand, everywhere)
        return found

    # How it is kept

    def _new_slot(self, arn: str) -> int:
        slot = self.slots[arn] = self._free.pop() if self._free else len(self.slots)
        bit = 1 << slot
        self.everyone |= bit
        self._running[slot] = 0
        self.running.move(bit, None, 0)
        self._forget_spreads()
        return slot

    def _describe(self, slot: int, instance: Instance) -> None:
        bit = 1 << slot
        self.instances[slot] = instance
        if instance.status == "ACTIVE":
            self.active |= bit
        if instance.agent_connected:
            self.connected |= bit
        self.launch_types[instance.launch_type] = self.launch_types.get(instance.launch_type, 0) | bit
        for name, amount in capacity(instance).items():
            self.left[name].set(slot, self.left[name].of.get(slot, 0) + amount)
        for port in instance.ports:
            self._hold(slot, bit, port)
        for domains in self._domains.values():
            domains.put(slot, instance)
        for key, (comparison, bits) in self._selections.items():
            if _holds(comparison, instance):
                self._selections[key] = comparison, bits | bit

    def _strike(self, slot: int, instance: Instance) -> None:
        """Undo ``_describe``; what tasks take stays."""
        bit = 1 << slot
        self.active &= ~bit
        self.connected &= ~bit
        self.launch_types[instance.launch_type] ^= bit
        for name, amount in capacity(instance).items():
            self.left[name].add(slot, -amount)
        for port in instance.ports:
            self._let_go(slot, bit, port)
        for domains in self._domains.values():
            domains.remove(slot)
        for key, (comparison, bits) in self._selections.items():
            self._selections[key] = comparison, bits & ~bit

    def _settle(self, slot: int, occupant: Occupant) -> None:
        bit = 1 << slot
        for name, amount in amounts(occupant.needs):
            self.left[name].add(slot, -amount)
        for port in occupant.ports:
            self._hold(slot, bit, port)
        self._group(occupant.group).add({slot: 1}, occupant.wanted)
        if occupant.running:
            self._run(slot, bit, 1)

    def _leave(self, slot: int, occupant: Occupant) -> None:
        bit = 1 << slot
        for name, amount in amounts(occupant.needs):
            self.left[name].add(slot, amount)
        for port in occupant.ports:
            self._let_go(slot, bit, port)
        group = self.groups[occupant.group]
        group.remove(slot, occupant.wanted)
        if group.empty:
            self._spreads -= len(group.spreads)
            del self.groups[occupant.group]
        if occupant.running:
            self._run(slot, bit, -1)

    def _group(self, name: str) -> Group:
        found = self.groups.get(name)
        if found is None:
            found = self.groups[name] = Group()
        return found

    def _run(self, slot: int, bit: int, by: int) -> None:
        count = self._running[slot]
        self._running[slot] = count + by
        self.running.move(bit, count, count + by)

    def _hold(self, slot: int, bit: int, port: Port) -> None:
        held = self.taken.get(port, 0)
        if held & bit:
            self._holders[slot, port] = self._holders.get((slot, port), 1) + 1
        else:
            self.taken[port] = held | bit

    def _let_go(self, slot: int, bit: int, port: Port) -> None:
        holders = self._holders.pop((slot, port), 1) - 1
        if holders:
            if holders > 1:
                self._holders[slot, port] = holders
            return
        left = self.taken[port] ^ bit
        if left:
            self.taken[port] = left
        else:
            del self.taken[port]

    def _forget_spreads(self) -> None:
        if not self._spreads:
            return
        for name, group in list(self.groups.items()):
            group.spreads.clear()
            if group.empty:
                del self.groups[name]
        self._spreads = 0

    def _compare(self, comparison: Comparison, everywhere: str | None) -> int:
        if comparison.subject == tree.TASK_GROUP:
            return self._with_groups(comparison, everywhere)
        if comparison.subject == tree.RUNNING_TASKS_COUNT:
            found = 0
            for count, slots in self.running.sets.items():
                if comparison.test(count):
                    found |= slots
            return found
        kept = self._selections.get(comparison.key)
        if kept is None:
            if len(self._selections) >= _MAX_SELECTIONS:
                self._selections.clear()
            bits = 0
            for slot, instance in self.instances.items():
                if _holds(comparison, instance):
                    bits |= 1 << slot
            kept = self._selections[comparison.key] = comparison, bits
        return kept[1]

    def _with_groups(self, comparison: Comparison, everywhere: str | None) -> int:
        absent = comparison.operator == "!exists"
        if everywhere is not None and (absent or comparison.test(everywhere)):
            return 0 if absent else self.everyone
        if comparison.operator == "==":
            return self.hosting(comparison.arguments[0])
        found = 0
        for name, group in self.groups.items():
            if absent or comparison.test(name):
                found |= group.hosting
        return self.everyone ^ found if absent else found


def _holds(comparison: Comparison, instance: Instance) -> bool:
    values = _values(comparison.subject, instance)
    if comparison.operator == "!exists":
        return not values
    return any(comparison.test(value) for value in values)


def _values(subject: str, instance: Instance) -> tuple[str | int, ...]:
    if subject.startswith(tree.ATTRIBUTE):
        value = instance.attributes.get(subject.removeprefix(tree.ATTRIBUTE))
        return () if value is None else (value,)
    if subject == tree.AGENT_CONNECTED:
        return ("true" if instance.agent_connected else "false",)
    if subject == tree.AGENT_VERSION:
        return (instance.agent_version,) if instance.agent_version else ()
    if subject == tree.EC2_INSTANCE_ID:
        return (instance.ec2_instance_id,) if instance.ec2_instance_id else ()
    return (int(instance.registered_at),)
