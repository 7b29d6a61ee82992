"""The names of interfaces' links: the far end, in the VPC's namespace, and the near one."""

from __future__ import annotations

import hashlib

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def far_name(interface_id: str) -> str:
    """The far end's name: the id's 17 hexadecimal digits in base 36, as a link's name has room for 15 characters."""
    number = int(interface_id.removeprefix("eni-"), 16)
    digits = ""
    for _ in range(14):
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return f"e{digits}"


def interface_id(name: str) -> str | None:
    """The inverse of ``far_name``; ``None`` for other links."""
    if len(name) != 15 or name[0] != "e":
        return None
    return f"eni-{int(name[1:], 36):017x}"


def near_name(network: str, interface: str) -> str:
    """The near end's name until somebody adopts it: ``dp<id>e`` and six digits drawn from the interface's id.

    The ``e`` sets it apart from uplinks (``dp<id>u2``), for which the machine's firewall has rules of their own.
    """
    number = int.from_bytes(hashlib.sha256(interface.encode()).digest()[:8])
    digits = ""
    for _ in range(6):
        number, digit = divmod(number, 36)
        digits += _DIGITS[digit]
    return f"{network[:8]}e{digits}"
