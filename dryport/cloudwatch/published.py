"""What other services may call."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from dryport.cloudwatch.model import ALARM, ALARMS, INLET, Alarm, Handed, Inlet, alarm_arn, scope
from dryport.cloudwatch.storage import LATENESS, MINUTE, Datum, metric
from dryport.cloudwatch.summaries import of_set
from dryport.store import Reader, Transaction

__all__ = ["ALARMS", "Alarm", "Handed", "alarm_arn", "alarming", "bake_seconds", "put", "sample"]


def put(tx: Transaction, account: str, region: str, namespace: str, data: Sequence[Handed]) -> None:
    """Hand in data of a namespace (``AWS/ECS``): they are written soon, each once, whoever is killed in between.

    What is no finite number (somebody measured nonsense) is left out.
    """
    found = [each for each in data if all(map(math.isfinite, (each.count, each.total, each.low, each.high)))]
    if found:
        number = tx.next("cloudwatch.inlet")
        tx.put(INLET, Inlet(number=number, scope=scope(account, region), namespace=namespace, data=found))


def sample(name: str, dimensions: Iterable[tuple[str, str]], at: float, value: float, unit: str) -> Handed:
    """One value of a metric at a time, in a unit of CloudWatch's (``Percent``, ``Count``)."""
    return Handed(name=name, dimensions=list(dimensions), at=at, unit=unit, total=value, low=value, high=value)


def data_of(inlet: Inlet) -> list[Datum]:
    """What was handed in, as it is put in the file."""
    return [
        Datum(
            metric(inlet.namespace, each.name, each.dimensions),
            MINUTE,
            int(each.at) - int(each.at) % MINUTE,
            each.unit,
            of_set(each.count, each.total, each.low, each.high),
        )
        for each in inlet.data
    ]


def alarming(reader: Reader, account: str, region: str, names: Iterable[str]) -> list[str]:
    """Those of the alarms of these names that are in the state ALARM. Watch ALARMS."""
    return [each.name for each in _known(reader, account, region, names).values() if each.state == ALARM]


def bake_seconds(reader: Reader, account: str, region: str, names: Iterable[str]) -> float:
    """For how long alarms have to be watched until they have seen what happens from now on: the longest time that one
    of them evaluates, and until it has been."""
    known = [each for each in _known(reader, account, region, names, deep=True).values() if not each.rule]
    if not known:
        return 0.0
    from dryport.cloudwatch import alarms  # with the parser: not before there are alarms

    return max(float(each.evaluation_periods * alarms.period(each) + alarms.step(each) + LATENESS) for each in known)


def _known(
    reader: Reader, account: str, region: str, names: Iterable[str], *, deep: bool = False
) -> Mapping[str, Alarm]:
    """The alarms that there are of these names, with those that composite ones are of where it goes ``deep``."""
    found: dict[str, Alarm] = {}
    left = [*dict.fromkeys(names)]
    while left:
        each = reader.get(ALARMS, alarm_arn(account, region, left.pop(0)))
        if each is not None and each.name not in found:
            found[each.name] = each
            left += each.children if deep else []
    return found
