"""Snapshots: finding those that an account may make volumes of."""

from __future__ import annotations

import re

from dryport.aws.errors import ServiceError
from dryport.ec2 import model
from dryport.ec2.model import Snapshot
from dryport.store import Reader

_ID = re.compile(r"snap-[0-9a-f]{8}([0-9a-f]{9})?")


def may_use(snapshot: Snapshot, account: str) -> bool:
    """Whether an account may describe a snapshot and make volumes of it."""
    return snapshot.public or account == snapshot.account or account in snapshot.accounts


def get(reader: Reader, account: str, region: str, snapshot_id: str) -> Snapshot:
    """A snapshot that an account may use.

    Raises ServiceError: InvalidSnapshotID.Malformed, InvalidSnapshot.NotFound.
    """
    if not _ID.fullmatch(snapshot_id):
        raise ServiceError("InvalidSnapshotID.Malformed", f'Invalid id: "{snapshot_id}" (expecting "snap-...")')
    found = reader.get(model.SNAPSHOTS, snapshot_id)
    if found is None or found.region != region or found.state == "deleting" or not may_use(found, account):
        raise ServiceError("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")
    return found


def completed(reader: Reader, account: str, region: str, snapshot_id: str) -> Snapshot:
    """A snapshot that volumes can be made of now. Raises ServiceError as ``get`` does, and IncorrectState."""
    found = get(reader, account, region, snapshot_id)
    if found.state != "completed":
        raise ServiceError("IncorrectState", f"Snapshot is in invalid state - {found.state}")
    return found


def visible(reader: Reader, account: str, region: str) -> list[Snapshot]:
    """Every snapshot that an account may use in a region: its own, those shared with it, public ones."""
    found = {each.id: each for each in reader.find(model.SNAPSHOTS, "scope", model.scope(account, region))}
    for shared in (account, "all"):
        found |= {each.id: each for each in reader.find(model.SNAPSHOTS, "shared", shared) if each.region == region}
    return [each for each in found.values() if each.state != "deleting"]
