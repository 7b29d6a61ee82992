"""Nothing is accepted and ignored: every member of every implemented operation's input has been decided on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape

from dryport.gateway.service import Operation
from dryport.platform import coverage

MEMBERS = Path(__file__).with_name("members.txt")
IMPLEMENTED = {f"{s.name}:{name}": operation for s in coverage.services() for name, operation in s.operations.items()}


def decided() -> dict[str, set[str]]:
    """The members that members.txt lists, by operation."""
    found: dict[str, set[str]] = defaultdict(set)
    operation = ""
    for line in MEMBERS.read_text().splitlines():
        if line.startswith("    ~ "):
            found[operation].add(line.removeprefix("    ~ ").partition(": ")[0])
        elif line.startswith("    "):
            members = line.split()
            assert found[operation].isdisjoint(members), f"listed twice: {line}"
            found[operation].update(members)
        elif line and not line.startswith("#"):
            assert line not in found, f"listed twice: {line}"
            operation = line
            found[operation] = set()
    return found


DECIDED = decided()


def leaves(shape: Shape | None, path: str = "", above: tuple[str, ...] = ()) -> Iterator[str]:
    """The dotted paths of a shape's leaves, through lists (and the values of maps) without an index."""
    if isinstance(shape, StructureShape) and shape.members:
        if shape.name not in above:
            for name, member in shape.members.items():
                yield from leaves(member, f"{path}.{name}" if path else name, (*above, shape.name))
    elif isinstance(shape, ListShape):
        yield from leaves(shape.member, path, above)
    elif isinstance(shape, MapShape) and isinstance(shape.value, StructureShape):
        yield from leaves(shape.value, path, above)
    elif path:
        yield path


def accepted(name: str, operation: Operation) -> set[str]:
    """The leaves of an operation's input that are not refused by name."""
    service, _, operation_name = name.partition(":")
    shape = botocore.session.get_session().get_service_model(service).operation_model(operation_name).input_shape
    return {
        leaf
        for leaf in leaves(shape)
        if not any(leaf == refused or leaf.startswith(f"{refused}.") for refused in operation.unsupported)
    }


@pytest.mark.parametrize("name", sorted(IMPLEMENTED))
def test_every_member_has_been_decided_on(name: str) -> None:
    everywhere = DECIDED.get(f"{name.partition(':')[0]}:*", set())
    taken, listed = accepted(name, IMPLEMENTED[name]), DECIDED.get(name, set())
    assert taken - listed - everywhere == set(), "act on these or register them as unsupported, then list them"
    assert listed - taken == set(), "these are refused, or gone from the model"


def test_nothing_is_listed_that_is_not_there() -> None:
    assert {name for name in DECIDED if not name.endswith(":*")} - IMPLEMENTED.keys() == set()


@pytest.mark.parametrize("name", sorted(IMPLEMENTED))
def test_what_is_refused_is_in_the_model(name: str) -> None:
    service, _, operation = name.partition(":")
    shape = botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape
    known = {".".join(leaf.split(".")[: depth + 1]) for leaf in leaves(shape) for depth in range(leaf.count(".") + 1)}
    assert set(IMPLEMENTED[name].unsupported) - known == set()
