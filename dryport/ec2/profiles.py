"""Instance profiles: which one a request names, and the role that it holds.

Profiles and roles are IAM's. What IAM does not know is refused; of a profile that was deleted while an instance had it,
nothing is left but its ARN.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from random import Random
from typing import NamedTuple

from dryport.aws import arn
from dryport.aws.errors import ServiceError
from dryport.ec2 import model
from dryport.ec2.model import Instance, RoleKey
from dryport.iam import credentials as iam
from dryport.iam import published
from dryport.store import Reader, Transaction

_NAME = re.compile(r"[\w+=,.@-]{1,128}", re.ASCII)
_SERVICE = "ec2.amazonaws.com"  # whom the role must trust
_RENEW_SECONDS = iam.SESSION_SECONDS / 2  # before the end of a key's life


class Profile(NamedTuple):
    """An instance profile, and the role in it."""

    arn: str
    id: str
    role_arn: str | None
    role_name: str | None


def find(reader: Reader, account: str, region: str, named: Mapping[str, str]) -> Profile:
    """The profile of a specification: ``Arn`` or ``Name``. Raises ServiceError as EC2 does."""
    if ("Arn" in named) == ("Name" in named):
        raise ServiceError(
            "InvalidParameterCombination" if named else "MissingParameter",
            "The parameter 'iamInstanceProfile.name' may not be used in combination with 'iamInstanceProfile.arn'"
            if named
            else "The request must contain the parameter iamInstanceProfile",
        )
    if "Name" in named:
        if not _NAME.fullmatch(named["Name"]):
            raise _invalid("name", named["Name"], "Invalid IAM Instance Profile name")
        return _known(reader, f"arn:{arn.partition_of(region)}:iam::{account}:instance-profile/{named['Name']}", named)
    parts = arn.parse(named["Arn"])
    if parts is None or parts.service != "iam" or not parts.resource.startswith("instance-profile/"):
        raise _invalid("arn", named["Arn"], "Invalid IAM Instance Profile ARN")
    if parts.account != account or not _NAME.fullmatch(parts.resource.rpartition("/")[2]):
        raise _invalid("arn", named["Arn"], "Invalid IAM Instance Profile ARN")
    return _known(reader, named["Arn"], named)


def _known(reader: Reader, profile_arn: str, named: Mapping[str, str]) -> Profile:
    stored = published.instance_profile(reader, profile_arn)
    if stored is None:
        raise (
            _invalid("name", named["Name"], "Invalid IAM Instance Profile name")
            if "Name" in named
            else _invalid("arn", named["Arn"], "Invalid IAM Instance Profile ARN")
        )
    return Profile(stored.arn, stored.id, stored.role_arn, stored.role_name)


def _invalid(member: str, value: str, text: str) -> ServiceError:
    return ServiceError(
        "InvalidParameterValue", f"Value ({value}) for parameter iamInstanceProfile.{member} is invalid. {text}"
    )


def of_arn(reader: Reader, profile_arn: str) -> Profile:
    """The profile of an ARN that ``find`` gave, with the role that is in it now."""
    stored = published.instance_profile(reader, profile_arn)
    if stored is not None:
        return Profile(stored.arn, stored.id, stored.role_arn, stored.role_name)
    digest = base64.b32encode(hashlib.sha256(profile_arn.encode()).digest()).decode()
    return Profile(profile_arn, f"AIPA{digest[:17]}", None, None)


def associated(reader: Reader, instance_id: str) -> Profile | None:
    """The profile that an instance has."""
    found = reader.find(model.PROFILE_ASSOCIATIONS, "instance", instance_id)
    return of_arn(reader, found[0].profile_arn) if found else None


def renewal(reader: Reader, instance_id: str, now: float) -> float | None:
    """In how many seconds an instance's role needs a key, 0 if now; ``None`` where it has no role."""
    profile = associated(reader, instance_id)
    if profile is None or profile.role_arn is None or published.refuses(reader, profile.role_arn, _SERVICE):
        return None
    key = reader.get(model.ROLE_KEYS, instance_id)
    if key is None or key.role_arn != profile.role_arn:
        return 0.0
    return max(0.0, key.expires - _RENEW_SECONDS - now)


def ensure_key(tx: Transaction, random: Random, instance: Instance, now: float) -> None:
    """Have an instance hold a key of its role that lives for some hours; the one before lives on until its end.

    ``random`` must be a cryptographic source.
    """
    if renewal(tx, instance.id, now) != 0.0:
        return
    profile = associated(tx, instance.id)
    assert profile is not None and profile.role_arn is not None
    owner = f"ec2/{instance.id}"
    iam.revoke_expired(tx, owner, now)
    made = iam.issue_session(tx, random, role_arn=profile.role_arn, session_name=instance.id, now=now, owner=owner)
    key = RoleKey(
        instance_id=instance.id,
        role_arn=profile.role_arn,
        access_key_id=made.access_key_id,
        issued_at=now,
        expires=now + iam.SESSION_SECONDS,
    )
    tx.put(model.ROLE_KEYS, key)


def forget(tx: Transaction, instance_id: str) -> None:
    """An instance that is no more has no profile, and its role's keys are void."""
    for each in tx.find(model.PROFILE_ASSOCIATIONS, "instance", instance_id):
        tx.delete(model.PROFILE_ASSOCIATIONS, each.id)
    tx.delete(model.ROLE_KEYS, instance_id)
    iam.revoke_sessions(tx, f"ec2/{instance_id}")
