"""What is wrong with an expression, and where."""

from __future__ import annotations


class QueryError(ValueError):
    """An expression that cannot be read. ``position`` counts its characters from 1."""

    def __init__(self, problem: str, position: int) -> None:
        super().__init__(f"{problem} at position {position}")
        self.problem = problem
        self.position = position
