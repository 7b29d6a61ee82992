"""``aws:ResourceTag/…`` and the services' own names for it: a resource's tags decide, as they are now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from dryport.control.context import Room as Plain
from dryport.control.context import RoomMaker
from dryport.ec2.api import SERVICE as EC2
from dryport.ecs.api import SERVICE as ECS
from dryport.platform import rooms
from tests.iam.accounts import ACCOUNT, User, document, statement
from tests.iam.test_roles import session
from tests.served import Served, refusal

CONTAINERS = [{"name": "a", "image": "busybox", "memory": 64}]
UPPER, LOWER = [{"Key": "stage", "Value": "prod"}], [{"key": "stage", "value": "prod"}]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    # ECS's and EC2's loops would run tasks and make networks.
    plain: list[RoomMaker] = [lambda _: Plain(services={"ecs": lambda: ECS, "ec2": lambda: EC2})]
    others = [make for make in rooms.ROOMS if make.__module__ not in ("dryport.ecs.room", "dryport.ec2.room")]
    running = Served(tmp_path_factory.mktemp("tagged"), [*others, *plain])
    yield running
    running.stop()


class Case(NamedTuple):
    """How a resource of a service is made with a tag (or without any), and asked about; and the service's own key."""

    service: str
    action: str
    make: Callable[[Any, str, bool], str]
    ask: Callable[[Any, str], Any]
    own: str = ""


def cluster(ecs: Any, name: str, tagged: bool) -> str:
    return str(ecs.create_cluster(clusterName=name, tags=LOWER if tagged else [])["cluster"]["clusterArn"])


def definition(ecs: Any, name: str, tagged: bool) -> str:
    more = {"tags": LOWER} if tagged else {}
    made = ecs.register_task_definition(family=name, containerDefinitions=CONTAINERS, **more)
    return str(made["taskDefinition"]["taskDefinitionArn"])


def repository(ecr: Any, name: str, tagged: bool) -> str:
    return str(ecr.create_repository(repositoryName=name, tags=UPPER if tagged else [])["repository"]["repositoryName"])


def security_group(ec2: Any, name: str, tagged: bool) -> str:
    tags = {"TagSpecifications": [{"ResourceType": "security-group", "Tags": UPPER}]} if tagged else {}
    return str(ec2.create_security_group(GroupName=name, Description="d", **tags)["GroupId"])


def key_pair(ec2: Any, name: str, tagged: bool) -> str:
    tags = {"TagSpecifications": [{"ResourceType": "key-pair", "Tags": UPPER}]} if tagged else {}
    return str(ec2.create_key_pair(KeyName=name, **tags)["KeyName"])


def secret(manager: Any, name: str, tagged: bool) -> str:
    return str(manager.create_secret(Name=name, SecretString="v", Tags=UPPER if tagged else [])["Name"])


def parameter(ssm: Any, name: str, tagged: bool) -> str:
    ssm.put_parameter(Name=f"/{name}/x", Value="v", Type="String", Tags=UPPER if tagged else [])
    return f"/{name}/x"


def group(logs: Any, name: str, tagged: bool) -> str:
    logs.create_log_group(logGroupName=name, **({"tags": {"stage": "prod"}} if tagged else {}))
    return name


def namespace(discovery: Any, name: str, tagged: bool) -> str:
    operation = discovery.create_http_namespace(Name=name, Tags=UPPER if tagged else [])["OperationId"]
    return str(discovery.get_operation(OperationId=operation)["Operation"]["Targets"]["NAMESPACE"])


def file_system(efs: Any, name: str, tagged: bool) -> str:
    return str(efs.create_file_system(CreationToken=name, Tags=UPPER if tagged else [])["FileSystemId"])


def target_group(elb: Any, name: str, tagged: bool) -> str:
    more = {"Tags": UPPER} if tagged else {}
    return str(elb.create_target_group(Name=name, TargetType="lambda", **more)["TargetGroups"][0]["TargetGroupArn"])


CASES = [
    Case("ecs", "ecs:DescribeClusters", cluster, lambda c, name: c.describe_clusters(clusters=[name])),
    Case(
        "ecs",
        "ecs:RunTask",
        definition,
        lambda c, arn: c.run_task(taskDefinition=arn),
    ),
    Case(
        "ecr",
        "ecr:DescribeImages",
        repository,
        lambda c, name: c.describe_images(repositoryName=name),
        "ecr:ResourceTag/stage",
    ),
    Case(
        "ec2",
        "ec2:AuthorizeSecurityGroupIngress",
        security_group,
        lambda c, name: c.authorize_security_group_ingress(
            GroupId=name, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1}]
        ),
        "ec2:ResourceTag/stage",
    ),
    Case(
        "ec2", "ec2:DeleteKeyPair", key_pair, lambda c, name: c.delete_key_pair(KeyName=name), "ec2:ResourceTag/stage"
    ),
    Case(
        "secretsmanager",
        "secretsmanager:GetSecretValue",
        secret,
        lambda c, name: c.get_secret_value(SecretId=name),
        "secretsmanager:ResourceTag/stage",
    ),
    Case("ssm", "ssm:GetParameter", parameter, lambda c, name: c.get_parameter(Name=name), "ssm:resourceTag/stage"),
    Case("logs", "logs:DescribeLogStreams", group, lambda c, name: c.describe_log_streams(logGroupName=name)),
    Case("servicediscovery", "servicediscovery:GetNamespace", namespace, lambda c, name: c.get_namespace(Id=name)),
    Case(
        "efs",
        "elasticfilesystem:DescribeLifecycleConfiguration",
        file_system,
        lambda c, name: c.describe_lifecycle_configuration(FileSystemId=name),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.action)
def test_the_tags_of_a_resource_decide(served: Served, case: Case) -> None:
    root = served.client(case.service)
    name = case.action.rpartition(":")[2].lower()
    for at, key in enumerate(filter(None, ("aws:ResourceTag/stage", case.own))):
        tagged, bare = case.make(root, f"{name}-t{at}", True), case.make(root, f"{name}-b{at}", False)
        condition = {"Condition": {"StringEquals": {key: "prod"}}}
        user = User(served, statement("Allow", case.action, **condition))
        assert "because no identity-based policy allows" in message(case, user, bare)
        user.may(statement("Allow", "*"), statement("Deny", case.action, **condition))
        assert "with an explicit deny" in message(case, user, tagged)
        assert message(case, user, bare) == ""
        user.may(statement("Allow", case.action, **condition))
        assert message(case, user, tagged) == ""
        user.may(statement("Allow", case.action, Condition={"StringEquals": {key: "test"}}))
        assert message(case, user, tagged) != ""


def message(case: Case, user: User, name: str) -> str:
    """The message of a refusal, "" where policies let a request pass, whatever becomes of it then."""
    from botocore.exceptions import ClientError

    try:
        case.ask(user.client(case.service), name)
    except ClientError as error:
        text = str(error.response["Error"]["Message"])
        return text if "is not authorized to perform" in text else ""
    return ""


def test_a_tag_that_changes_acts_at_once(served: Served) -> None:
    ecs = served.client("ecs")
    arn = cluster(ecs, "changing", False)
    condition = {"Condition": {"StringEquals": {"aws:ResourceTag/stage": "${aws:PrincipalTag/stage}"}}}
    user = User(served, statement("Allow", "ecs:DescribeClusters", **condition))
    served.client("iam").tag_user(UserName=user.name, Tags=UPPER)
    ask = user.client("ecs").describe_clusters
    assert refusal(ask, clusters=["changing"])[1] == user.not_allowed("ecs:DescribeClusters", arn)
    ecs.tag_resource(resourceArn=arn, tags=LOWER)
    assert ask(clusters=["changing"])["clusters"][0]["clusterArn"] == arn
    ecs.untag_resource(resourceArn=arn, tagKeys=["stage"])
    assert refusal(ask, clusters=["changing"])[1] == user.not_allowed("ecs:DescribeClusters", arn)


def test_a_boundary_and_a_session_may_ask_for_tags(served: Served) -> None:
    """Also those policies that only limit: a permissions boundary, and a federated session's."""
    ecs, iam = served.client("ecs"), served.client("iam")
    tagged, bare = cluster(ecs, "bounded-t", True), cluster(ecs, "bounded-b", False)
    only = statement("Allow", "ecs:*", Condition={"StringEquals": {"aws:ResourceTag/stage": "prod"}})
    boundary = iam.create_policy(PolicyName="tagged-only", PolicyDocument=document(only))["Policy"]["Arn"]
    user = User(served, statement("Allow", "*"))
    iam.put_user_permissions_boundary(UserName=user.name, PermissionsBoundary=boundary)
    ask = user.client("ecs").describe_clusters
    assert ask(clusters=[tagged])["clusters"]
    assert "no permissions boundary allows" in refusal(ask, clusters=[bare])[1]
    iam.delete_user_permissions_boundary(UserName=user.name)
    given = user.client("sts").get_federation_token(Name="bob", Policy=document(only))["Credentials"]
    limited = session(served, "ecs", given).describe_clusters
    assert limited(clusters=[tagged])["clusters"]
    assert f"arn:aws:sts::{ACCOUNT}:federated-user/bob is not authorized" in refusal(limited, clusters=[bare])[1]
