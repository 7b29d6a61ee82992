"""What users may do is what their policies say, at once, for every kind of service: boto3 with users' keys."""

from __future__ import annotations

import base64
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dryport.control.context import Room as Plain
from dryport.control.context import RoomMaker
from dryport.ec2.api import SERVICE as EC2
from dryport.ecs.api import SERVICE as ECS
from dryport.platform import rooms
from tests.iam.accounts import ACCOUNT, User, document, statement, trust
from tests.served import Served, refusal

HERE = f"arn:aws:{{}}:us-east-1:{ACCOUNT}:"
ECS_ARN = HERE.format("ecs")
CONTAINERS = [{"name": "a", "image": "busybox", "memory": 64}]
EMPTY = ("InvalidParameterException", "No Container Instances were found in your cluster.")  # allowed, then
INVALID = ("InvalidClientTokenId", "The security token included in the request is invalid.")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    # ECS's and EC2's loops would run tasks and make networks.
    plain: list[RoomMaker] = [lambda _: Plain(services={"ecs": lambda: ECS, "ec2": lambda: EC2})]
    others = [make for make in rooms.ROOMS if make.__module__ not in ("dryport.ecs.room", "dryport.ec2.room")]
    running = Served(tmp_path_factory.mktemp("enforcement"), [*others, *plain])
    ecs = running.client("ecs")
    ecs.create_cluster(clusterName="prod")
    for _ in range(2):
        ecs.register_task_definition(family="web", containerDefinitions=CONTAINERS)
    running.client("s3").create_bucket(Bucket="photos")
    running.client("s3").put_object(Bucket="photos", Key="a", Body=b"abc")
    running.client("ecr").create_repository(repositoryName="web")
    yield running
    running.stop()


Ask = Callable[[User], Any]
CASES: list[tuple[str, str, str, Ask, str]] = [
    ("ecs:ListClusters", "*", "AccessDeniedException", lambda u: u.client("ecs").list_clusters(), ""),
    (
        "ecs:DescribeClusters",
        ECS_ARN + "cluster/prod",
        "AccessDeniedException",
        lambda u: u.client("ecs").describe_clusters(clusters=["prod"]),
        "",
    ),
    (
        "ecs:ListAttributes",
        ECS_ARN + "cluster/prod",
        "AccessDeniedException",
        lambda u: u.client("ecs").list_attributes(cluster="prod", targetType="container-instance"),
        "",
    ),
    (
        "ecr:DescribeImages",
        HERE.format("ecr") + "repository/web",
        "AccessDeniedException",
        lambda u: u.client("ecr").describe_images(repositoryName="web"),
        "",
    ),
    (
        "logs:CreateLogGroup",
        HERE.format("logs") + "log-group:g:log-stream:",
        "AccessDeniedException",
        lambda u: u.client("logs").create_log_group(logGroupName="g"),
        "",
    ),
    (
        "elasticfilesystem:DescribeFileSystems",
        "*",
        "AccessDeniedException",
        lambda u: u.client("efs").describe_file_systems(),
        "",
    ),
    (
        "ssm:PutParameter",
        HERE.format("ssm") + "parameter/p",
        "AccessDeniedException",
        lambda u: u.client("ssm").put_parameter(Name="/p", Value="v", Type="String", Overwrite=True),
        "",
    ),
    ("iam:ListUsers", "*", "AccessDenied", lambda u: u.client("iam").list_users(), ""),
    (
        "s3:GetObject",
        "arn:aws:s3:::photos/a",
        "AccessDenied",
        lambda u: u.client("s3").get_object(Bucket="photos", Key="a")["Body"].read(),
        "quoted",
    ),
    ("ec2:DescribeVpcs", "*", "UnauthorizedOperation", lambda u: u.client("ec2").describe_vpcs(), "encoded"),
]


@pytest.mark.parametrize(("action", "resource", "code", "ask", "form"), CASES, ids=[case[0] for case in CASES])
def test_one_statement_allows_and_its_lack_refuses(
    served: Served, action: str, resource: str, code: str, ask: Ask, form: str
) -> None:
    """In AWS's words; what is allowed in between is allowed for exactly this action and resource."""
    user = User(served)
    said = user.not_allowed(action, resource)
    if form == "quoted":
        said = said.replace(resource, f'"{resource}"')

    def refused() -> None:
        found, message = refusal(lambda: ask(user))
        if form == "encoded":
            assert message.startswith(
                f"You are not authorized to perform this operation. {said}. Encoded authorization"
            )
        else:
            assert message == said
        assert found == code

    refused()
    user.may(statement("Allow", action, resource))
    ask(user)
    user.may(statement("Allow", "none:None"))
    refused()


def test_what_is_denied_is_denied_whatever_allows_it(served: Served) -> None:
    user = User(served, statement("Allow", "*"), statement("Deny", "s3:GetObject", "arn:aws:s3:::photos/a"))
    s3 = user.client("s3")
    assert s3.list_objects_v2(Bucket="photos")["KeyCount"] == 1
    said = user.denied("s3:GetObject", "arn:aws:s3:::photos/a")
    assert refusal(s3.get_object, Bucket="photos", Key="a") == (
        "AccessDenied",
        said.replace("arn:aws:s3:::photos/a", '"arn:aws:s3:::photos/a"'),
    )


@pytest.mark.parametrize("named", ["web", "web:2", ECS_ARN + "task-definition/web", ECS_ARN + "task-definition/web:2"])
def test_a_definition_is_its_latest_revision_however_it_is_called(served: Served, named: str) -> None:
    """A statement about revision 2 holds for all its names; one about revision 1 for none of them."""
    arn = ECS_ARN + "task-definition/web:2"
    user = User(served, statement("Allow", "ecs:*"), statement("Deny", "ecs:RunTask", arn))
    run = user.client("ecs").run_task
    assert refusal(run, cluster="prod", taskDefinition=named)[1] == user.denied("ecs:RunTask", arn)
    user.may(statement("Allow", "ecs:RunTask", ECS_ARN + "task-definition/web:1"))
    assert refusal(run, cluster="prod", taskDefinition=named)[1] == user.not_allowed("ecs:RunTask", arn)
    user.may(statement("Allow", "ecs:RunTask", arn, Condition={"ArnEquals": {"ecs:cluster": ECS_ARN + "cluster/prod"}}))
    assert refusal(run, cluster="prod", taskDefinition=named) == EMPTY
    assert refusal(run, taskDefinition=named)[1] == user.not_allowed("ecs:RunTask", arn)


def test_task_sets_are_resources_of_their_own(served: Served) -> None:
    """One that is made is any of its service's; a statement about one, or about its service, holds for no other."""
    served.client("ecs").create_service(
        cluster="prod", serviceName="web", deploymentController={"type": "EXTERNAL"}, desiredCount=0
    )
    own = ECS_ARN + "task-set/prod/web/"
    of_web = {"ArnEquals": {"ecs:service": ECS_ARN + "service/prod/web"}}
    user = User(served, statement("Allow", "ecs:CreateTaskSet", own + "ecs-svc/1"))
    ecs, name = user.client("ecs"), {"cluster": "prod", "service": "web"}
    made = {**name, "taskDefinition": "web"}
    said = user.not_allowed("ecs:CreateTaskSet", own + "*")
    assert refusal(ecs.create_task_set, **made) == ("AccessDeniedException", said)
    user.may(statement("Allow", "ecs:CreateTaskSet", own + "*", Condition=of_web))
    blue, green = (ecs.create_task_set(**made)["taskSet"] for _ in "ab")

    user.may(statement("Allow", "ecs:*TaskSet*", blue["taskSetArn"]))
    for called in (blue["id"], blue["taskSetArn"]):
        assert ecs.describe_task_sets(**name, taskSets=[called])["taskSets"][0]["id"] == blue["id"]
    for operation, member in (("DeleteTaskSet", "taskSet"), ("DescribeTaskSets", "taskSets")):
        ask = ecs.delete_task_set if operation == "DeleteTaskSet" else ecs.describe_task_sets
        other = {member: green["id"] if member == "taskSet" else [blue["id"], green["id"]]}
        said = user.not_allowed(f"ecs:{operation}", green["taskSetArn"])
        assert refusal(ask, **name, **other) == ("AccessDeniedException", said)
    promote, service = ecs.update_service_primary_task_set, ECS_ARN + "service/prod/web"
    said = user.not_allowed("ecs:UpdateServicePrimaryTaskSet", service)
    assert refusal(promote, **name, primaryTaskSet=blue["id"])[1] == said
    user.may(statement("Allow", "ecs:UpdateServicePrimaryTaskSet", service))
    assert promote(**name, primaryTaskSet=green["id"])["taskSet"]["status"] == "PRIMARY"
    key = {"StringEquals": {"aws:ResourceTag/team": "a"}}
    user.may(statement("Allow", "ecs:DeleteTaskSet", Condition=key))
    said = user.not_allowed("ecs:DeleteTaskSet", blue["taskSetArn"])
    assert refusal(ecs.delete_task_set, **name, taskSet=blue["id"])[1] == said
    served.client("ecs").tag_resource(resourceArn=blue["taskSetArn"], tags=[{"key": "team", "value": "a"}])
    assert ecs.delete_task_set(**name, taskSet=blue["id"])["taskSet"]["status"] == "DRAINING"


@pytest.mark.parametrize("named", ["db", "whole", "cut"])
def test_a_secret_is_one_however_it_is_called(served: Served, named: str) -> None:
    manager = served.client("secretsmanager")
    arn = manager.create_secret(Name=f"db-{named}", SecretString="v")["ARN"]
    called = {"db": "db-db", "whole": arn, "cut": arn[:-7]}[named]
    user = User(served, statement("Allow", "*"), statement("Deny", "secretsmanager:*", arn))
    read = user.client("secretsmanager").get_secret_value
    message = user.denied("secretsmanager:GetSecretValue", arn)
    assert refusal(read, SecretId=called) == ("AccessDeniedException", message)
    user.may(statement("Allow", "secretsmanager:GetSecretValue", arn))
    assert read(SecretId=called)["SecretString"] == "v"


def test_what_nobody_knows_is_decided_with_caution(served: Served) -> None:
    """A key that is not looked up: a condition about it allows nothing and denies everything."""
    arn = ECS_ARN + "cluster/new"
    given = {"Condition": {"StringEquals": {"ecs:capacity-provider": "mine"}}}
    user = User(served, statement("Allow", "ecs:CreateCluster", **given))
    ask = user.client("ecs").create_cluster
    assert refusal(ask, clusterName="new")[1] == user.not_allowed("ecs:CreateCluster", arn)
    user.may(statement("Allow", "*"), statement("Deny", "ecs:CreateCluster", **given))
    assert refusal(ask, clusterName="new")[1] == user.denied("ecs:CreateCluster", arn)
    user.may(statement("Allow", "*"), statement("Deny", "ecs:DeleteCluster", **given))
    assert ask(clusterName="new")["cluster"]["clusterName"] == "new"


def test_groups_managed_policies_and_boundaries(served: Served) -> None:
    """Each of them acts with the next request: attached, a version more, taken away, bounded."""
    user, iam = User(served), served.client("iam")
    ask = user.client("ecs").list_clusters
    refused = ("AccessDeniedException", user.not_allowed("ecs:ListClusters", "*"))
    assert refusal(ask) == refused
    iam.create_group(GroupName="team")
    iam.add_user_to_group(GroupName="team", UserName=user.name)
    made = iam.create_policy(PolicyName="list", PolicyDocument=document(statement("Allow", "ecs:List*")))["Policy"]
    iam.attach_group_policy(GroupName="team", PolicyArn=made["Arn"])
    ask()
    deny = document(statement("Deny", "ecs:*"))
    iam.create_policy_version(PolicyArn=made["Arn"], PolicyDocument=deny, SetAsDefault=False)
    ask()
    iam.set_default_policy_version(PolicyArn=made["Arn"], VersionId="v2")
    assert refusal(ask)[1] == user.denied("ecs:ListClusters", "*")
    iam.set_default_policy_version(PolicyArn=made["Arn"], VersionId="v1")
    iam.remove_user_from_group(GroupName="team", UserName=user.name)
    assert refusal(ask) == refused
    iam.attach_user_policy(UserName=user.name, PolicyArn="arn:aws:iam::aws:policy/AmazonECS_FullAccess")
    ask()
    iam.put_user_permissions_boundary(
        UserName=user.name, PermissionsBoundary="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    )
    assert refusal(ask)[1] == refused[1].replace("identity-based policy", "permissions boundary")
    iam.delete_user_permissions_boundary(UserName=user.name)
    ask()


def test_what_a_user_is_told_by_its_own_policies(served: Served) -> None:
    """Variables and principal's tags; conditions on where and when a request comes from."""
    own = {
        "Condition": {"StringEquals": {"aws:PrincipalTag/team": "blue"}, "IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}
    }
    user = User(served, statement("Allow", "iam:GetUser", f"arn:aws:iam::{ACCOUNT}:user/${{aws:username}}", **own))
    ask = user.client("iam").get_user
    assert refusal(ask)[1] == user.not_allowed("iam:GetUser", user.arn)
    served.client("iam").tag_user(UserName=user.name, Tags=[{"Key": "team", "Value": "blue"}])
    assert ask()["User"]["Arn"] == user.arn
    assert ask(UserName=user.name)["User"]["UserName"] == user.name
    other = User(served)
    assert refusal(ask, UserName=other.name)[1] == user.not_allowed("iam:GetUser", other.arn)
    assert user.client("sts").get_caller_identity()["Arn"] == user.arn  # which needs no permission


def test_a_boundary_binds_whom_an_administrator_makes(served: Served) -> None:
    """AWS's pattern of delegation: users can be made with this boundary only."""
    boundary = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    only = {"Condition": {"StringEquals": {"iam:PermissionsBoundary": boundary}}}
    admin = User(served, statement("Allow", ["iam:CreateUser", "iam:PutUserPolicy"], **only))
    iam = admin.client("iam")
    assert refusal(iam.create_user, UserName="free")[0] == "AccessDenied"
    iam.create_user(UserName="bound", PermissionsBoundary=boundary)
    allow = document(statement("Allow", "*"))
    iam.put_user_policy(UserName="bound", PolicyName="p", PolicyDocument=allow)
    other = User(served)
    refused = refusal(iam.put_user_policy, UserName=other.name, PolicyName="p", PolicyDocument=allow)
    assert refused == ("AccessDenied", admin.not_allowed("iam:PutUserPolicy", other.arn))


def test_roles_are_passed_by_whom_may(served: Served) -> None:
    role = served.client("iam").create_role(RoleName="app", AssumeRolePolicyDocument=trust("ecs-tasks"))["Role"]["Arn"]
    user = User(served, statement("Allow", "ecs:*"))
    register = {"family": "passed", "containerDefinitions": CONTAINERS, "taskRoleArn": role}
    ecs = user.client("ecs")
    assert refusal(ecs.register_task_definition, **register)[1] == user.not_allowed("iam:PassRole", role)
    served.client("ecs").register_task_definition(**register)
    started = refusal(ecs.run_task, cluster="prod", taskDefinition="passed")  # somebody else's definition
    assert started == ("AccessDeniedException", user.not_allowed("iam:PassRole", role))
    for service, allowed in (("ec2.amazonaws.com", False), ("ecs-tasks.amazonaws.com", True)):
        passing = {"Condition": {"StringEquals": {"iam:PassedToService": service}}}
        user.may(statement("Allow", "ecs:*"), statement("Allow", "iam:PassRole", role, **passing))
        if allowed:
            assert ecs.register_task_definition(**register)["taskDefinition"]["taskRoleArn"] == role
            assert refusal(ecs.run_task, cluster="prod", taskDefinition="passed") == EMPTY
        else:
            assert refusal(ecs.register_task_definition, **register)[1] == user.not_allowed("iam:PassRole", role)


def _registry(user: User, path: str, method: str = "GET") -> tuple[int, bytes]:
    token = base64.b64decode(user.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"])
    return _with(user, token, path, method)


def _with(user: User, token: bytes, path: str, method: str) -> tuple[int, bytes]:
    request = urllib.request.Request(user.served.endpoint + path, method=method)
    request.add_header("Authorization", "Basic " + base64.b64encode(token).decode())
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.parametrize(
    ("method", "path", "action", "name", "allowed"),
    [
        ("GET", "/v2/web/manifests/latest", "BatchGetImage", "web", 404),
        ("PUT", "/v2/web/manifests/latest", "PutImage", "web", 400),
        ("GET", "/v2/web/blobs/sha256:" + "0" * 64, "GetDownloadUrlForLayer", "web", 404),
        ("HEAD", "/v2/web/blobs/sha256:" + "0" * 64, "BatchCheckLayerAvailability", "web", 404),
        ("POST", "/v2/web/blobs/uploads/", "InitiateLayerUpload", "web", 202),
        ("PATCH", "/v2/web/blobs/uploads/1", "UploadLayerPart", "web", 404),
        ("GET", "/v2/web/tags/list", "ListImages", "web", 200),
        ("GET", "/v2/_catalog", "DescribeRepositories", "*", 200),
    ],
)
def test_the_registry_asks_for_ecrs_permissions(
    served: Served, method: str, path: str, action: str, name: str, allowed: int
) -> None:
    """A token opens what its user may do now."""
    token = statement("Allow", "ecr:GetAuthorizationToken")
    resource = f"{HERE.format('ecr')}repository/{name}"
    user = User(served, token, statement("Allow", "ecr:*", HERE.format("ecr") + "repository/other"))
    status, body = _registry(user, path, method)
    assert status == 403
    if method != "HEAD":
        assert user.not_allowed(f"ecr:{action}", resource) in body.decode().replace('\\"', '"')
    user.may(token, statement("Allow", f"ecr:{action}", resource))
    assert _registry(user, path, method)[0] == allowed


def test_a_layer_is_mounted_from_where_it_may_be_read(served: Served) -> None:
    served.client("ecr").create_repository(repositoryName="hidden")
    web = HERE.format("ecr") + "repository/web"
    user = User(served, statement("Allow", "ecr:GetAuthorizationToken"), statement("Allow", "ecr:*", web))
    digest = "sha256:" + "0" * 64
    for query in (f"mount={digest}&from=hidden", f"mount={digest}"):
        assert _registry(user, f"/v2/web/blobs/uploads/?{query}", "POST")[0] == 403
    assert _registry(user, f"/v2/web/blobs/uploads/?mount={digest}&from=web", "POST")[0] == 202


def test_a_token_ends_with_its_key(served: Served) -> None:
    user = User(served, statement("Allow", "ecr:*"))
    made = user.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    assert _with(user, base64.b64decode(made), "/v2/web/tags/list", "GET")[0] == 200
    served.client("iam").update_access_key(UserName=user.name, AccessKeyId=user.key["AccessKeyId"], Status="Inactive")
    assert _with(user, base64.b64decode(made), "/v2/web/tags/list", "GET")[0] == 403


def test_policies_and_users_outlive_a_restart(tmp_path: Any) -> None:
    from dryport.iam.room import room as iam_room
    from dryport.sts.room import room as sts_room

    served = Served(tmp_path, [iam_room, sts_room])
    try:
        user = User(served, statement("Allow", "iam:ListUsers"))
        user.client("iam").list_users()
        served.restart()
        assert [one["UserName"] for one in user.client("iam").list_users()["Users"]] == [user.name]
        assert refusal(user.client("iam").list_groups)[1] == user.not_allowed("iam:ListGroups", "*")
        served.client("iam").delete_access_key(UserName=user.name, AccessKeyId=user.key["AccessKeyId"])
        assert refusal(user.client("sts").get_caller_identity) == INVALID
    finally:
        served.stop()


def test_a_launch_templates_role_is_passed_too(served: Served) -> None:
    """And its image, subnet and groups are asked for as the request's own would be."""
    role = served.client("iam").create_role(RoleName="host", AssumeRolePolicyDocument=trust("ec2"))["Role"]["Arn"]
    image = "ami-0123456789abcdef0"
    data = {"IamInstanceProfile": {"Name": "host"}, "ImageId": image, "InstanceType": "t3.micro"}
    served.client("ec2").create_launch_template(LaunchTemplateName="host", LaunchTemplateData=data)
    user = User(served, statement("Allow", "ec2:*"))
    launch = {"LaunchTemplate": {"LaunchTemplateName": "host"}, "MinCount": 1, "MaxCount": 1}
    assert user.not_allowed("iam:PassRole", role) in refusal(user.client("ec2").run_instances, **launch)[1]
    denied = f"arn:aws:ec2:us-east-1::image/{image}"
    user.may(statement("Allow", "*"), statement("Deny", "ec2:RunInstances", denied))
    assert user.denied("ec2:RunInstances", denied) in refusal(user.client("ec2").run_instances, **launch)[1]
    user.may(statement("Allow", "*"))
    assert refusal(user.client("ec2").run_instances, **launch)[0] == "InvalidAMIID.NotFound"


def test_ecs_runs_no_task_with_a_role_that_does_not_trust_it(served: Served) -> None:
    iam, ecs = served.client("iam"), served.client("ecs")
    role = iam.create_role(RoleName="wrong", AssumeRolePolicyDocument=trust("ec2"))["Role"]["Arn"]
    ecs.register_task_definition(family="wrong", containerDefinitions=CONTAINERS, executionRoleArn=role)
    code, message = refusal(ecs.run_task, cluster="prod", taskDefinition="wrong")
    assert code == "ClientException" and message.startswith(f"ECS was unable to assume the role '{role}' that was")
    iam.update_assume_role_policy(RoleName="wrong", PolicyDocument=trust("ecs-tasks"))
    assert refusal(ecs.run_task, cluster="prod", taskDefinition="wrong") == EMPTY
    iam.delete_role(RoleName="wrong")
    assert refusal(ecs.run_task, cluster="prod", taskDefinition="wrong") == (code, message)
    ecs.register_task_definition(family="wrong", containerDefinitions=CONTAINERS, taskRoleArn="by-name")
    assert refusal(ecs.run_task, cluster="prod", taskDefinition="wrong")[1].startswith("ECS was unable to assume")
    iam.create_role(RoleName="by-name", AssumeRolePolicyDocument=trust("ecs-tasks"))
    assert refusal(ecs.run_task, cluster="prod", taskDefinition="wrong") == EMPTY


def test_ec2_knows_no_profile_that_does_not_exist(served: Served) -> None:
    ec2 = served.client("ec2")
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    launch = {"ImageId": image, "MinCount": 1, "MaxCount": 1, "InstanceType": "t3.micro"}
    for member, value in (("Name", "nobody"), ("Arn", f"arn:aws:iam::{ACCOUNT}:instance-profile/nobody")):
        code, message = refusal(ec2.run_instances, **launch, IamInstanceProfile={member: value})
        assert code == "InvalidParameterValue"
        start = f"Value ({value}) for parameter iamInstanceProfile.{member.lower()} is invalid. Invalid IAM"
        assert message.startswith(start)
