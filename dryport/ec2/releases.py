"""What a terminated instance lets go of, in one transaction: doing it again changes nothing."""

from __future__ import annotations

from msgspec.structs import replace

from dryport.ec2 import attachments, model, profiles, volumes
from dryport.store import Transaction


def let_go(tx: Transaction, instance_id: str) -> None:
    """Interfaces and volumes that were to go with the instance go, the others are free; its role's keys are void."""
    attachments.release_all(tx, instance_id)
    profiles.forget(tx, instance_id)
    for volume in tx.find(model.VOLUMES, "instance", instance_id):
        assert volume.attachment is not None
        if volume.attachment.delete_on_termination:
            tx.put(model.VOLUMES, replace(volumes.released(volume), state="deleting"))
        else:
            tx.put(model.VOLUMES, volumes.released(volume))


def forget(tx: Transaction, instance_id: str) -> None:
    """Nobody sees it any more."""
    tx.delete(model.INSTANCES, instance_id)
    tx.delete(model.FINAL_CONSOLES, instance_id)
