"""What has happened to alarms, those that are gone included."""

from __future__ import annotations

import math
from typing import Any

from dryport.aws import pages
from dryport.cloudwatch import history, shapes
from dryport.cloudwatch.controllers import write_history
from dryport.cloudwatch.history import Wanted
from dryport.cloudwatch.model import METRIC_ALARM, scope
from dryport.cloudwatch.refusals import bad_token
from dryport.cloudwatch.storage import MetricStorage
from dryport.gateway.service import Call, Output, Service

_PAGE = 50


def register(service: Service, file: MetricStorage) -> None:
    """Add the operation of this module."""

    async def describe(call: Call, request: Any) -> Output:
        wanted = Wanted(
            scope(call.account, call.region),
            request.get("AlarmName"),
            request.get("HistoryItemType"),
            request.get("AlarmTypes") or (METRIC_ALARM,),
            request.get("StartDate", 0.0),
            request.get("EndDate", math.inf),
            request.get("ScanBy") != "TimestampAscending",
        )
        limit, first = request.get("MaxRecords", _PAGE), pages.start(request.get("NextToken"), bad_token())
        await write_history(call.store, file)
        found = await file.read(lambda connection: history.read(connection, wanted, limit + 1, first))
        answer: dict[str, Any] = {"AlarmHistoryItems": [shapes.history_item(each) for each in found[:limit]]}
        if len(found) > limit:
            answer["NextToken"] = pages.make_token(first + limit)
        return answer

    service.operation("DescribeAlarmHistory", unsupported=("AlarmContributorId",))(describe)
