"""Whose account settings hold."""

from __future__ import annotations

import pytest

from dryport.ecs.settings import SETTINGS, holder


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        ("arn:aws:sts::000000000000:assumed-role/deploy/session", "arn:aws:iam::000000000000:role/deploy"),
        ("arn:aws:iam::000000000000:user/u", "arn:aws:iam::000000000000:user/u"),
        ("arn:aws:iam::000000000000:root", "arn:aws:iam::000000000000:root"),
        ("arn:aws:sts::000000000000:federated-user/f", "arn:aws:sts::000000000000:federated-user/f"),
    ],
)
def test_a_session_has_its_roles_settings(principal: str, expected: str) -> None:
    assert holder(principal) == expected


def test_every_default_may_be_set() -> None:
    for setting in SETTINGS.values():
        assert setting.managed or setting.default in setting.values
