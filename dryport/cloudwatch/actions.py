"""What alarms do when their state changes: an action is an ARN, and its service a handler.

Nothing that an alarm could act on is here yet (SNS, auto scaling), so there is no handler, and an alarm with an action
is refused by the action's name. A service that comes registers itself: its handler is called in the transaction of the
transition, so that it writes down what is to be done, and its controllers do it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dryport.aws import arn
from dryport.aws.errors import unsupported_parameter
from dryport.cloudwatch.model import Alarm
from dryport.cloudwatch.refusals import validation
from dryport.store import Transaction

Handler = Callable[[Transaction, Alarm, str, float], None]
"""From a transaction, an alarm in its new state, an action's ARN, and the time in seconds."""

HANDLERS: dict[str, Handler] = {}
"""By the service in an action's ARN (``sns``, ``autoscaling``)."""

_MEMBERS = {"OK": "ok_actions", "ALARM": "alarm_actions", "INSUFFICIENT_DATA": "insufficient_data_actions"}


def check(operation: str, member: str, actions: Iterable[str]) -> None:
    """Refuse actions that nothing carries out. Raises ServiceError."""
    for action in actions:
        parsed = arn.parse(action)
        if parsed is None:
            raise validation(f"Invalid arn syntax: {action}")
        if parsed.service not in HANDLERS:
            raise unsupported_parameter("cloudwatch", operation, f"{member} ({action})")


def take(tx: Transaction, alarm: Alarm, now: float) -> list[str]:
    """Take the actions of the state that an alarm has just come to, if it is to; those that were taken."""
    wanted: list[str] = getattr(alarm, _MEMBERS[alarm.state]) if alarm.actions_enabled else []
    for action in wanted:
        parsed = arn.parse(action)
        if parsed is not None:
            HANDLERS[parsed.service](tx, alarm, action, now)
    return wanted
