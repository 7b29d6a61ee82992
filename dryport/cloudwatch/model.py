"""What is stored of alarms, and what waits to be written to the file of metrics. Times are seconds since the epoch."""

from __future__ import annotations

from typing import Any

import msgspec

from dryport.aws import arn
from dryport.store import Table

Json = dict[str, Any]
OK, ALARM, INSUFFICIENT = "OK", "ALARM", "INSUFFICIENT_DATA"
METRIC_ALARM, COMPOSITE_ALARM = "MetricAlarm", "CompositeAlarm"
_SERVICE = "cloudwatch"


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of what is stored."""


class Alarm(Record, frozen=True, kw_only=True):
    """An alarm on a metric, on an expression (``queries``), or on other alarms (``rule``).

    Members are AWS's of ``MetricAlarm`` and ``CompositeAlarm``; what was not given is empty, 0 or ``None``.
    """

    arn: str
    name: str
    account: str
    region: str
    description: str | None = None
    actions_enabled: bool = True
    ok_actions: list[str] = []
    alarm_actions: list[str] = []
    insufficient_data_actions: list[str] = []
    state: str = INSUFFICIENT
    reason: str = "Unchecked: Initial alarm creation"
    reason_data: str = ""
    updated_at: float  # its state
    transitioned_at: float
    configured_at: float
    namespace: str = ""
    metric_name: str = ""
    dimensions: list[tuple[str, str]] = []  # names with values, in the order given
    statistic: str = ""
    extended_statistic: str = ""
    period: int = 0  # seconds
    unit: str = ""
    evaluation_periods: int = 0
    datapoints_to_alarm: int | None = None
    threshold: float = 0.0
    comparison: str = ""
    missing: str = ""  # how missing data are treated; empty is AWS's default
    low_samples: str = ""
    queries: list[Json] = []  # AWS's MetricDataQuery
    rule: str = ""
    children: list[str] = []  # names of the alarms in the rule
    tags: dict[str, str] = {}

    @property
    def type(self) -> str:
        """AWS's ``AlarmType``."""
        return COMPOSITE_ALARM if self.rule else METRIC_ALARM


class HistoryItem(Record, frozen=True, kw_only=True):
    """What happened to an alarm, until it is written to the file."""

    number: int
    scope: str
    alarm: str  # its name
    type: str
    at: float
    kind: str  # ConfigurationUpdate, StateUpdate, Action
    summary: str
    data: str


class Handed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A value, or several as a statistic set, of a metric at a time."""

    name: str
    dimensions: list[tuple[str, str]]
    at: float
    unit: str
    count: float = 1.0
    total: float
    low: float
    high: float


class Inlet(Record, frozen=True, kw_only=True):
    """Data that another service hands in, until they are written to the file, each exactly once."""

    number: int
    scope: str
    namespace: str
    data: list[Handed]


def scope(account: str, region: str) -> str:
    """What metrics, alarms and history are found by."""
    return f"{account}/{region}"


def alarm_arn(account: str, region: str, name: str) -> str:
    """An alarm's ARN."""
    return arn.make(_SERVICE, region, account, f"alarm:{name}")


ALARMS: Table[Alarm] = Table(
    "cloudwatch.alarms",
    Alarm,
    lambda each: each.arn,
    {
        "scope": lambda each: scope(each.account, each.region),
        "child": lambda each: [alarm_arn(each.account, each.region, child) for child in each.children],
        "rule": lambda each: "composite" if each.rule else None,
    },
)
HISTORY: Table[HistoryItem] = Table(
    "cloudwatch.history",
    HistoryItem,
    lambda each: f"{each.number:016}",
    {"scope": lambda each: each.scope},
)
INLET: Table[Inlet] = Table("cloudwatch.inlet", Inlet, lambda each: f"{each.number:016}")
