"""What surrounds a request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class About:
    """Where, when and how a request came. ``now`` is in seconds since the epoch; absent headers are ``None``."""

    region: str
    now: float
    source_ip: str
    secure: bool = False
    user_agent: str | None = None
    referer: str | None = None
