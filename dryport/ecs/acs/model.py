"""What the control plane keeps of a task besides the task: the sessions of its roles."""

from __future__ import annotations

import msgspec

from dryport.store import Table


class RoleGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A role's session. ``credentials_id`` stays when the keys are renewed: the containers know it by this name.

    ``expires`` is in seconds since the epoch; the keys themselves are iam's, under ``access_key_id``.
    """

    credentials_id: str
    role_arn: str
    access_key_id: str
    expires: float


class TaskGrant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The sessions of a task's roles. A task without it has not been prepared for its instance yet.

    ``renewals`` counts how often the keys were replaced: the agent must be told of those that it did not start with.
    """

    task_arn: str
    task: RoleGrant | None = None
    execution: RoleGrant | None = None
    renewals: int = 0

    @property
    def expires(self) -> float | None:
        """When the first of the sessions ends."""
        return min((grant.expires for grant in (self.task, self.execution) if grant), default=None)


TASK_GRANTS = Table("ecs.task_grant", TaskGrant, key=lambda g: g.task_arn)
