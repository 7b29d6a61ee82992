"""The authorization table has a row for every operation there is, and its rows name what requests have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest

from dryport.gateway.service import Service
from dryport.iam.authorization import Row, table
from dryport.platform.coverage import services

MODELS = botocore.session.get_session()


@pytest.fixture(scope="module")
def served() -> list[Service]:
    return services()


def test_no_operation_lacks_its_row(served: list[Service]) -> None:
    """Every operation of every service; where one lacks its row, bin/_authorization.py makes it."""
    for service in served:
        missing = service.operations.keys() ^ table(service.name).operations.keys()
        assert not missing, f"{service.name}: run bin/_authorization.py for {sorted(missing)}"


def test_rows_name_members_that_there_are(served: list[Service]) -> None:
    for service in served:
        model = MODELS.get_service_model(service.name)
        for operation, rows in table(service.name).operations.items():
            for row in rows:
                for path in _paths(service.name, row):
                    assert _there(model.operation_model(operation).input_shape, path), (service.name, operation, path)


def _paths(service: str, row: Row) -> Iterator[str]:
    for one in row.on:
        yield from (path for path in one.partition(":")[2].removesuffix("?").split("|") if path)
    for source in row.keys.values():
        yield source.rpartition(":")[2].partition("=")[0]
    yield from (path for path in (row.tags, row.tag_keys, row.when) if path)


def _there(shape: Any, path: str) -> bool:
    for name in path.split("."):
        while shape.type_name == "list":
            shape = shape.member
        if name not in shape.members:
            return False
        shape = shape.members[name]
    return True
