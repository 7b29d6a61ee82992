"""Forms of the query and EC2 protocols to the values that handlers see, compiled from a model's shapes.

A form's names are paths (``Filter.1.Value.2=x``): they are made into a tree, which the readers walk. Query wraps
lists (``Tags.member.1``) unless the model flattens them; EC2 never does, and has names of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.gateway import text_values
from dryport.gateway.models import Member, ServiceModel, Shape

MAX_DEPTH = 64
Read = Callable[["Node", str], Any]


class Node:
    """A place in the tree: its own value, where it has one, and what is below."""

    __slots__ = ("below", "text")

    def __init__(self) -> None:
        self.text: str | None = None
        self.below: dict[str, Node] = {}

    def numbered(self) -> list[tuple[str, Node]]:
        """The parts below that have numbers for names, in order."""
        places = [(int(name), name) for name in self.below if name.isascii() and name.isdigit() and len(name) < 10]
        return [(name, self.below[name]) for _, name in sorted(places)]


def tree(form: Mapping[str, str]) -> Node:
    """The tree of a form. Raises ServiceError where a name goes too deep."""
    root = Node()
    for name, text in form.items():
        parts = name.split(".")
        if len(parts) > MAX_DEPTH:
            raise ServiceError("MalformedQueryString", "The query string contains a syntax error", 400)
        node = root
        for part in parts:
            below = node.below.get(part)
            if below is None:
                below = node.below[part] = Node()
            node = below
        node.text = text
    return root


class FormReaders:
    """Readers of a service's shapes; ``ec2`` says whose rules hold. They raise ServiceError."""

    def __init__(self, model: ServiceModel, ec2: bool) -> None:
        self._model = model
        self._ec2 = ec2
        self._structures: dict[str, Read] = {}

    def structure(self, name: str) -> Read:
        """Reads a node as a structure. Parts that the model does not know are left out."""
        known = self._structures.get(name)
        if known is None:
            self._structures[name] = lambda node, path: self._structures[name](node, path)
            known = self._structures[name] = self._structure(self._model.shape(name))
        return known

    def _name(self, name: str, member: Member, shape: Shape) -> str:
        if self._ec2:
            location = member.locationName
            return member.queryName or (location[:1].upper() + location[1:] if location else name)
        if self._flat(member, shape) and shape.member is not None and shape.member.locationName:
            return shape.member.locationName
        return member.locationName or name

    def _flat(self, member: Member, shape: Shape) -> bool:
        return self._ec2 or member.flattened or shape.flattened

    def _structure(self, shape: Shape) -> Read:
        readers: dict[str, tuple[str, Read]] = {}
        for name, member in shape.members.items():
            target = self._model.shape(member.shape)
            readers[self._name(name, member, target)] = (name, self._value(member, target))

        def read(node: Node, path: str) -> dict[str, Any]:
            out = {}
            for wire, below in node.below.items():
                known = readers.get(wire)
                if known is not None:
                    out[known[0]] = known[1](below, f"{path}.{wire}" if path else wire)
            return out

        return read

    def _value(self, member: Member, shape: Shape) -> Read:
        if shape.type == "structure":
            return self.structure(member.shape)
        if shape.type == "list" and shape.member is not None:
            return self._list(member, shape, shape.member)
        if shape.type == "map":
            return self._map(member, shape)
        read = text_values.reader(shape)
        code = "InvalidParameterValue" if self._ec2 else "MalformedInput"

        def scalar(node: Node, path: str) -> Any:
            text = node.text or ""
            try:
                return read(text)
            except (ValueError, OverflowError):
                message = f"Value ({text[:256]}) for parameter {path} is invalid."
                raise ServiceError(code, message, 400) from None

        return scalar

    def _list(self, member: Member, shape: Shape, item: Member) -> Read:
        read = self._value(item, self._model.shape(item.shape))
        wrappers = () if self._flat(member, shape) else ("member", item.locationName or "member")

        def run(node: Node, path: str) -> list[Any]:
            for wrapper in wrappers:
                if wrapper in node.below:
                    node = node.below[wrapper]
                    break
            return [read(below, f"{path}.{number}") for number, below in node.numbered()]

        return run

    def _map(self, member: Member, shape: Shape) -> Read:
        assert shape.key is not None and shape.value is not None
        key_name, value_name = shape.key.locationName or "key", shape.value.locationName or "value"
        read_key = self._value(shape.key, self._model.shape(shape.key.shape))
        read_value = self._value(shape.value, self._model.shape(shape.value.shape))
        flat = self._flat(member, shape)

        def run(node: Node, path: str) -> dict[str, Any]:
            if not flat:
                node = node.below.get("entry", Node())
            out = {}
            for number, below in node.numbered():
                key, value = below.below.get(key_name), below.below.get(value_name)
                if key is None or value is None:
                    raise ServiceError("MalformedInput", f"{path}.{number} lacks a key or a value", 400)
                out[read_key(key, path)] = read_value(value, f"{path}.{number}.{value_name}")
            return out

        return run
