"""Keeps composite alarms in the state that their rule says: keyed by the alarm's ARN.

One is looked at when its rule or an alarm that the rule is about changes. So a state that SetAlarmState gave it lasts
until then.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from dryport.cloudwatch.model import ALARM, ALARMS, INSUFFICIENT, OK, Alarm, alarm_arn
from dryport.control.controller import Controller
from dryport.store import Change, Reader, Transaction


class Composites(Controller):
    """Implements ``control.controller.Controller``."""

    tables = (ALARMS,)

    def existing(self) -> Iterable[str]:
        return self.store.reader.keys(ALARMS, "rule", "composite")

    def keys(self, change: Change[Any]) -> Iterable[str]:
        old, new = change.old, change.new
        found: list[str] = []
        if new is not None and new.rule and (old is None or old.configured_at != new.configured_at):
            found.append(change.key)
        if old is None or new is None or old.state != new.state:
            found += self.store.reader.keys(ALARMS, "child", change.key)
        return found

    async def reconcile(self, key: str) -> float | None:
        if self.store.reader.get(ALARMS, key) is not None:
            now = self.clock.time()
            await self.store.transact(lambda tx: _judge(tx, key, now))
        return None


def _judge(tx: Transaction, key: str, now: float) -> None:
    from dryport.cloudwatch import alarms, rules  # not before there are alarms

    alarm = tx.get(ALARMS, key)
    if alarm is None or not alarm.rule or _is_circular(tx, alarm):
        return
    children = [each for each in (_child(tx, alarm, name) for name in alarm.children) if each is not None]
    states = {each.name: each.state for each in children}
    holds = rules.parse(alarm.rule).holds(lambda name: states.get(name, INSUFFICIENT))
    state = ALARM if holds else OK
    if state == alarm.state:
        return
    latest = max(children, key=lambda each: each.transitioned_at, default=None)
    triggering = [
        {"arn": each.arn, "state": {"value": each.state, "timestamp": _stamp(each.transitioned_at)}}
        for each in children
        if state == OK or each.state == ALARM
    ]
    data = msgspec.json.encode({"triggeringAlarms": triggering}).decode()
    alarms.change(tx, alarm, state, _reason(alarm, latest, state), data, now)


def _reason(alarm: Alarm, latest: Alarm | None, state: str) -> str:
    if latest is None or latest.transitioned_at <= alarm.configured_at:
        verb = "created" if alarm.state == INSUFFICIENT else "updated"
        return f"{alarm.arn} was {verb} and its alarm rule evaluates to {state}"
    at = datetime.fromtimestamp(latest.transitioned_at, UTC)
    return f"{latest.arn} transitioned to {latest.state} at {at:%A %d %B, %Y %H:%M:%S} UTC"


def _stamp(seconds: float) -> str:
    from dryport.cloudwatch.reasons import stamp

    return stamp(seconds)


def _child(reader: Reader, alarm: Alarm, name: str) -> Alarm | None:
    return reader.get(ALARMS, alarm_arn(alarm.account, alarm.region, name))


def _is_circular(reader: Reader, alarm: Alarm) -> bool:
    """Whether its rule is, over other composite alarms, about itself: then it is not evaluated, as on AWS."""
    seen: set[str] = set()
    left = list(alarm.children)
    while left:
        name = left.pop()
        if name == alarm.name:
            return True
        if name not in seen:
            seen.add(name)
            child = _child(reader, alarm, name)
            left += child.children if child is not None else []
    return False
