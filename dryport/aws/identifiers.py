"""Identifiers in the forms that AWS gives them. Randomness is passed in, so that a simulation repeats."""

from __future__ import annotations

import uuid
from random import Random


def hexadecimal(random: Random, digits: int) -> str:
    """``digits`` lower-case hexadecimal digits."""
    return f"{random.getrandbits(4 * digits):0{digits}x}"


def uuid4(random: Random) -> str:
    """A version 4 UUID (RFC 9562), as request ids and ECS attachment ids are."""
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def resource_id(random: Random, prefix: str) -> str:
    """An EC2 resource id of 17 digits, such as ``eni-0123456789abcdef0``."""
    return f"{prefix}-0{hexadecimal(random, 16)}"
