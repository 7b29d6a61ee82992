"""Identifiers in the forms that AWS gives them. Randomness is passed in, so that a simulation repeats."""

from __future__ import annotations

from random import Random

_NOT_VERSION_AND_VARIANT = ~(0xF << 76 | 0x3 << 62)
_VERSION_4 = 0x4 << 76 | 0x2 << 62


def hexadecimal(random: Random, digits: int) -> str:
    """``digits`` lower-case hexadecimal digits."""
    return f"{random.getrandbits(4 * digits):0{digits}x}"


def uuid4(random: Random) -> str:
    """A version 4 UUID (RFC 9562), as request ids and ECS attachment ids are."""
    bits = random.getrandbits(128) & _NOT_VERSION_AND_VARIANT | _VERSION_4
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def resource_id(random: Random, prefix: str) -> str:
    """An EC2 resource id of 17 digits, such as ``eni-0123456789abcdef0``."""
    return f"{prefix}-0{hexadecimal(random, 16)}"
