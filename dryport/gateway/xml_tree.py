"""XML documents as small trees, read with bounds: no document types, no entities of their own, no deep nesting."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.parsers import expat

MAX_DEPTH = 100
_ESCAPED = re.compile('[&<>\r"\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]')
_REFERENCES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;", '"': "&quot;"}


class MalformedXml(ValueError):
    """The document is not well-formed, or goes past the bounds."""


@dataclass(slots=True)
class Element:
    """An element: names without their namespace's prefix."""

    name: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""


def escape(text: str) -> str:
    """Character data for an element or attribute; what XML 1.0 cannot hold becomes U+FFFD."""
    return _ESCAPED.sub(lambda found: _REFERENCES.get(found[0], "\ufffd"), text)


def parse(body: bytes) -> Element:
    """The document's root element. Raises MalformedXml."""
    stack: list[Element] = []
    roots: list[Element] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(stack) >= MAX_DEPTH:
            raise MalformedXml("too deep")
        element = Element(name.rpartition(":")[2], attributes)
        (stack[-1].children if stack else roots).append(element)
        stack.append(element)

    def end(name: str) -> None:
        stack.pop()

    def data(text: str) -> None:
        if stack:
            stack[-1].text += text

    def refuse(*arguments: object) -> None:
        raise MalformedXml("document types are not accepted")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, ValueError) as error:
        raise MalformedXml(str(error)) from error
    return roots[0]
