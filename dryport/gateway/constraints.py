"""The models' constraints on inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dryport.gateway.models import ServiceModel
from dryport.gateway.policies import Policy


class Constraints:
    """Compiles checkers."""

    def __init__(self, model: ServiceModel, policy: Policy) -> None:
        self._model = model

    def checker(self, shape: str | None) -> Callable[[dict[str, Any]], None]:
        return lambda given: None
