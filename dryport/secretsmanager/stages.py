"""Staging labels: which version of a secret each of them is attached to. Pure.

Source: API reference of PutSecretValue and UpdateSecretVersionStage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dryport.aws.errors import ServiceError

CURRENT = "AWSCURRENT"
PREVIOUS = "AWSPREVIOUS"
Stages = dict[str, str]  # label: version id


def of_version(stages: Mapping[str, str], version_id: str) -> list[str]:
    """The labels of a version."""
    return [label for label, version in stages.items() if version == version_id]


def by_version(stages: Mapping[str, str]) -> dict[str, list[str]]:
    """The versions that have labels, and those."""
    return {version: of_version(stages, version) for version in dict.fromkeys(stages.values())}


def attach(stages: Mapping[str, str], version_id: str, labels: Iterable[str]) -> Stages:
    """Attach labels to a version. Where AWSCURRENT moves, AWSPREVIOUS goes to the version that it leaves."""
    moved = dict(stages)
    for label in labels:
        before = moved.get(label)
        moved[label] = version_id
        if label == CURRENT and before not in (None, version_id):
            moved[PREVIOUS] = str(before)
    return moved


def add(stages: Mapping[str, str], version_id: str, labels: Iterable[str] | None) -> Stages:
    """The labels after a new version: by default, and on the first version always, it becomes AWSCURRENT."""
    wanted = [CURRENT] if labels is None else list(labels)
    if CURRENT not in stages and CURRENT not in wanted:
        wanted.append(CURRENT)
    return attach(stages, version_id, wanted)


def move(stages: Mapping[str, str], label: str, source: str | None, target: str | None) -> Stages:
    """Move a label from the version ``source`` to ``target``, either of which may be missing.

    Raises ServiceError where the label is attached and ``source`` does not say to which version.
    """
    holder = stages.get(label)
    if source is not None and holder != source:
        raise _invalid(f"Version stage {label} not found in version {source}")
    if source is None and holder is not None and holder != target:
        raise _invalid(
            f"The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached to version "
            f"{holder}, so you must explicitly reference that version in RemoveFromVersionId."
        )
    if target is not None:
        return attach(stages, target, [label])
    if label == CURRENT and source is not None:
        raise _invalid("You can't remove the staging label AWSCURRENT without moving it to another version.")
    return {other: version for other, version in stages.items() if other != label}


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidParameterException", message)
