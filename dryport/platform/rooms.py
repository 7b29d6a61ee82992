"""Which services there are. A new service is one more line here."""

from __future__ import annotations

from importlib import import_module

from dryport.control.context import Context, Room, RoomMaker

NAMES = ("ec2", "ecr", "ecs", "logs", "s3", "secretsmanager", "ssm", "sts")


def maker(name: str) -> RoomMaker:
    """The function that makes a service's room."""
    made: RoomMaker = import_module(f"dryport.{name}.room").room
    return made


def furnish(context: Context) -> list[Room]:
    """Every room, made."""
    return [maker(name)(context) for name in NAMES]
