"""What users may do with load balancers is what their policies say: boto3 with users' keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.elb.api.conftest import ACCOUNT, forward, fresh
from tests.iam.accounts import User, statement
from tests.served import Served, refusal

Make = Callable[..., Any]
_HERE = f"arn:aws:elasticloadbalancing:us-east-1:{ACCOUNT}:"
_ANSWER = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}]
_TAGS = [{"Key": "team", "Value": "web"}]


def test_a_user_listens_at_his_own_balancer_alone(served: Served, balancer: Make) -> None:
    own, other = balancer()["LoadBalancerArn"], balancer()["LoadBalancerArn"]
    user = User(served, statement("Allow", "elasticloadbalancing:CreateListener", own))
    elb = user.client("elbv2")
    call = {"Protocol": "HTTP", "Port": 80, "DefaultActions": _ANSWER}
    made = elb.create_listener(LoadBalancerArn=own, **call)["Listeners"][0]["ListenerArn"]
    code, message = refusal(elb.create_listener, LoadBalancerArn=other, **call)
    assert (code, message) == ("AccessDenied", user.not_allowed("elasticloadbalancing:CreateListener", other))
    assert refusal(elb.delete_listener, ListenerArn=made)[0] == "AccessDenied"
    assert refusal(elb.describe_load_balancers)[0] == "AccessDenied"
    user.may(statement("Allow", "elasticloadbalancing:Describe*"))
    assert [each["ListenerArn"] for each in elb.describe_listeners(LoadBalancerArn=own)["Listeners"]] == [made]


def test_names_tags_and_schemes_decide_what_is_made(
    served: Served, subnets: list[Any], group: Make, vpc_id: str
) -> None:
    names = [f"{_HERE}{kind}/ours-*" for kind in ("loadbalancer/app", "targetgroup")]
    create = [f"elasticloadbalancing:{name}" for name in ("CreateLoadBalancer", "CreateTargetGroup")]
    user = User(
        served,
        statement("Allow", create, names),
        statement("Deny", create[0], Condition={"StringEquals": {"elasticloadbalancing:Scheme": "internet-facing"}}),
    )
    elb = user.client("elbv2")
    asked = {"Subnets": [each["SubnetId"] for each in subnets[:2]], "Scheme": "internal"}
    assert refusal(elb.create_load_balancer, Name=fresh("theirs"), **asked)[0] == "AccessDenied"
    assert refusal(elb.create_load_balancer, Name=fresh("ours"), Subnets=asked["Subnets"])[0] == "AccessDenied"
    made = elb.create_load_balancer(Name=fresh("ours"), **asked)["LoadBalancers"][0]["LoadBalancerArn"]
    target = {"Name": fresh("ours"), "Protocol": "HTTP", "Port": 80, "VpcId": vpc_id}
    assert refusal(elb.create_target_group, **target, Tags=_TAGS)[0] == "AccessDenied"  # AddTags is asked for too
    user.may(
        statement("Allow", create, names),
        statement(
            "Allow",
            "elasticloadbalancing:AddTags",
            Condition={"StringEquals": {"elasticloadbalancing:CreateAction": "CreateTargetGroup"}},
        ),
    )
    arn = elb.create_target_group(**target, Tags=_TAGS)["TargetGroups"][0]["TargetGroupArn"]
    assert refusal(elb.add_tags, ResourceArns=[arn], Tags=_TAGS)[0] == "AccessDenied"
    root = served.client("elbv2")
    root.delete_load_balancer(LoadBalancerArn=made)
    root.delete_target_group(TargetGroupArn=arn)


def test_targets_and_rules(served: Served, listener: Any, group: Make) -> None:
    arn, other = group(TargetType="ip")["TargetGroupArn"], group(TargetType="ip")["TargetGroupArn"]
    of = listener["ListenerArn"]
    user = User(
        served,
        statement("Allow", "elasticloadbalancing:RegisterTargets", arn),
        statement("Allow", "elasticloadbalancing:CreateRule", of),
        statement(
            "Allow", "elasticloadbalancing:SetRulePriorities", of.replace(":listener/", ":listener-rule/") + "/*"
        ),
    )
    elb = user.client("elbv2")
    targets = [{"Id": "10.1.2.3", "AvailabilityZone": "all"}]
    elb.register_targets(TargetGroupArn=arn, Targets=targets)
    assert refusal(elb.register_targets, TargetGroupArn=other, Targets=targets)[0] == "AccessDenied"
    assert refusal(elb.deregister_targets, TargetGroupArn=arn, Targets=targets)[0] == "AccessDenied"
    path = [{"Field": "path-pattern", "Values": ["/"]}]
    rule = elb.create_rule(ListenerArn=of, Priority=1, Conditions=path, Actions=forward(arn))["Rules"][0]["RuleArn"]
    elb.set_rule_priorities(RulePriorities=[{"RuleArn": rule, "Priority": 2}])
    assert refusal(elb.delete_rule, RuleArn=rule)[0] == "AccessDenied"
