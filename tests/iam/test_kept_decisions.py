"""Decisions that are kept hang on nothing that a later request could bring."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dryport.iam.room import room as iam_room
from dryport.sts.room import room as sts_room
from tests.iam.accounts import User, statement
from tests.served import Served, refusal


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    running = Served(tmp_path_factory.mktemp("kept"), [iam_room, sts_room])
    yield running
    running.stop()


def test_a_condition_is_asked_with_each_request(served: Served) -> None:
    """Allowed with one tag, then not with another, on the same resource."""
    only = {"Condition": {"StringEquals": {"aws:RequestTag/team": "blue"}}}
    user = User(served, statement("Allow", "iam:TagUser", **only))
    tag = user.client("iam").tag_user
    for _ in range(2):
        tag(UserName=user.name, Tags=[{"Key": "team", "Value": "blue"}])
        assert refusal(tag, UserName=user.name, Tags=[{"Key": "team", "Value": "red"}])[0] == "AccessDenied"


def test_a_change_ends_what_was_kept(served: Served) -> None:
    user = User(served, statement("Allow", "iam:*"))
    ask = user.client("iam").list_users
    for _ in range(3):
        ask()
        user.may(statement("Allow", "iam:*"), statement("Deny", "iam:ListUsers"))
        assert refusal(ask)[0] == "AccessDenied"
        user.may(statement("Allow", "iam:*"))
