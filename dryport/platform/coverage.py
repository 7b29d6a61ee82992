"""Writes ``docs/coverage.md``: what Dryport implements of each service, and which parameters it refuses.

Made from the handlers that are registered: ``python -m dryport.platform.coverage`` (``--check`` only compares).
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from random import SystemRandom

from dryport.control.clock import SystemClock
from dryport.control.config import Config
from dryport.control.context import Context
from dryport.gateway.models import Models, ServiceModel
from dryport.gateway.server import services_of
from dryport.gateway.service import Service
from dryport.platform.rooms import furnish
from dryport.store.sqlite import SqliteStore

PATH = Path(__file__).parents[2] / "docs" / "coverage.md"
_HEAD = """\
# What Dryport implements

Made by `python -m dryport.platform.coverage` from the registered handlers; a test checks that it is current. An
operation that is not listed as implemented, and a parameter that is listed as refused, answers `NotImplemented`
(HTTP 501) by name: nothing is accepted and then ignored.
"""


async def _services(directory: Path) -> list[Service]:
    config = Config(state_dir=directory)
    config.log_dir.mkdir()
    config.run_dir.mkdir()
    store = SqliteStore.open(directory / "control.db")
    context = Context(store=store, clock=SystemClock(), random=SystemRandom(), config=config)
    found = [make() for _, make in services_of(furnish(context))]
    await store.close()
    return sorted(found, key=lambda service: service.name)


def services() -> list[Service]:
    """The services of every room, by name. The rooms are made on a state of their own, which is thrown away."""
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_services(Path(directory)))


def _table(services: Iterable[Service], models: Models) -> list[str]:
    lines = ["| service | implemented | of | with refused parameters |", "|---|---:|---:|---:|"]
    for service in services:
        refusing = sum(bool(operation.unsupported) for operation in service.operations.values())
        count = len(models.service(service.name).operations())
        lines.append(f"| [{service.name}](#{service.name}) | {len(service.operations)} | {count} | {refusing} |")
    return lines


def _section(service: Service, model: ServiceModel) -> list[str]:
    lines = [f"## {service.name}", "", "| operation | refused parameters |", "|---|---|"]
    known = [name for name, _, _ in model.operations()]
    for name in sorted(service.operations):
        refused = ", ".join(f"`{path}`" for path in sorted(service.operations[name].unsupported))
        lines.append(f"| {name} | {refused or '–'} |")
    missing = [name for name in known if name not in service.operations]
    if missing:
        lines += [
            "",
            f"<details><summary>Not implemented: {len(missing)}</summary>",
            "",
            ", ".join(missing),
            "",
            "</details>",
        ]
    return lines


def render() -> str:
    """The document. Raises LookupError where a handler or a refused parameter is not in the service's model."""
    found = services()
    models = Models(service.name for service in found)
    lines = [_HEAD, *_table(found, models), ""]
    for service in found:
        model = models.service(service.name)
        _check(service, model)
        lines += [*_section(service, model), ""]
    return "\n".join(lines).rstrip() + "\n"


def _check(service: Service, model: ServiceModel) -> None:
    for name, handler in service.operations.items():
        operation = model.operation(name)
        if operation is None:
            raise LookupError(f"{service.name} has no operation {name}")
        for path in handler.unsupported:
            shape = operation.input.shape if operation.input else ""
            for part in path.split("."):
                shape = _below(model, shape, part, f"{service.name}:{name} {path}")


def _below(model: ServiceModel, name: str, part: str, where: str) -> str:
    shape = model.shape(name)
    while shape.type in ("list", "map"):
        inner = shape.member or shape.value
        assert inner is not None
        shape = model.shape(inner.shape)
    if part not in shape.members:
        raise LookupError(f"{where}: the model has no member {part}")
    return shape.members[part].shape


def main() -> None:
    """Write the document, or with ``--check`` fail where it is not current."""
    text = render()
    if "--check" in sys.argv[1:]:
        if not PATH.exists() or PATH.read_text() != text:
            raise SystemExit(f"{PATH} is not current: run python -m dryport.platform.coverage")
        return
    PATH.write_text(text)


if __name__ == "__main__":
    main()
