"""For whom instances are launched."""

from __future__ import annotations

from typing import NamedTuple


class Caller(NamedTuple):
    """An account in a region, and the unique id of who calls."""

    account: str
    region: str
    user_id: str
