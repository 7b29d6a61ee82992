"""What actions of listeners and rules may be. Pure: AWS's shapes in, the same with AWS's defaults out.

Source: "Action types for listener rules" and botocore's ``elbv2`` model, with messages as AWS was recorded to give
them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from dryport.aws.errors import ServiceError
from dryport.elb.model import NETWORK, Json
from dryport.elb.names import invalid

_CONFIGS = {"forward": "ForwardConfig", "redirect": "RedirectConfig", "fixed-response": "FixedResponseConfig"}
_REFUSED = ("authenticate-oidc", "authenticate-cognito", "jwt-validation")
_MOST_GROUPS, _MOST_WEIGHT, _LONGEST_TIE = 5, 999, 604_800  # the last one in seconds
_CONTENT_TYPES = ("text/html", "application/json", "application/javascript", "text/css", "text/plain")
_REDIRECT = {"Protocol": "#{protocol}", "Port": "#{port}", "Host": "#{host}", "Path": "/#{path}", "Query": "#{query}"}
_PLACEHOLDER = re.compile(r"#\{([^}]*)\}")
_HOST = re.compile(r"([A-Za-z0-9.-]|#\{host\})+")
_MOST = 1  # of each placeholder in a path


class Where(NamedTuple):
    """What the actions are for: the load balancer's type, the listener's protocol and port."""

    kind: str
    protocol: str
    port: int


def action_error(message: str) -> ServiceError:
    """The refusal of an action."""
    return ServiceError("InvalidLoadBalancerAction", message)


def not_acted_on(what: str) -> ServiceError:
    """The refusal of what AWS has and Dryport does not do, by name."""
    message = f"Dryport does not act on {what} of Elastic Load Balancing, and so refuses it."
    return ServiceError("NotImplemented", f"{message} docs/coverage.md lists what it implements.", status=501)


def checked(given: Sequence[Json], where: Where) -> list[Json]:
    """The actions as listeners and rules keep and describe them. Raises ServiceError.

    That the target groups are there, and fit, is not looked at.
    """
    if not given:
        raise invalid("An action must be specified")
    for each in given:
        if each["Type"] in _REFUSED:
            raise not_acted_on(f"actions of the type {each['Type']}")
    if len(given) > 1:
        raise action_error(f"Action types '{','.join(each['Type'] for each in given)}' cannot be specified together")
    return [_checked(each, where) for each in given]


def _checked(given: Json, where: Where) -> Json:
    kind = given["Type"]
    if where.kind == NETWORK and kind != "forward":
        raise action_error(f"The action type '{kind}' is not valid with network load balancer")
    for other, config in _CONFIGS.items():
        if other != kind and config in given:
            raise invalid(f"You cannot specify '{config}' for an action of type '{kind}'")
    made: Json = {"Type": kind}
    if kind == "forward":
        forwarding, single = _forward(given, where)
        if single:
            made["TargetGroupArn"] = single
    elif "TargetGroupArn" in given:
        raise invalid(f"You cannot specify a target group for an action of type '{kind}'")
    if "Order" in given:
        made["Order"] = given["Order"]
    if kind == "forward":
        made["ForwardConfig"] = forwarding
        return made
    config = _CONFIGS[kind]
    if config not in given:
        raise invalid(f"For actions of type '{kind}', you must specify the following fields: '{config}'")
    made[config] = _redirect(given[config], where) if kind == "redirect" else _fixed(given[config])
    return made


def _forward(given: Json, where: Where) -> tuple[Json, str]:
    """The ForwardConfig, and the target group's ARN where it is the only one."""
    config = given.get("ForwardConfig", {})
    groups = list(config.get("TargetGroups", ()))
    single = given.get("TargetGroupArn", "")
    if single and groups and [each.get("TargetGroupArn") for each in groups] != [single]:
        raise invalid(
            "You can specify both a target group list and a top-level target group ARN only if the ARNs match"
        )
    groups = groups or ([{"TargetGroupArn": single}] if single else [])
    if not groups or any("TargetGroupArn" not in each for each in groups):
        raise invalid("A target group ARN must be specified")
    if len(groups) > _MOST_GROUPS:
        raise ServiceError(
            "TooManyTargetGroups", f"You cannot specify more than {_MOST_GROUPS} target groups per action"
        )
    arns = [each["TargetGroupArn"] for each in groups]
    if len(set(arns)) != len(arns):
        raise invalid("A target group ARN cannot be specified more than once in an action")
    if len(groups) == 1 and not 1 <= groups[0].get("Weight", 1) <= _MOST_WEIGHT:
        raise invalid(f"The weight for the target group must be between 1 and {_MOST_WEIGHT}, inclusive")
    if len(groups) > 1 and not all(0 <= each.get("Weight", -1) <= _MOST_WEIGHT for each in groups):
        raise invalid(f"The weight for each target group must be between 0 and {_MOST_WEIGHT}, inclusive")
    asked = config.get("TargetGroupStickinessConfig", {})
    if where.kind == NETWORK and ("DurationSeconds" in asked or asked.get("Enabled")):
        raise invalid("Target group stickiness duration cannot be configured on load balancers of type 'network'")
    tie = _tie(asked)
    if where.protocol in ("UDP", "TCP_UDP") and len(groups) > 1:
        raise not_acted_on(f"several target groups in an action of {where.protocol} listeners")
    weighted = [{"TargetGroupArn": each["TargetGroupArn"], "Weight": each.get("Weight", 1)} for each in groups]
    return {"TargetGroups": weighted, "TargetGroupStickinessConfig": tie}, arns[0] if len(arns) == 1 else ""


def _tie(given: Json) -> Json:
    if not given.get("Enabled", False):
        return {"Enabled": False}
    seconds = given.get("DurationSeconds")
    if seconds is None:
        raise invalid("You must provide a duration when enabling target group stickiness")
    if not 1 <= seconds <= _LONGEST_TIE:
        raise invalid(f"Target group stickiness duration must be between 1 and {_LONGEST_TIE} seconds")
    return {"Enabled": True, "DurationSeconds": seconds}


def _fixed(given: Json) -> Json:
    kind = given.get("ContentType", "")
    if kind and kind not in _CONTENT_TYPES:
        raise action_error(f"The ContentType must be one of:{', '.join(map(repr, _CONTENT_TYPES))}.")
    made: Json = {}
    if given.get("MessageBody"):
        made["MessageBody"] = given["MessageBody"]
    made["StatusCode"] = given["StatusCode"]
    if kind or "MessageBody" in made:
        made["ContentType"] = kind or "text/plain"
    return made


def _redirect(given: Json, where: Where) -> Json:
    made: Json = {name: given.get(name, default) for name, default in _REDIRECT.items()}
    made["StatusCode"] = given["StatusCode"]
    if where.protocol == "HTTPS" and made["Protocol"] == "HTTP":
        raise action_error("You cannot redirect HTTPS to HTTP")
    _check_port(made["Port"])
    _check_path(made["Path"])
    if not _HOST.fullmatch(made["Host"]):
        raise action_error(f"The Host parameter '{made['Host']}' is not a valid host name")
    _check_placeholders("Query", made["Query"], ("protocol", "host", "port", "path", "query"))
    protocol = where.protocol if made["Protocol"] == "#{protocol}" else made["Protocol"]
    port = str(where.port) if made["Port"] == "#{port}" else made["Port"]
    unchanged = all(made[name] == _REDIRECT[name] for name in ("Host", "Path", "Query"))
    if unchanged and (protocol, port) == (where.protocol, str(where.port)):
        raise action_error("The redirect configuration is not valid because it creates a loop.")
    return made


def _check_port(text: str) -> None:
    if text == "#{port}":
        return
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= 65_535):
        raise action_error("The Port parameter must be either an integer between 1 and 65535 or '#{port}'.")


def _check_path(text: str) -> None:
    allowed = ("path", "host", "port")
    found = _PLACEHOLDER.findall(text)
    often = any(found.count(each) > _MOST for each in found)
    if not text.startswith("/") or often or any(each not in allowed for each in found):
        raise action_error(
            "The Path parameter must be a valid path, should start with a '/', and may contain up to one of each "
            "of these placeholders: '#{path}', '#{host}', '#{port}'."
        )


def _check_placeholders(member: str, text: str, allowed: tuple[str, ...]) -> None:
    for each in _PLACEHOLDER.findall(text):
        if each not in allowed:
            raise action_error(f"The {member} parameter cannot contain '#{{{each}}}'")
