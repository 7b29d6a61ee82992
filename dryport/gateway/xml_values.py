"""XML to the values that handlers see and back, compiled from a model's shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.gateway import text_values
from dryport.gateway.models import Member, ServiceModel, Shape
from dryport.gateway.xml_tree import Element, escape

Write = Callable[[Any, list[str]], None]
Read = Callable[[Element], Any]
_Attribute = Callable[[Any], str]


def malformed() -> ServiceError:
    """What a body that does not have the model's form answers."""
    return ServiceError(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
        400,
    )


def namespace(declared: Any) -> str:
    """The attribute that declares a namespace, with a space before it; empty where there is none."""
    if not declared:
        return ""
    uri, prefix = (declared, None) if isinstance(declared, str) else (declared.get("uri"), declared.get("prefix"))
    return f' xmlns{":" + prefix if prefix else ""}="{escape(uri)}"' if uri else ""


class XmlWriters:
    """Writers of a service's shapes: each appends an element's content to a list of strings."""

    def __init__(self, model: ServiceModel) -> None:
        self._model = model
        self._structures: dict[str, Write] = {}

    def structure(self, name: str) -> Write:
        """Writes the members of a structure that go into the body."""
        known = self._structures.get(name)
        if known is None:
            self._structures[name] = lambda value, out: self._structures[name](value, out)
            known = self._structures[name] = self.members(self._model.shape(name).members)
        return known

    def members(self, members: dict[str, Member]) -> Write:
        """Writes these members as elements, in the model's order."""
        writers = [
            (name, self.element(name, member))
            for name, member in members.items()
            if not member.xmlAttribute and member.location is None
        ]

        def write(value: Any, out: list[str]) -> None:
            for name, writer in writers:
                item = value.get(name)
                if item is not None:
                    writer(item, out)

        return write

    def element(self, name: str, member: Member) -> Write:
        """Writes one member: its element, or elements where it is a flattened list or map."""
        shape = self._model.shape(member.shape)
        tag = member.locationName or name
        if shape.type == "list" and shape.member is not None:
            return self._list(tag, member, shape, shape.member)
        if shape.type == "map":
            return self._map(tag, member, shape)
        if shape.type == "structure":
            return self._wrapped(tag, member, shape)
        text = text_values.writer(shape, member.timestampFormat)
        opening, closing = f"<{tag}>", f"</{tag}>"
        if shape.type in ("string", "character"):
            return lambda value, out: out.append(opening + escape(value) + closing)
        return lambda value, out: out.append(opening + text(value) + closing)

    def _wrapped(self, tag: str, member: Member, shape: Shape) -> Write:
        content = self.structure(member.shape)
        declared = namespace(member.xmlNamespace or shape.xmlNamespace)
        attributes = [(name, ref.locationName or name) for name, ref in shape.members.items() if ref.xmlAttribute]

        def write(value: Any, out: list[str]) -> None:
            written = "".join(f' {xml}="{escape(str(value[name]))}"' for name, xml in attributes if name in value)
            out.append(f"<{tag}{declared}{written}>")
            content(value, out)
            out.append(f"</{tag}>")

        return write

    def _list(self, tag: str, member: Member, shape: Shape, item: Member) -> Write:
        if member.flattened or shape.flattened:
            return self._repeated(self.element(item.locationName or tag, item))
        each = self._repeated(self.element(item.locationName or "member", item))

        def write(value: Any, out: list[str]) -> None:
            out.append(f"<{tag}>")
            each(value, out)
            out.append(f"</{tag}>")

        return write

    @staticmethod
    def _repeated(writer: Write) -> Write:
        def write(value: Any, out: list[str]) -> None:
            for part in value:
                writer(part, out)

        return write

    def _map(self, tag: str, member: Member, shape: Shape) -> Write:
        assert shape.key is not None and shape.value is not None
        key = self.element(shape.key.locationName or "key", shape.key)
        entry = self.element(shape.value.locationName or "value", shape.value)
        flat = member.flattened or shape.flattened
        each = tag if flat else "entry"

        def write(value: Any, out: list[str]) -> None:
            if not flat:
                out.append(f"<{tag}>")
            for name, part in value.items():
                out.append(f"<{each}>")
                key(name, out)
                entry(part, out)
                out.append(f"</{each}>")
            if not flat:
                out.append(f"</{tag}>")

        return write


class XmlReaders:
    """Readers of a service's shapes. They raise ServiceError (MalformedXML)."""

    def __init__(self, model: ServiceModel) -> None:
        self._model = model
        self._structures: dict[str, Read] = {}

    def structure(self, name: str) -> Read:
        """Reads an element as a structure. Elements that the model does not know are left out."""
        known = self._structures.get(name)
        if known is None:
            self._structures[name] = lambda element: self._structures[name](element)
            known = self._structures[name] = self.members(self._model.shape(name).members)
        return known

    def members(self, members: dict[str, Member]) -> Read:
        """Reads an element's children as these members."""
        attributes: dict[str, str] = {}
        single: dict[str, tuple[str, Read]] = {}
        repeated: dict[str, tuple[str, Callable[[list[Element]], Any]]] = {}
        for name, member in members.items():
            if member.location is not None:
                continue
            shape = self._model.shape(member.shape)
            tag = member.locationName or name
            if member.xmlAttribute:
                attributes[tag] = name
            elif shape.type in ("list", "map") and (member.flattened or shape.flattened):
                items = self._items(shape)
                repeated[tag] = (name, items)
                if shape.member is not None and shape.member.locationName:
                    repeated[shape.member.locationName] = (name, items)
            else:
                single[tag] = (name, self.value(member))

        def read(element: Element) -> dict[str, Any]:
            out: dict[str, Any] = {}
            for attribute, text in element.attributes.items():
                known = attributes.get(attribute) or attributes.get(attribute.rpartition(":")[2])
                if known is not None:
                    out[known] = text
            gathered: dict[str, list[Element]] = {}
            for child in element.children:
                one = single.get(child.name)
                if one is not None:
                    out[one[0]] = one[1](child)
                elif child.name in repeated:
                    gathered.setdefault(child.name, []).append(child)
            for tag, elements in gathered.items():
                name, items = repeated[tag]
                out[name] = items(elements)
            return out

        return read

    def value(self, member: Member) -> Read:
        """Reads one element as the value of a member."""
        shape = self._model.shape(member.shape)
        if shape.type == "structure":
            return self.structure(member.shape)
        if shape.type in ("list", "map"):
            items = self._items(shape)
            return lambda element: items(element.children)
        read = text_values.reader(shape)

        def scalar(element: Element) -> Any:
            try:
                return read(element.text)
            except ValueError:
                raise malformed() from None

        return scalar

    def _items(self, shape: Shape) -> Callable[[list[Element]], Any]:
        if shape.member is not None:
            item = self.value(shape.member)
            return lambda elements: [item(element) for element in elements]
        assert shape.key is not None and shape.value is not None
        key_tag, key = shape.key.locationName or "key", self.value(shape.key)
        value_tag, value = shape.value.locationName or "value", self.value(shape.value)

        def entries(elements: list[Element]) -> dict[str, Any]:
            out = {}
            for element in elements:
                parts = {child.name: child for child in element.children}
                if key_tag not in parts or value_tag not in parts:
                    raise malformed()
                out[key(parts[key_tag])] = value(parts[value_tag])
            return out

        return entries
