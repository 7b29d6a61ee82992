"""All that a board says, in a form in which two can be compared."""

from __future__ import annotations

from typing import Any

from dryport.ecs.placement.bits import members
from dryport.ecs.placement.board import Board

_AMOUNTS = (1, 128, 300, 1024)


def picture(board: Board) -> dict[str, Any]:
    """What a board says, apart from which slot is whose."""

    def arns(slots: int) -> list[str]:
        return sorted(board.instances[slot].arn for slot in members(slots))

    return {
        "tasks": board.tasks,
        "instances": sorted(board.slots),
        "active": arns(board.active),
        "connected": arns(board.connected),
        "launch types": {name: arns(slots) for name, slots in board.launch_types.items() if slots},
        "left": {
            name: {board.instances[slot].arn: left for slot, left in numbers.of.items()}
            for name, numbers in board.left.items()
        },
        "at least": {
            (name, amount): arns(numbers.at_least(amount))
            for name, numbers in board.left.items()
            for amount in _AMOUNTS
        },
        "least": {name: arns(numbers.least(board.everyone)) for name, numbers in board.left.items()},
        "taken": {port: arns(slots) for port, slots in board.taken.items()},
        "hosting": {name: arns(group.hosting) for name, group in board.groups.items() if not group.empty},
        "wanted": {
            name: {board.instances[slot].arn: count for slot, count in group.wanted.items()}
            for name, group in board.groups.items()
            if group.wanted
        },
        "running": {count: arns(slots) for count, slots in board.running.sets.items()},
    }
