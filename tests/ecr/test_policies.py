"""Repository policies: as they are set and read, and whom they let in or keep out, by the API and by docker's way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.ecr.conftest import ACCOUNT, Registry, make_image
from tests.ecr.server import OTHER_ACCESS_KEY, OTHER_ACCOUNT
from tests.served import refusal

PULL = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
INVALID = (
    "InvalidParameterException",
    "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'",
)


def policy(effect: str, who: str, actions: str | list[str], **more: Any) -> str:
    principal = "*" if who == "*" else {"AWS": who}
    body = {"Sid": "s", "Effect": effect, "Principal": principal, "Action": actions, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [body]})


def test_a_policy_is_set_read_and_deleted(registry: Registry, repository: str) -> None:
    ecr = registry.client()
    text = policy("Allow", f"arn:aws:iam::{OTHER_ACCOUNT}:root", PULL)
    pretty = (
        '{\n  "Version" : "2012-10-17",\n  "Statement" : [ {\n    "Sid" : "s",\n    "Effect" : "Allow",\n'
        f'    "Principal" : {{\n      "AWS" : "arn:aws:iam::{OTHER_ACCOUNT}:root"\n    }},\n'
        '    "Action" : [ "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer" ]'
        "\n  } ]\n}"
    )
    expected = {"registryId": ACCOUNT, "repositoryName": repository, "policyText": pretty}
    for answer in (
        ecr.set_repository_policy(repositoryName=repository, policyText=text),
        ecr.get_repository_policy(repositoryName=repository, registryId=ACCOUNT),
        ecr.delete_repository_policy(repositoryName=repository),
    ):
        answer.pop("ResponseMetadata")
        assert answer == expected
    assert refusal(ecr.get_repository_policy, repositoryName=repository)[0] == "RepositoryPolicyNotFoundException"
    missing = refusal(ecr.set_repository_policy, repositoryName="none", policyText=text)
    assert missing[0] == "RepositoryNotFoundException"


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "{}",
        json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ecr:*"}]}),
        policy("Allow", "*", "s3:GetObject"),
        policy("Allow", "*", "ecr:*", Resource="*"),
        policy("Allow", "*", "ecr:*", Condition={"StringEqual": {"aws:SourceIp": "x"}}),
    ],
)
def test_what_is_no_policy_is_refused(registry: Registry, repository: str, text: str) -> None:
    assert refusal(registry.client().set_repository_policy, repositoryName=repository, policyText=text) == INVALID


def test_another_account_pulls_what_it_may(registry: Registry, repository: str) -> None:
    """Its own policies (the root user's) and the repository's both allow it; pushing stays refused."""
    ecr, other = registry.client(), registry.client(OTHER_ACCESS_KEY)
    image = make_image()
    registry.push(repository, image, "v1")
    password = registry.login(other)
    path = f"/v2/{repository}/manifests/v1"
    assert registry.http("GET", path, password=password).error == (403, "DENIED")
    ecr.set_repository_policy(
        repositoryName=repository, policyText=policy("Allow", f"arn:aws:iam::{OTHER_ACCOUNT}:root", PULL)
    )
    answer = registry.http("GET", path, password=password)
    assert answer.status == 200
    config = answer.json()["config"]["digest"]
    assert registry.http("GET", f"/v2/{repository}/blobs/{config}", password=password).status == 200
    assert registry.http("POST", f"/v2/{repository}/blobs/uploads/", password=password).error == (403, "DENIED")
    asked = {"registryId": ACCOUNT, "repositoryName": repository, "imageIds": [{"imageTag": "v1"}]}
    assert len(other.batch_get_image(**asked)["images"]) == 1
    code, message = refusal(other.describe_images, registryId=ACCOUNT, repositoryName=repository)
    assert code == "AccessDeniedException"
    assert message == (
        f"User: arn:aws:iam::{OTHER_ACCOUNT}:root is not authorized to perform: ecr:DescribeImages on resource: "
        f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{repository} because no resource-based policy allows the "
        "ecr:DescribeImages action"
    )
    assert refusal(other.describe_images, registryId=ACCOUNT, repositoryName="none")[0] == "AccessDeniedException"
    assert refusal(other.create_repository, registryId=ACCOUNT, repositoryName="new")[0] == "AccessDeniedException"
    assert refusal(other.describe_repositories, registryId=ACCOUNT)[0] == "AccessDeniedException"
    ecr.delete_repository_policy(repositoryName=repository)
    assert registry.http("GET", path, password=password).error == (403, "DENIED")


def test_a_policy_denies_its_own_account(registry: Registry, repository: str) -> None:
    """Also the root user, and by docker's way; one that nobody could replace needs force."""
    ecr = registry.client()
    registry.push(repository, make_image(), "v1")
    ecr.set_repository_policy(repositoryName=repository, policyText=policy("Deny", "*", "ecr:BatchGetImage"))
    ask = {"repositoryName": repository, "imageIds": [{"imageTag": "v1"}]}
    code, message = refusal(ecr.batch_get_image, **ask)
    assert (code, "with an explicit deny in a resource-based policy" in message) == ("AccessDeniedException", True)
    assert registry.http("GET", f"/v2/{repository}/manifests/v1").error == (403, "DENIED")
    assert registry.http("GET", f"/v2/{repository}/tags/list").status == 200
    shut = policy("Deny", "*", "ecr:*")
    assert refusal(ecr.set_repository_policy, repositoryName=repository, policyText=shut)[0] == INVALID[0]
    assert len(refusal(ecr.batch_get_image, **ask)) == 2
    ecr.set_repository_policy(repositoryName=repository, policyText=shut, force=True)
    assert refusal(ecr.delete_repository_policy, repositoryName=repository)[0] == "AccessDeniedException"
