"""What the operations share: look-up by ARN, tags, pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from dryport.aws import arn, pages
from dryport.aws.errors import ServiceError
from dryport.elb import model, names
from dryport.elb.model import Listener, LoadBalancer, Rule, TargetGroup
from dryport.elb.names import invalid
from dryport.gateway.service import Call

T = TypeVar("T")
MOST_TAGS = 50  # a resource
_PAGE = 400


def checked_arn(call: Call, text: str, kind: str, words: str) -> str:
    """The ARN of a kind (``loadbalancer``) in the caller's account and region. Raises ServiceError."""
    parsed = arn.parse(text)
    if (
        parsed is None
        or parsed.service != names.SERVICE
        or parsed.resource.partition("/")[0] != kind
        or parsed.region != call.region
    ):
        raise invalid(f"'{text}' is not a valid {words} ARN")
    return text


def find_load_balancer(call: Call, text: str) -> LoadBalancer | None:
    """A load balancer of the caller's that is not being deleted. Raises ServiceError for what is no ARN."""
    found = call.tx.get(model.LOAD_BALANCERS, checked_arn(call, text, "loadbalancer", "load balancer"))
    if found is None or found.state == model.DELETING or found.account != call.account or found.classic is not None:
        return None
    return found


def load_balancer(call: Call, text: str) -> LoadBalancer:
    """A load balancer of the caller's. Raises ServiceError."""
    found = find_load_balancer(call, text)
    if found is None:
        raise ServiceError("LoadBalancerNotFound", f"Load balancer '{text}' not found")
    return found


def find_target_group(call: Call, text: str) -> TargetGroup | None:
    """A target group of the caller's. Raises ServiceError for what is no ARN."""
    found = call.tx.get(model.TARGET_GROUPS, checked_arn(call, text, "targetgroup", "target group"))
    return found if found is not None and found.account == call.account else None


def target_group(call: Call, text: str) -> TargetGroup:
    """A target group of the caller's. Raises ServiceError."""
    found = find_target_group(call, text)
    if found is None:
        raise ServiceError("TargetGroupNotFound", f"Target groups '{text}' not found")
    return found


def owner(text: str) -> str:
    """The account in an ARN."""
    parsed = arn.parse(text)
    return parsed.account if parsed is not None else ""


def find_listener(call: Call, text: str) -> Listener | None:
    """A listener of the caller's. Raises ServiceError for what is no ARN."""
    found = call.tx.get(model.LISTENERS, checked_arn(call, text, "listener", "listener"))
    return found if owner(text) == call.account else None


def listener(call: Call, text: str) -> Listener:
    """A listener of the caller's. Raises ServiceError."""
    found = find_listener(call, text)
    if found is None:
        raise ServiceError("ListenerNotFound", "One or more listeners not found")
    return found


def find_rule(call: Call, text: str) -> Rule | None:
    """A rule of the caller's that is no default rule. Raises ServiceError for what is no ARN."""
    found = call.tx.get(model.RULES, checked_arn(call, text, "listener-rule", "listener rule"))
    return found if owner(text) == call.account else None


def default_rule_of(call: Call, text: str) -> Listener | None:
    """The listener whose default rule this ARN names."""
    found = names.listener_of_default_rule(text)
    return find_listener(call, found) if found is not None else None


def page(items: Sequence[T], request: Mapping[str, Any]) -> tuple[Sequence[T], dict[str, str]]:
    """A page by ``PageSize`` and ``Marker``, and the member that tells of more. Raises ServiceError."""
    limit = request.get("PageSize") or _PAGE
    refusal = invalid(f"'{request.get('Marker')}' is not a valid marker")
    shown, more = pages.page(items, request.get("Marker"), limit, refusal)
    return shown, {"NextMarker": more["NextToken"]} if more else {}


def all_of(asked: Iterable[str], find: Callable[[str], T | None], refusal: ServiceError) -> list[T]:
    """What was asked for, each once. Raises ``refusal`` where one is not there."""
    found = [find(each) for each in dict.fromkeys(asked)]
    there = [each for each in found if each is not None]
    if len(there) != len(found):
        raise refusal
    return there


def with_tags(old: Mapping[str, str], new: Iterable[Any]) -> dict[str, str]:
    """The old tags with the new ones (``Key``, ``Value``) on top. Raises ServiceError."""
    given = list(new)
    for key, times in Counter(tag["Key"] for tag in given).items():
        if times > 1:
            raise ServiceError("DuplicateTagKeys", f"Tag key was specified more than once: {key}")
        if key.lower().startswith("aws:"):
            raise invalid("aws: prefixed tag key names are not allowed for external use.")
    tags = {**old, **{tag["Key"]: tag.get("Value", "") for tag in given}}
    if len(tags) > MOST_TAGS:
        raise ServiceError("TooManyTags", f"The maximum number of tags has been reached: '{MOST_TAGS}'")
    return tags


def pairs(attributes: Mapping[str, str]) -> list[dict[str, str]]:
    """Attributes or tags as AWS lists them."""
    return [{"Key": key, "Value": value} for key, value in attributes.items()]
