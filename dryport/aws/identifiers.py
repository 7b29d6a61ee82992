"""Identifiers in the forms that AWS gives them. Randomness is passed in, so that a simulation repeats."""

from __future__ import annotations

from random import Random

_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


def hexadecimal(random: Random, digits: int) -> str:
    """``digits`` lower-case hexadecimal digits."""
    return f"{random.getrandbits(4 * digits):0{digits}x}"


def uuid4(random: Random) -> str:
    """A version 4 UUID (RFC 9562), as request ids and ECS attachment ids are."""
    text = random.randbytes(16).hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{_VARIANTS[text[16]]}{text[17:20]}-{text[20:]}"


def resource_id(random: Random, prefix: str) -> str:
    """An EC2 resource id of 17 digits, such as ``eni-0123456789abcdef0``."""
    return f"{prefix}-0{hexadecimal(random, 16)}"
