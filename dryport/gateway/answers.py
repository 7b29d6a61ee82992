"""A debugging aid: every answer held against its model (with ``DRYPORT_CHECK_ANSWERS=1``, as in the tests)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from dryport.gateway.file_parts import FilePart
from dryport.gateway.models import OperationModel, ServiceModel

WANTED = os.environ.get("DRYPORT_CHECK_ANSWERS") == "1"
_KINDS: dict[str, tuple[Any, ...]] = {
    "string": (str,),
    "character": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float),
    "blob": (bytes, FilePart),
    "list": (list, tuple),
    "map": (Mapping,),
    "structure": (Mapping,),
}


class WrongAnswer(TypeError):
    """A handler's answer does not have the form that the model gives it."""


def checker(model: ServiceModel, operation: OperationModel) -> Callable[[Mapping[str, Any]], None]:
    """A function that raises WrongAnswer for an output with members that the model does not have, with ``None`` or
    with values of another type."""
    name = operation.output.shape if operation.output else None

    def check(output: Mapping[str, Any]) -> None:
        if name is None:
            if output:
                raise WrongAnswer(f"{operation.name} answers nothing, but the handler gave {sorted(output)}")
            return
        _check(model, name, output, operation.name)

    return check


def _check(model: ServiceModel, name: str, value: Any, path: str) -> None:
    shape = model.shape(name)
    if shape.document:
        return
    if isinstance(value, msgspec.Raw):
        value = msgspec.json.decode(value)
    wrong = not isinstance(value, _KINDS[shape.type]) or (type(value) is bool and shape.type != "boolean")
    if wrong:
        raise WrongAnswer(f"{path} is {value!r}, which is no {shape.type}")
    if shape.type == "structure":
        for member, item in value.items():
            if member not in shape.members:
                raise WrongAnswer(f"{path} has no member {member}")
            _check(model, shape.members[member].shape, item, f"{path}.{member}")
    elif shape.type == "list" and shape.member is not None:
        for index, item in enumerate(value):
            _check(model, shape.member.shape, item, f"{path}[{index}]")
    elif shape.type == "map" and shape.value is not None:
        for key, item in value.items():
            if not isinstance(key, str):
                raise WrongAnswer(f"{path} has the key {key!r}")
            _check(model, shape.value.shape, item, f"{path}[{key}]")
