"""Container restart policies: a pure decision.

Source: "Restart individual containers in Amazon ECS tasks with container restart policies", developer guide.
"""

from __future__ import annotations

from dryport.agent.payload import RestartPolicy

_DEFAULT_PERIOD = 300  # seconds


def should_restart(policy: RestartPolicy | None, exit_code: int, ran_for: float) -> bool:
    """Whether a container that ended by itself after ``ran_for`` seconds is started again."""
    if policy is None or not policy.enabled or exit_code in (policy.ignored_exit_codes or ()):
        return False
    return ran_for >= (policy.restart_attempt_period or _DEFAULT_PERIOD)
