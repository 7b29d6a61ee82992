"""Values of any shape of botocore's models, made at random: inputs as clients give them, outputs as handlers do."""

from __future__ import annotations

import string
from datetime import UTC, datetime
from random import Random
from typing import Any

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StringShape, StructureShape

_TEXT = string.ascii_letters + string.digits + "-_./: +&=%<>\"'?#"
_WIDE = _TEXT + "äß漢\U0001f600\n\t"
MAX_DEPTH = 5
_LOADER = Loader()


def service_model(name: str) -> ServiceModel:
    return ServiceModel(_LOADER.load_service_model(name, "service-2"), name)


class Maker:
    """Makes values. ``seconds`` gives timestamps as float seconds, as handlers have them; else as datetimes."""

    def __init__(self, random: Random, seconds: bool) -> None:
        self.random = random
        self.seconds = seconds

    def structure(self, shape: StructureShape, depth: int = 0) -> dict[str, Any]:
        out = {}
        for name, member in shape.members.items():
            if name in shape.required_members or (depth < MAX_DEPTH and self.random.random() < 0.6):
                out[name] = self.value(member, depth + 1)
        if shape.is_tagged_union:
            kept = self.random.choice(sorted(shape.members))
            out = {kept: self.value(shape.members[kept], depth + 1)}
        return out

    def value(self, shape: Shape, depth: int) -> Any:
        location = shape.serialization.get("location")
        if isinstance(shape, StructureShape):
            if shape.is_document_type:
                return {"a": [1, "x"]}
            return self.structure(shape, depth)
        if isinstance(shape, ListShape):
            count = 0 if depth > MAX_DEPTH else self.random.randint(1 if location else 0, 3)
            return [self._item(shape.member, depth + 1, location) for _ in range(count)]
        if isinstance(shape, MapShape):
            count = 0 if depth > MAX_DEPTH else self.random.randint(1 if location else 0, 3)
            return {self._key(location): self._item(shape.value, depth + 1, location) for _ in range(count)}
        return self._scalar(shape, location)

    def _item(self, shape: Shape, depth: int, location: str | None) -> Any:
        if shape.type_name == "string" and location:
            return self._text(string.ascii_letters, 1)
        return self.value(shape, depth)

    def _key(self, location: str | None) -> str:
        # Names of headers have no case.
        return self._text(string.ascii_lowercase if location else _TEXT, 1)

    def _text(self, alphabet: str, least: int = 0) -> str:
        return "".join(self.random.choice(alphabet) for _ in range(self.random.randint(least, 8)))

    def _scalar(self, shape: Shape, location: str | None) -> Any:
        kind, random = shape.type_name, self.random
        if kind in ("string", "character"):
            if isinstance(shape, StringShape) and shape.enum:
                return random.choice(shape.enum)
            if location in ("header", "headers", "uri"):
                return self._text(string.ascii_letters + string.digits + "-_.~:@", 1)
            return self._text(_WIDE)
        if kind == "integer":
            return random.randint(-(2**31), 2**31 - 1)
        if kind == "long":
            return random.randint(-(2**63), 2**63 - 1)
        if kind in ("float", "double"):
            return random.choice([0.0, 1.5, -2.25, 1e10, random.randint(-9, 9) / 8])
        if kind == "boolean":
            return random.random() < 0.5
        if kind == "blob":
            return random.randbytes(random.randint(1, 12))
        if kind == "timestamp":
            second = random.randint(0, 4_000_000_000)
            return float(second) if self.seconds else datetime.fromtimestamp(second, UTC)
        raise AssertionError(kind)


def plain(value: Any) -> Any:
    """A value for comparison: moments as seconds."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def pruned(value: Any) -> Any:
    """A value without the empty lists, maps and structures in it, which forms and XML cannot say."""
    if isinstance(value, dict):
        kept = {key: pruned(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in ({}, [], None)}
    if isinstance(value, list):
        return [pruned(item) for item in value if pruned(item) not in ({}, [])]
    return value
