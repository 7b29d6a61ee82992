"""Listeners and rules, called by boto3 through the gateway."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.elb.api.conftest import forward
from tests.served import refusal

Make = Callable[..., Any]
_ANSWER = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "ContentType": "text/plain"}}]
_PATH = [{"Field": "path-pattern", "Values": ["/a/*"]}]


def test_a_listener_member_by_member(elb: Any, balancer: Make, group: Make) -> None:
    lb, arn = balancer()["LoadBalancerArn"], group()["TargetGroupArn"]
    asked = {"LoadBalancerArn": lb, "Protocol": "HTTP", "Port": 80, "DefaultActions": forward(arn)}
    made = elb.create_listener(**asked)["Listeners"][0]
    assert re.fullmatch(re.escape(lb.replace(":loadbalancer/", ":listener/")) + "/[0-9a-f]{16}", made["ListenerArn"])
    assert made == {
        "ListenerArn": made["ListenerArn"],
        "LoadBalancerArn": lb,
        "Port": 80,
        "Protocol": "HTTP",
        "DefaultActions": [
            {
                "Type": "forward",
                "TargetGroupArn": arn,
                "ForwardConfig": {
                    "TargetGroups": [{"TargetGroupArn": arn, "Weight": 1}],
                    "TargetGroupStickinessConfig": {"Enabled": False},
                },
            }
        ],
    }
    assert elb.create_listener(**asked)["Listeners"] == [made]
    assert elb.describe_listeners(LoadBalancerArn=lb)["Listeners"] == [made]
    assert elb.describe_listeners(ListenerArns=[made["ListenerArn"]])["Listeners"] == [made]
    assert refusal(elb.create_listener, **{**asked, "DefaultActions": _ANSWER}) == (
        "DuplicateListener",
        f"A listener already exists on this port for this load balancer '{lb}'",
    )
    changed = elb.modify_listener(ListenerArn=made["ListenerArn"], Port=8080, DefaultActions=_ANSWER)["Listeners"][0]
    assert changed == {**made, "Port": 8080, "DefaultActions": _ANSWER}
    assert elb.create_listener(**asked)["Listeners"][0]["Port"] == 80
    assert refusal(elb.modify_listener, ListenerArn=made["ListenerArn"], Port=80)[0] == "DuplicateListener"
    elb.delete_listener(ListenerArn=made["ListenerArn"])
    assert refusal(elb.delete_listener, ListenerArn=made["ListenerArn"]) == (
        "ListenerNotFound",
        f"Listener '{made['ListenerArn']}' not found",
    )
    assert refusal(elb.describe_listeners, ListenerArns=[made["ListenerArn"]]) == (
        "ListenerNotFound",
        "One or more listeners not found",
    )
    assert refusal(elb.describe_listeners)[1] == "You must specify either listener ARNs or a load balancer ARN"


def test_target_groups_that_do_not_fit(elb: Any, balancer: Make, group: Make, other_vpc: Any) -> None:
    lb, other = balancer()["LoadBalancerArn"], balancer()["LoadBalancerArn"]

    def create(actions: Any, **more: Any) -> tuple[str, str]:
        asked = {"LoadBalancerArn": lb, "Protocol": "HTTP", "Port": 80, "DefaultActions": actions, **more}
        return refusal(elb.create_listener, **asked)

    tcp = group(Protocol="TCP")["TargetGroupArn"]
    assert create(forward(tcp)) == (
        "IncompatibleProtocols",
        f"The listener and the following target groups have incompatible protocols: {tcp}",
    )
    taken = group()["TargetGroupArn"]
    elb.create_listener(LoadBalancerArn=other, Protocol="HTTP", Port=80, DefaultActions=forward(taken))
    assert create(forward(taken)) == (
        "TargetGroupAssociationLimit",
        f"The following target groups cannot be associated with more than one load balancer: {taken}",
    )
    foreign = group(VpcId=other_vpc[0])["TargetGroupArn"]
    assert create(forward(foreign))[0] == "InvalidConfigurationRequest"
    second = group(ProtocolVersion="HTTP2")["TargetGroupArn"]
    assert create(forward(second)) == (
        "InvalidLoadBalancerAction",
        "Listener protocol 'HTTP' is not supported with a target group with the protocol-version 'HTTP2'",
    )
    gone = taken[:-16] + "0" * 16
    assert create(forward(gone))[0] == "TargetGroupNotFound"
    assert create(forward("x")) == ("ValidationError", "'x' is not a valid target group ARN")
    assert create(_ANSWER, Protocol="TCP") == (
        "ValidationError",
        "Listener protocol 'TCP' must be one of 'HTTP, HTTPS'",
    )
    assert create(_ANSWER, SslPolicy="ELBSecurityPolicy-2016-08")[1] == (
        "An SSL policy cannot be specifed for HTTP listeners"
    )
    assert create(_ANSWER, Protocol="HTTPS")[1] == "A certificate must be specified for HTTPS listeners"
    certificate = "arn:aws:acm:us-east-1:000000000000:certificate/12345678-1234-1234-1234-123456789012"
    assert create(_ANSWER, Protocol="HTTPS", Certificates=[{"CertificateArn": certificate}]) == (
        "CertificateNotFound",
        f"Certificate '{certificate}' not found",
    )


def test_network_listeners(elb: Any, balancer: Make, group: Make) -> None:
    lb, arn = balancer(Type="network")["LoadBalancerArn"], group(Protocol="TCP")["TargetGroupArn"]

    def create(actions: Any, **more: Any) -> tuple[str, str]:
        asked = {"LoadBalancerArn": lb, "Protocol": "TCP", "Port": 80, "DefaultActions": actions, **more}
        return refusal(elb.create_listener, **asked)

    assert create(_ANSWER) == (
        "InvalidLoadBalancerAction",
        "The action type 'fixed-response' is not valid with network load balancer",
    )
    assert create(forward(arn), Protocol="UDP")[0] == "IncompatibleProtocols"
    assert create(forward(arn), Protocol="QUIC")[0] == "NotImplemented"
    assert create(forward(arn), Protocol="HTTP")[0] == "ValidationError"
    made = elb.create_listener(LoadBalancerArn=lb, Protocol="TCP", Port=80, DefaultActions=forward(arn))["Listeners"][0]
    assert made["ListenerArn"].startswith(lb.replace(":loadbalancer/", ":listener/"))
    call = {"ListenerArn": made["ListenerArn"], "Priority": 1, "Conditions": _PATH, "Actions": forward(arn)}
    assert refusal(elb.create_rule, **call)[0] == "UnsupportedProtocol"
    second = group(Protocol="TCP")["TargetGroupArn"]
    weighed = [{"TargetGroupArn": arn, "Weight": 3}, {"TargetGroupArn": second, "Weight": 0}]
    several = [{"Type": "forward", "ForwardConfig": {"TargetGroups": weighed}}]
    elb.modify_listener(ListenerArn=made["ListenerArn"], DefaultActions=several)
    shown = elb.describe_listeners(ListenerArns=[made["ListenerArn"]])["Listeners"][0]["DefaultActions"][0]
    assert shown["ForwardConfig"]["TargetGroups"] == weighed and "TargetGroupArn" not in shown
    code, message = create(several, Protocol="UDP", Port=81)
    assert (code, "several target groups in an action of UDP listeners" in message) == ("NotImplemented", True)
    assert [each["Priority"] for each in elb.describe_rules(ListenerArn=made["ListenerArn"])["Rules"]] == ["default"]


def test_limits(elb: Any, balancer: Make) -> None:
    lb = balancer()["LoadBalancerArn"]
    for port in range(1, 51):
        elb.create_listener(LoadBalancerArn=lb, Protocol="HTTP", Port=port, DefaultActions=_ANSWER)
    call = {"LoadBalancerArn": lb, "Protocol": "HTTP", "Port": 99, "DefaultActions": _ANSWER}
    assert refusal(elb.create_listener, **call) == (
        "TooManyListeners",
        f"The maximum number of listeners has been reached on load balancer '{lb}'",
    )
    pages = elb.get_paginator("describe_listeners").paginate(LoadBalancerArn=lb, PaginationConfig={"PageSize": 20})
    assert [len(page["Listeners"]) for page in pages] == [20, 20, 10]
    first, second = [each["ListenerArn"] for each in elb.describe_listeners(LoadBalancerArn=lb)["Listeners"][:2]]
    for priority in range(1, 51):
        for arn in (first, second):
            elb.create_rule(ListenerArn=arn, Priority=priority, Conditions=_PATH, Actions=_ANSWER)
    assert refusal(elb.create_rule, ListenerArn=first, Priority=99, Conditions=_PATH, Actions=_ANSWER) == (
        "TooManyRules",
        f"The maximum number of rules has been reached on load balancer '{lb}'",
    )


def test_a_rule_member_by_member(elb: Any, listener: Any) -> None:
    of = listener["ListenerArn"]
    made = elb.create_rule(ListenerArn=of, Priority=10, Conditions=_PATH, Actions=_ANSWER)["Rules"][0]
    assert re.fullmatch(re.escape(of.replace(":listener/", ":listener-rule/")) + "/[0-9a-f]{16}", made["RuleArn"])
    assert made == {
        "RuleArn": made["RuleArn"],
        "Priority": "10",
        "Conditions": [{"Field": "path-pattern", "Values": ["/a/*"], "PathPatternConfig": {"Values": ["/a/*"]}}],
        "Actions": _ANSWER,
        "IsDefault": False,
    }
    first = elb.create_rule(ListenerArn=of, Priority=5, Conditions=_PATH, Actions=_ANSWER)["Rules"][0]
    rules = elb.describe_rules(ListenerArn=of)["Rules"]
    assert [each["Priority"] for each in rules] == ["5", "10", "default"] and rules[:2] == [first, made]
    default = rules[2]
    assert default == {
        "RuleArn": default["RuleArn"],
        "Priority": "default",
        "Conditions": [],
        "Actions": listener["DefaultActions"],
        "IsDefault": True,
    }
    assert elb.describe_rules(RuleArns=[default["RuleArn"], made["RuleArn"]])["Rules"] == [default, made]
    assert refusal(elb.create_rule, ListenerArn=of, Priority=10, Conditions=_PATH, Actions=_ANSWER) == (
        "PriorityInUse",
        "Priority '10' is currently in use",
    )
    assert refusal(elb.modify_rule, RuleArn=made["RuleArn"])[1] == "Either conditions or actions must be specified"
    host = [{"Field": "host-header", "HostHeaderConfig": {"Values": ["*.example.com"]}}]
    changed = elb.modify_rule(RuleArn=made["RuleArn"], Conditions=host)["Rules"][0]
    assert changed == {**made, "Conditions": [{**host[0], "Values": ["*.example.com"]}]}
    for call in (elb.modify_rule, elb.delete_rule):
        more = {"Actions": _ANSWER} if call == elb.modify_rule else {}
        assert refusal(call, RuleArn=default["RuleArn"], **more)[0] == "OperationNotPermitted"
    elb.delete_rule(RuleArn=made["RuleArn"])
    assert refusal(elb.delete_rule, RuleArn=made["RuleArn"]) == ("RuleNotFound", "One or more rules not found")
    assert refusal(elb.describe_rules, RuleArns=[made["RuleArn"]])[0] == "RuleNotFound"


def test_priorities_change_at_once(elb: Any, listener: Any) -> None:
    of = listener["ListenerArn"]
    one, two, three = (
        elb.create_rule(ListenerArn=of, Priority=n, Conditions=_PATH, Actions=_ANSWER)["Rules"][0]["RuleArn"]
        for n in (1, 2, 3)
    )
    swapped = [{"RuleArn": one, "Priority": 2}, {"RuleArn": two, "Priority": 1}]
    assert [each["Priority"] for each in elb.set_rule_priorities(RulePriorities=swapped)["Rules"]] == ["2", "1"]
    shown = elb.describe_rules(ListenerArn=of)["Rules"]
    assert [each["RuleArn"] for each in shown[:3]] == [two, one, three]
    assert refusal(elb.set_rule_priorities, RulePriorities=[{"RuleArn": one, "Priority": 3}])[0] == "PriorityInUse"
    twice = [{"RuleArn": one, "Priority": 7}, {"RuleArn": two, "Priority": 7}]
    assert refusal(elb.set_rule_priorities, RulePriorities=twice) == (
        "ValidationError",
        "Priority '7' was provided multiple times",
    )
    default = shown[3]["RuleArn"]
    assert refusal(elb.set_rule_priorities, RulePriorities=[{"RuleArn": default, "Priority": 9}])[0] == (
        "OperationNotPermitted"
    )


@pytest.mark.parametrize(
    "condition",
    [
        {"Field": "host-header", "HostHeaderConfig": {"Values": ["example.com", "*.example.org"]}},
        {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "User-Agent", "Values": ["*Mozilla*"]}},
        {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["GET", "X-Y_Z"]}},
        {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/home", "/a?b&c$*"]}},
        {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "v", "Value": "1*"}, {"Value": "x"}]}},
        {"Field": "source-ip", "SourceIpConfig": {"Values": ["172.28.7.0/24", "2001:db8::/32"]}},
    ],
)
def test_conditions_that_may_be(elb: Any, listener: Any, condition: dict[str, Any]) -> None:
    call = {"ListenerArn": listener["ListenerArn"], "Priority": 1, "Conditions": [condition], "Actions": _ANSWER}
    made = elb.create_rule(**call)["Rules"][0]["Conditions"][0]
    config = next(each for each in condition if each.endswith("Config"))
    assert (made["Field"], made[config]) == (condition["Field"], condition[config])


def _of(field: str, config: str, *values: Any, **more: str) -> dict[str, Any]:
    return {"Field": field, config: {**more, "Values": list(values)}}


_LONG = "x" * 129


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ([], "A condition must be specified"),
        (
            [{"Field": "color", "Values": ["red"]}],
            "Condition field 'color' must be one of "
            "'http-header,http-request-method,host-header,query-string,path-pattern,source-ip'",
        ),
        (
            [{"Field": "host-header"}],
            "For conditions of type 'host-header', you must specify the following fields: "
            "'Values or RegexValues or HostHeaderConfig'",
        ),
        (
            [{"Field": "host-header", "Values": ["example"]}],
            "Condition value 'example' contains a character that is not valid",
        ),
        (
            [{"Field": "path-pattern", "PathPatternConfig": {"Values": []}}],
            "You must provide exactly one of the following: ['Values' 'RegexValues'] for config of type "
            "'PathPatternConfig'",
        ),
        (
            [{"Field": "host-header", "Values": [_LONG]}],
            "Condition value for 'host-header' cannot contain more than 128 characters",
        ),
        (
            [_of("http-header", "HttpHeaderConfig", "y", HttpHeaderName="x" * 50)],
            "Condition value for 'http-header' cannot contain more than 40 characters",
        ),
        (
            [_of("http-header", "HttpHeaderConfig", _LONG, HttpHeaderName="x")],
            "Condition value for 'http-header' cannot contain more than 128 characters",
        ),
        (
            [_of("http-header", "HttpHeaderConfig", "y", HttpHeaderName="Host")],
            "You cannot specify 'host' as an HTTP header name",
        ),
        (
            [_of("http-request-method", "HttpRequestMethodConfig", "get")],
            "Condition value 'get' contains a character that is not valid",
        ),
        (
            [{"Field": "http-request-method"}],
            "For conditions of type 'http-request-method', you must specify the following fields: "
            "'HttpRequestMethodConfig'",
        ),
        (
            [_of("query-string", "QueryStringConfig", {"Key": "hello"})],
            "A 'Value' must be specified in 'QueryStringKeyValuePair'",
        ),
        (
            [_of("query-string", "QueryStringConfig", {"Key": _LONG, "Value": "x"})],
            "Condition value for 'query-string' cannot contain more than 128 characters",
        ),
        (
            [{"Field": "source-ip"}],
            "For conditions of type 'source-ip', you must specify the following fields: 'SourceIpConfig'",
        ),
        ([_of("source-ip", "SourceIpConfig", "10.0.0.1")], "The specified value '10.0.0.1' is not a valid CIDR block"),
        ([*_PATH, *_PATH], "A rule can only have one 'path-pattern' condition"),
        (
            [_of("path-pattern", "PathPatternConfig", *[f"/{n}" for n in range(6)])],
            "A rule can only have '5' condition values and regex values",
        ),
        ([_of("path-pattern", "PathPatternConfig", "/*******")], "A rule can only have '6' condition wildcards"),
    ],
)
def test_conditions_that_cannot_be(elb: Any, listener: Any, conditions: Any, message: str) -> None:
    call = {"ListenerArn": listener["ListenerArn"], "Priority": 1, "Conditions": conditions, "Actions": _ANSWER}
    assert refusal(elb.create_rule, **call) == ("ValidationError", message)


def test_actions_with_their_defaults(elb: Any, listener: Any, group: Make) -> None:
    blue, green = group()["TargetGroupArn"], group()["TargetGroupArn"]

    def made(**action: Any) -> Any:
        number = len(elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"])
        call = {"ListenerArn": listener["ListenerArn"], "Priority": number, "Conditions": _PATH, "Actions": [action]}
        return elb.create_rule(**call)["Rules"][0]["Actions"][0]

    redirect = made(
        Type="redirect", Order=1, RedirectConfig={"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
    )
    assert redirect == {
        "Type": "redirect",
        "Order": 1,
        "RedirectConfig": {
            "Protocol": "HTTPS",
            "Port": "443",
            "Host": "#{host}",
            "Path": "/#{path}",
            "Query": "#{query}",
            "StatusCode": "HTTP_301",
        },
    }
    config = {
        "TargetGroups": [{"TargetGroupArn": blue, "Weight": 90}, {"TargetGroupArn": green, "Weight": 10}],
        "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 60},
    }
    assert made(Type="forward", ForwardConfig=config) == {"Type": "forward", "ForwardConfig": config}
    single = {"TargetGroups": [{"TargetGroupArn": blue}]}
    assert made(Type="forward", ForwardConfig=single)["TargetGroupArn"] == blue
    answer = made(Type="fixed-response", FixedResponseConfig={"StatusCode": "503", "MessageBody": "no"})
    assert answer["FixedResponseConfig"] == {"StatusCode": "503", "MessageBody": "no", "ContentType": "text/plain"}


_ARN = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/a/0123456789abcdef"
_REDIRECT = {"StatusCode": "HTTP_301", "Port": "443"}


@pytest.mark.parametrize(
    ("action", "code", "message"),
    [
        (
            {"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301"}},
            "InvalidLoadBalancerAction",
            "The redirect configuration is not valid because it creates a loop.",
        ),
        (
            {"Type": "redirect", "RedirectConfig": {**_REDIRECT, "Path": "a"}},
            "InvalidLoadBalancerAction",
            "The Path parameter must be a valid path, should start with a '/', and may contain up to one of each of "
            "these placeholders: '#{path}', '#{host}', '#{port}'.",
        ),
        (
            {"Type": "redirect", "RedirectConfig": {**_REDIRECT, "Port": "70000"}},
            "InvalidLoadBalancerAction",
            "The Port parameter must be either an integer between 1 and 65535 or '#{port}'.",
        ),
        (
            {"Type": "redirect"},
            "ValidationError",
            "For actions of type 'redirect', you must specify the following fields: 'RedirectConfig'",
        ),
        ({"Type": "forward"}, "ValidationError", "A target group ARN must be specified"),
        (
            {
                "Type": "forward",
                "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": f"{_ARN[:-1]}{n}"} for n in range(6)]},
            },
            "TooManyTargetGroups",
            "You cannot specify more than 5 target groups per action",
        ),
        (
            {"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": _ARN, "Weight": 1000}]}},
            "ValidationError",
            "The weight for the target group must be between 1 and 999, inclusive",
        ),
        (
            {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "ContentType": "a/b"}},
            "InvalidLoadBalancerAction",
            "The ContentType must be one of:'text/html', 'application/json', 'application/javascript', 'text/css', "
            "'text/plain'.",
        ),
    ],
)
def test_actions_that_cannot_be(elb: Any, listener: Any, action: Any, code: str, message: str) -> None:
    call = {"ListenerArn": listener["ListenerArn"], "Priority": 1, "Conditions": _PATH, "Actions": [action]}
    assert refusal(elb.create_rule, **call) == (code, message)


def test_what_the_data_plane_cannot_do_is_refused_before_it_is_promised(elb: Any, listener: Any) -> None:
    condition = _of("http-header", "HttpHeaderConfig", "y", HttpHeaderName="X~Y")
    call = {"ListenerArn": listener["ListenerArn"], "Priority": 1, "Conditions": [condition], "Actions": _ANSWER}
    code, message = refusal(elb.create_rule, **call)
    assert code == "NotImplemented" and "http-header conditions on the header X~Y" in message
    nul = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "MessageBody": "a\0b"}}
    assert (
        refusal(elb.modify_listener, ListenerArn=listener["ListenerArn"], DefaultActions=[nul])[0] == "ValidationError"
    )
    assert [each["Priority"] for each in elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]] == [
        "default"
    ]


def test_several_target_groups_need_weights_and_ties_a_duration(elb: Any, listener: Any, group: Make) -> None:
    two = [{"TargetGroupArn": group()["TargetGroupArn"]} for _ in range(2)]
    call = {"ListenerArn": listener["ListenerArn"], "Priority": 1, "Conditions": _PATH}

    def refused(**config: Any) -> str:
        return refusal(elb.create_rule, **call, Actions=[{"Type": "forward", "ForwardConfig": config}])[1]

    assert refused(TargetGroups=two) == "The weight for each target group must be between 0 and 999, inclusive"
    tie: dict[str, Any] = {"TargetGroups": two[:1], "TargetGroupStickinessConfig": {"Enabled": True}}
    assert refused(**tie) == "You must provide a duration when enabling target group stickiness"
    tie["TargetGroupStickinessConfig"]["DurationSeconds"] = 604801
    assert refused(**tie) == "Target group stickiness duration must be between 1 and 604800 seconds"
    both = [*_ANSWER, {"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", "Port": "1"}}]
    assert refusal(elb.create_rule, **call, Actions=both) == (
        "InvalidLoadBalancerAction",
        "Action types 'fixed-response,redirect' cannot be specified together",
    )


def test_authentication_is_refused_by_name(elb: Any, listener: Any) -> None:
    call = {"ListenerArn": listener["ListenerArn"], "Priority": 1, "Conditions": _PATH}
    for kind in ("authenticate-oidc", "authenticate-cognito", "jwt-validation"):
        code, message = refusal(elb.create_rule, **call, Actions=[{"Type": kind}])
        assert code == "NotImplemented" and kind in message
