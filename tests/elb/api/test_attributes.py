"""Attributes, tags, limits and security policies, called by boto3 through the gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.elb.api.conftest import forward
from tests.served import refusal

Make = Callable[..., Any]


def plain(answer: Any) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in answer["Attributes"]}


def test_of_application_load_balancers(elb: Any, balancer: Make) -> None:
    arn = balancer(Scheme="internal")["LoadBalancerArn"]
    before = plain(elb.describe_load_balancer_attributes(LoadBalancerArn=arn))
    some = {
        "access_logs.s3.enabled": "false",
        "access_logs.s3.bucket": "",
        "deletion_protection.enabled": "false",
        "idle_timeout.timeout_seconds": "60",
        "ipv6.deny_all_igw_traffic": "true",
        "load_balancing.cross_zone.enabled": "true",
        "routing.http.desync_mitigation_mode": "defensive",
        "routing.http.xff_header_processing.mode": "append",
        "routing.http2.enabled": "true",
        "client_keep_alive.seconds": "3600",
        "waf.fail_open.enabled": "false",
    }
    assert some.items() <= before.items()

    def modify(**changes: str) -> Any:
        given = [{"Key": key.replace("__", "."), "Value": value} for key, value in changes.items()]
        return elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=given)

    after = plain(modify(idle_timeout__timeout_seconds="4000", waf__fail_open__enabled="false"))
    assert after == {**before, "idle_timeout.timeout_seconds": "4000"}
    assert plain(elb.describe_load_balancer_attributes(LoadBalancerArn=arn)) == after
    for changes, code, message in (
        ({"a__b": "c"}, "ValidationError", "Load balancer attribute key 'a.b' is not recognized"),
        (
            {"dns_record__client_routing_policy": "any_availability_zone"},
            "ValidationError",
            "Load balancer attribute key 'dns_record.client_routing_policy' is not recognized",
        ),
        (
            {"idle_timeout__timeout_seconds": "4001"},
            "ValidationError",
            "The value of 'idle_timeout.timeout_seconds' cannot be greater than 4000 characters",
        ),
        (
            {"routing__http2__enabled": "yes"},
            "ValidationError",
            "The value of 'routing.http2.enabled' must be 'true' or 'false', but was 'yes'",
        ),
        (
            {"access_logs__s3__enabled": "true"},
            "ValidationError",
            "The value of 'access_logs.s3.bucket' cannot be empty",
        ),
    ):
        assert refusal(modify, **changes) == (code, message)
    assert plain(elb.describe_load_balancer_attributes(LoadBalancerArn=arn)) == after
    twice = [{"Key": "routing.http2.enabled", "Value": "true"}] * 2
    assert refusal(elb.modify_load_balancer_attributes, LoadBalancerArn=arn, Attributes=twice) == (
        "ValidationError",
        "Attribute key 'routing.http2.enabled' has been specified more than once",
    )


def test_of_network_load_balancers(elb: Any, balancer: Make) -> None:
    arn = balancer(Type="network")["LoadBalancerArn"]
    before = plain(elb.describe_load_balancer_attributes(LoadBalancerArn=arn))
    assert before["load_balancing.cross_zone.enabled"] == "false" and "idle_timeout.timeout_seconds" not in before
    # What Terraform sets on each of them.
    same = [{"Key": key, "Value": value} for key, value in before.items() if "logs" not in key]
    assert plain(elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=same)) == before
    true = [{"Key": "load_balancing.cross_zone.enabled", "Value": "true"}]
    assert plain(elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=true)) != before


def test_of_target_groups(elb: Any, group: Make) -> None:
    http, tcp = group()["TargetGroupArn"], group(Protocol="TCP")["TargetGroupArn"]
    before = plain(elb.describe_target_group_attributes(TargetGroupArn=http))
    some = {
        "deregistration_delay.timeout_seconds": "300",
        "load_balancing.algorithm.type": "round_robin",
        "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
        "slow_start.duration_seconds": "0",
        "stickiness.enabled": "false",
        "stickiness.lb_cookie.duration_seconds": "86400",
        "stickiness.type": "lb_cookie",
    }
    assert some.items() <= before.items()
    of_tcp = plain(elb.describe_target_group_attributes(TargetGroupArn=tcp))
    assert of_tcp["stickiness.type"] == "source_ip" and of_tcp["proxy_protocol_v2.enabled"] == "false"

    def modify(arn: str, *pairs: str) -> Any:
        given = [dict(zip(("Key", "Value"), each.split("="), strict=True)) for each in pairs]
        return elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=given)

    changed = plain(modify(http, "stickiness.enabled=true", "slow_start.duration_seconds=30"))
    assert changed == {**before, "stickiness.enabled": "true", "slow_start.duration_seconds": "30"}
    for pairs, code in (
        (("slow_start.duration_seconds=29",), "ValidationError"),
        (("load_balancing.algorithm.type=least_outstanding_requests",), "InvalidConfigurationRequest"),
        (("stickiness.type=app_cookie",), "ValidationError"),  # without a cookie's name
        (("stickiness.app_cookie.cookie_name=AWSALBTG",), "ValidationError"),
        (("load_balancing.algorithm.anomaly_mitigation=on",), "NotImplemented"),
        (("load_balancing.cross_zone.enabled=false",), "NotImplemented"),
        (("proxy_protocol_v2.enabled=true",), "ValidationError"),
        (("target_failover.on_unhealthy=rebalance",), "ValidationError"),
    ):
        assert refusal(lambda pairs=pairs: modify(http, *pairs))[0] == code
    assert refusal(lambda: modify(http, "slow_start.duration_seconds=901"))[1] == (
        "'slow_start.duration_seconds' value '901' must be between '30-900' inclusive"
    )
    by_cookie = plain(modify(http, "stickiness.type=app_cookie", "stickiness.app_cookie.cookie_name=session"))
    assert by_cookie["stickiness.type"] == "app_cookie"
    assert refusal(lambda: modify(tcp, "preserve_client_ip.enabled=true"))[0] == "NotImplemented"
    assert plain(modify(tcp, "proxy_protocol_v2.enabled=true"))["proxy_protocol_v2.enabled"] == "true"


def test_of_listeners(elb: Any, listener: Any) -> None:
    arn = listener["ListenerArn"]
    before = plain(elb.describe_listener_attributes(ListenerArn=arn))
    assert before["routing.http.response.server.enabled"] == "true"
    key = "routing.http.response.server.enabled"
    same = [{"Key": key, "Value": "true"}]
    assert plain(elb.modify_listener_attributes(ListenerArn=arn, Attributes=same)) == before
    header = "routing.http.response.x_frame_options.header_value"
    other = [{"Key": key, "Value": "false"}, {"Key": header, "Value": "DENY"}]
    changed = plain(elb.modify_listener_attributes(ListenerArn=arn, Attributes=other))
    assert changed == {**before, key: "false", header: "DENY"}
    assert plain(elb.describe_listener_attributes(ListenerArn=arn)) == changed
    call = {"ListenerArn": arn, "Attributes": [{"Key": header, "Value": "a\nb: c"}]}
    assert refusal(elb.modify_listener_attributes, **call)[0] == "ValidationError"
    call = {"ListenerArn": arn, "Attributes": [{"Key": "tcp.idle_timeout.seconds", "Value": "350"}]}
    assert refusal(elb.modify_listener_attributes, **call)[0] == "InvalidConfigurationRequest"


def test_tags_of_everything(elb: Any, listener: Any, group: Make) -> None:
    conditions = [{"Field": "path-pattern", "Values": ["/"]}]
    target = group(Tags=[{"Key": "a", "Value": "1"}])["TargetGroupArn"]
    rule = elb.create_rule(
        ListenerArn=listener["ListenerArn"],
        Priority=1,
        Conditions=conditions,
        Actions=forward(target),
        Tags=[{"Key": "a", "Value": "1"}],
    )["Rules"][0]["RuleArn"]
    arns = [target, rule, listener["ListenerArn"], listener["LoadBalancerArn"]]

    def tags() -> list[dict[str, str]]:
        found = elb.describe_tags(ResourceArns=arns)["TagDescriptions"]
        assert [each["ResourceArn"] for each in found] == arns
        return [{tag["Key"]: tag["Value"] for tag in each["Tags"]} for each in found]

    assert tags() == [{"a": "1"}, {"a": "1"}, {}, {}]
    elb.add_tags(ResourceArns=arns, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b"}])
    assert tags() == [{"a": "2", "b": ""}] * 4
    elb.remove_tags(ResourceArns=arns, TagKeys=["a", "c"])
    assert tags() == [{"b": ""}] * 4
    twice = [{"Key": "x", "Value": "1"}, {"Key": "x", "Value": "2"}]
    assert refusal(elb.add_tags, ResourceArns=arns, Tags=twice)[0] == "DuplicateTagKeys"
    assert refusal(elb.add_tags, ResourceArns=arns, Tags=[{"Key": "aws:x"}])[0] == "ValidationError"
    many = [{"Key": str(n), "Value": ""} for n in range(50)]
    assert refusal(elb.add_tags, ResourceArns=arns, Tags=many)[0] == "TooManyTags"
    assert tags() == [{"b": ""}] * 4
    default = elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"][-1]["RuleArn"]
    assert elb.describe_tags(ResourceArns=[default])["TagDescriptions"] == [{"ResourceArn": default, "Tags": []}]
    assert refusal(elb.add_tags, ResourceArns=[default], Tags=[{"Key": "a"}])[0] == "NotImplemented"


@pytest.mark.parametrize(
    ("resource", "code"),
    [
        ("loadbalancer/app/a/0123456789abcdef", "LoadBalancerNotFound"),
        ("targetgroup/a/0123456789abcdef", "TargetGroupNotFound"),
        ("listener/app/a/0123456789abcdef/0123456789abcdef", "ListenerNotFound"),
        ("listener-rule/app/a/0123456789abcdef/0123456789abcdef/0123456789abcdef", "RuleNotFound"),
        ("truststore/a/0123456789abcdef", "ValidationError"),
    ],
)
def test_tags_of_what_is_not_there(elb: Any, resource: str, code: str) -> None:
    arn = f"arn:aws:elasticloadbalancing:us-east-1:000000000000:{resource}"
    for call, more in (
        (elb.describe_tags, {}),
        (elb.add_tags, {"Tags": [{"Key": "a"}]}),
        (elb.remove_tags, {"TagKeys": ["a"]}),
    ):
        assert refusal(call, ResourceArns=[arn], **more)[0] == code


def test_limits_and_policies(elb: Any) -> None:
    first = elb.describe_account_limits(PageSize=5)
    rest = elb.describe_account_limits(Marker=first["NextMarker"])
    limits = {each["Name"]: each["Max"] for each in first["Limits"] + rest["Limits"]}
    assert limits["listeners-per-application-load-balancer"] == "50" and limits["target-groups"] == "3000"
    policies = {each["Name"]: each for each in elb.describe_ssl_policies()["SslPolicies"]}
    old = policies["ELBSecurityPolicy-2016-08"]
    assert old["SslProtocols"] == ["TLSv1.2", "TLSv1.1", "TLSv1"]
    assert old["Ciphers"][0] == {"Name": "ECDHE-ECDSA-AES128-GCM-SHA256", "Priority": 1}
    assert [each["Name"] for each in old["Ciphers"]] == [
        *("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256"),
        *("ECDHE-RSA-AES128-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA"),
        *("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-SHA384"),
        *("ECDHE-RSA-AES256-SHA384", "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES256-SHA"),
        *("AES128-GCM-SHA256", "AES128-SHA256", "AES128-SHA", "AES256-GCM-SHA384", "AES256-SHA256", "AES256-SHA"),
    ]
    assert refusal(elb.describe_ssl_policies, Names=["none"])[0] == "SSLPolicyNotFound"
