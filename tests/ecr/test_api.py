"""ECR's API through boto3 and the AWS CLI: answers member by member, refusals word by word."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.ecr.conftest import ACCOUNT, EMPTY_JSON, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Registry, make_image, sha256
from tests.ecr.server import OTHER_ACCOUNT
from tests.served import refusal

MIB = 1 << 20


def answer(call: Any, **arguments: Any) -> dict[str, Any]:
    given: dict[str, Any] = call(**arguments)
    del given["ResponseMetadata"]
    return given


def not_found(name: str) -> tuple[str, str]:
    return (
        "RepositoryNotFoundException",
        f"The repository with name '{name}' does not exist in the registry with id '{ACCOUNT}'",
    )


def test_create_describe_delete(registry: Registry) -> None:
    ecr = registry.client()
    name = f"team/app-{time.time_ns()}"
    made = ecr.create_repository(repositoryName=name)["repository"]
    assert abs(made["createdAt"].timestamp() - time.time()) < 60
    assert made == {
        "repositoryArn": f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{name}",
        "registryId": ACCOUNT,
        "repositoryName": name,
        "repositoryUri": f"{registry.host}/{name}",
        "createdAt": made["createdAt"],
        "imageTagMutability": "MUTABLE",
        "imageScanningConfiguration": {"scanOnPush": False},
        "encryptionConfiguration": {"encryptionType": "AES256"},
    }
    assert answer(ecr.describe_repositories, repositoryNames=[name]) == {"repositories": [made]}
    assert refusal(ecr.create_repository, repositoryName=name) == (
        "RepositoryAlreadyExistsException",
        f"The repository with name '{name}' already exists in the registry with id '{ACCOUNT}'",
    )
    gone = ecr.delete_repository(repositoryName=name, registryId=ACCOUNT)["repository"]
    assert gone == {
        member: made[member]
        for member in (
            *("repositoryArn", "registryId", "repositoryName"),
            *("repositoryUri", "createdAt", "imageTagMutability"),
        )
    }
    assert refusal(ecr.delete_repository, repositoryName=name) == not_found(name)
    assert refusal(ecr.describe_repositories, repositoryNames=[name]) == not_found(name)


@pytest.mark.parametrize(
    "options",
    [
        {"imageScanningConfiguration": {"scanOnPush": True}},
        {"encryptionConfiguration": {"encryptionType": "KMS"}},
        {"encryptionConfiguration": {"encryptionType": "AES256", "kmsKey": "alias/x"}},
    ],
)
def test_what_is_not_acted_on_is_refused_by_name(registry: Registry, options: dict[str, Any]) -> None:
    code, message = refusal(registry.client().create_repository, repositoryName="team/refused", **options)
    assert code == "NotImplemented"
    assert next(iter(next(iter(options.values())))) in message or "kmsKey" in message
    assert refusal(registry.client().describe_repositories, repositoryNames=["team/refused"])[0].startswith("Repo")


@pytest.mark.parametrize("name", ["UPPER", "a", "-a", "a//b", "a/", "a..b", "x" * 257])
def test_repository_names(registry: Registry, name: str) -> None:
    assert refusal(registry.client().create_repository, repositoryName=name)[0] == "InvalidParameterException"


def test_describe_in_pages(registry: Registry) -> None:
    ecr = registry.client(region="ap-south-1")
    names = [f"page/{number:02}" for number in range(7)]
    for name in reversed(names):
        ecr.create_repository(repositoryName=name)
    pages = list(ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 3}))
    assert [len(page["repositories"]) for page in pages] == [3, 3, 1]
    assert [repository["repositoryName"] for page in pages for repository in page["repositories"]] == names
    assert refusal(ecr.describe_repositories, nextToken="%%%")[0] == "InvalidParameterException"
    both = refusal(ecr.describe_repositories, repositoryNames=["page/01"], maxResults=1)
    assert both[0] == "InvalidParameterException"


def test_another_registry(registry: Registry) -> None:
    code, message = refusal(registry.client().describe_repositories, registryId=OTHER_ACCOUNT)
    assert code == "AccessDeniedException"
    assert "is not authorized to perform: ecr:DescribeRepositories on resource" in message


def test_delete_needs_force(registry: Registry, repository: str) -> None:
    ecr = registry.client()
    registry.push(repository, make_image(), "1")
    assert refusal(ecr.delete_repository, repositoryName=repository) == (
        "RepositoryNotEmptyException",
        f"The repository with name '{repository}' in registry with id '{ACCOUNT}' "
        "cannot be deleted because it still contains images",
    )
    ecr.delete_repository(repositoryName=repository, force=True)
    ecr.create_repository(repositoryName=repository)
    assert ecr.list_images(repositoryName=repository)["imageIds"] == []
    assert registry.http("GET", f"/v2/{repository}/tags/list").json()["tags"] == []


def test_tags(registry: Registry) -> None:
    ecr = registry.client()
    name = registry.repository(tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
    arn = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{name}"
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "a", "Value": "2"}, {"Key": "c", "Value": "3"}])
    ecr.untag_resource(resourceArn=arn, tagKeys=["b", "x"])
    assert answer(ecr.list_tags_for_resource, resourceArn=arn) == {
        "tags": [{"Key": "a", "Value": "2"}, {"Key": "c", "Value": "3"}]
    }
    assert refusal(ecr.list_tags_for_resource, resourceArn=f"{arn}x") == not_found(f"{name}x")
    assert refusal(ecr.list_tags_for_resource, resourceArn="nonsense") == (
        "InvalidParameterException",
        "Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'",
    )
    many = [{"Key": str(number), "Value": ""} for number in range(49)]
    assert refusal(ecr.tag_resource, resourceArn=arn, tags=many)[0] == "TooManyTagsException"
    reserved = [{"Key": "aws:x", "Value": ""}]
    assert refusal(ecr.tag_resource, resourceArn=arn, tags=reserved)[0] == "InvalidTagParameterException"


def test_authorization_token(registry: Registry) -> None:
    data = registry.client().get_authorization_token()["authorizationData"]
    assert len(data) == 1
    assert data[0]["proxyEndpoint"] == f"http://{registry.host}"
    assert abs(data[0]["expiresAt"].timestamp() - time.time() - 12 * 3600) < 60
    several = registry.client().get_authorization_token(registryIds=[ACCOUNT, OTHER_ACCOUNT])["authorizationData"]
    assert [entry["proxyEndpoint"] for entry in several] == [
        f"http://{registry.host}",
        f"http://{registry.host.replace(ACCOUNT, OTHER_ACCOUNT)}",
    ]


def test_registry_and_policies(registry: Registry, repository: str) -> None:
    ecr = registry.client()
    assert answer(ecr.describe_registry) == {"registryId": ACCOUNT, "replicationConfiguration": {"rules": []}}
    none = (
        "RepositoryPolicyNotFoundException",
        f"Repository policy does not exist for the repository with name '{repository}' "
        f"in the registry with id '{ACCOUNT}'",
    )
    assert refusal(ecr.get_repository_policy, repositoryName=repository) == none
    assert refusal(ecr.delete_repository_policy, repositoryName=repository) == none


def test_images(registry: Registry, repository: str) -> None:
    ecr = registry.client()
    image, untagged = make_image(2), make_image()
    registry.push(repository, image, "one")
    registry.put_manifest(repository, image, "two")
    registry.push(repository, untagged)
    listed = ecr.list_images(repositoryName=repository)["imageIds"]
    of_image = [{"imageDigest": image.digest, "imageTag": tag} for tag in ("one", "two")]
    assert sorted(listed, key=str) == sorted([*of_image, {"imageDigest": untagged.digest}], key=str)
    tagged = ecr.list_images(repositoryName=repository, filter={"tagStatus": "TAGGED"})["imageIds"]
    assert tagged == of_image
    bare = ecr.list_images(repositoryName=repository, filter={"tagStatus": "UNTAGGED"})["imageIds"]
    assert bare == [{"imageDigest": untagged.digest}]
    pages = ecr.get_paginator("list_images").paginate(repositoryName=repository, PaginationConfig={"PageSize": 1})
    assert sorted((entry for page in pages for entry in page["imageIds"]), key=str) == sorted(listed, key=str)

    detail = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": "two"}])["imageDetails"]
    assert abs(detail[0].pop("imagePushedAt").timestamp() - time.time()) < 60
    assert detail == [
        {
            "registryId": ACCOUNT,
            "repositoryName": repository,
            "imageDigest": image.digest,
            "imageTags": ["one", "two"],
            "imageSizeInBytes": sum(map(len, image.blobs.values())),
            "imageManifestMediaType": OCI_MANIFEST,
            "artifactMediaType": OCI_CONFIG,
            "imageStatus": "ACTIVE",
        }
    ]
    registry.http("GET", f"/v2/{repository}/manifests/two")
    pulled = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": "two"}])["imageDetails"][0]
    assert abs(pulled["lastRecordedPullTime"].timestamp() - time.time()) < 60
    without = ecr.describe_images(repositoryName=repository, filter={"tagStatus": "UNTAGGED"})["imageDetails"]
    assert [entry["imageDigest"] for entry in without] == [untagged.digest]
    assert "imageTags" not in without[0]
    archived = ecr.describe_images(repositoryName=repository, filter={"imageStatus": "ARCHIVED"})["imageDetails"]
    assert archived == []
    assert refusal(ecr.describe_images, repositoryName=repository, imageIds=[{"imageTag": "no"}]) == (
        "ImageNotFoundException",
        f"The image with imageId {{imageDigest:'null', imageTag:'no'}} does not exist within the repository "
        f"with name '{repository}' in the registry with id '{ACCOUNT}'",
    )


def test_batch_get_image(registry: Registry, repository: str) -> None:
    ecr = registry.client()
    image = make_image()
    registry.push(repository, image, "one")
    got = answer(
        ecr.batch_get_image,
        repositoryName=repository,
        imageIds=[{"imageTag": "one"}, {"imageDigest": image.digest}, {"imageTag": "no"}],
    )
    common = {
        "registryId": ACCOUNT,
        "repositoryName": repository,
        "imageManifest": image.manifest.decode(),
        "imageManifestMediaType": OCI_MANIFEST,
    }
    missing = {
        "imageId": {"imageTag": "no"},
        "failureCode": "ImageNotFound",
        "failureReason": "Requested image not found",
    }
    assert got == {
        "images": [
            {**common, "imageId": {"imageDigest": image.digest, "imageTag": "one"}},
            {**common, "imageId": {"imageDigest": image.digest}},
        ],
        "failures": [missing],
    }
    docker_only = ecr.batch_get_image(
        repositoryName=repository,
        imageIds=[{"imageTag": "one"}],
        acceptedMediaTypes=["application/vnd.docker.distribution.manifest.v2+json"],
    )
    assert (docker_only["images"], len(docker_only["failures"])) == ([], 1)


def test_batch_delete_image(registry: Registry, repository: str) -> None:
    ecr = registry.client()
    image, other = make_image(), make_image()
    for tag in ("a", "b", "c"):
        registry.push(repository, image, tag)
    registry.push(repository, other, "other")

    def delete(*identifiers: dict[str, str]) -> tuple[Any, Any]:
        gone = ecr.batch_delete_image(repositoryName=repository, imageIds=list(identifiers))
        return gone["imageIds"], [failure["failureCode"] for failure in gone["failures"]]

    assert delete({"imageTag": "a"}) == ([{"imageDigest": image.digest, "imageTag": "a"}], [])
    assert registry.http("HEAD", f"/v2/{repository}/manifests/{image.digest}").status == 200
    assert delete({"imageTag": "a"}, {"imageDigest": "bad"}, {"imageTag": "b", "imageDigest": other.digest}) == (
        [],
        ["ImageNotFound", "InvalidImageDigest", "ImageTagDoesNotMatchDigest"],
    )
    assert delete({"imageDigest": image.digest}) == (
        [{"imageDigest": image.digest, "imageTag": tag} for tag in ("b", "c")],
        [],
    )
    # The last tag takes the image with it.
    assert delete({"imageTag": "other"}) == ([{"imageDigest": other.digest, "imageTag": "other"}], [])
    assert ecr.describe_images(repositoryName=repository)["imageDetails"] == []


def test_put_image(registry: Registry, repository: str) -> None:
    ecr = registry.client()
    image = make_image()
    put = {"repositoryName": repository, "imageManifest": image.manifest.decode()}
    code, message = refusal(ecr.put_image, **put, imageTag="x")
    assert code == "LayersNotFoundException"
    assert message.startswith("Layers with digests '[sha256:")
    registry.push(repository, image, "one")
    made = answer(ecr.put_image, **put, imageTag="retagged", imageDigest=image.digest)["image"]
    assert made == {
        "registryId": ACCOUNT,
        "repositoryName": repository,
        "imageId": {"imageDigest": image.digest, "imageTag": "retagged"},
        "imageManifest": image.manifest.decode(),
        "imageManifestMediaType": OCI_MANIFEST,
    }
    assert registry.http("GET", f"/v2/{repository}/manifests/retagged").body == image.manifest
    assert refusal(ecr.put_image, **put, imageTag="retagged") == (
        "ImageAlreadyExistsException",
        f"Image with digest '{image.digest}' and tag 'retagged' already exists in the repository with name "
        f"'{repository}' in registry with id '{ACCOUNT}'",
    )
    wrong = refusal(ecr.put_image, **put, imageTag="y", imageDigest=sha256(b"x"))
    assert wrong[0] == "ImageDigestDoesNotMatchException"
    assert refusal(ecr.put_image, repositoryName=repository, imageManifest="{", imageTag="y") == (
        "InvalidParameterException",
        "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'",
    )


def test_tag_mutability(registry: Registry, repository: str) -> None:
    ecr = registry.client()
    first, second = make_image(), make_image()
    registry.push(repository, first, "v1")
    registry.push(repository, first, "dev-1")
    registry.push(repository, second)
    filters = [{"filterType": "WILDCARD", "filter": "dev-*"}]
    changed = answer(
        ecr.put_image_tag_mutability,
        repositoryName=repository,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=filters,
    )
    assert changed == {
        "registryId": ACCOUNT,
        "repositoryName": repository,
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": filters,
    }
    described = ecr.describe_repositories(repositoryNames=[repository])["repositories"][0]
    assert described["imageTagMutabilityExclusionFilters"] == filters
    assert registry.put_manifest(repository, second, "v1").error == (400, "TAG_INVALID")
    assert registry.put_manifest(repository, second, "dev-1").status == 201
    assert refusal(ecr.put_image, repositoryName=repository, imageManifest=second.manifest.decode(), imageTag="v1") == (
        "ImageTagAlreadyExistsException",
        f"The image tag 'v1' already exists in the '{repository}' repository "
        "and cannot be overwritten because the tag is immutable.",
    )
    ecr.put_image_tag_mutability(
        repositoryName=repository,
        imageTagMutability="MUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=filters,
    )
    assert registry.put_manifest(repository, second, "v1").status == 201
    assert registry.put_manifest(repository, first, "dev-1").error == (400, "TAG_INVALID")
    ecr.put_image_tag_mutability(repositoryName=repository, imageTagMutability="MUTABLE")
    assert registry.put_manifest(repository, first, "dev-1").status == 201
    for options in (
        {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"},
        {"imageTagMutability": "IMMUTABLE", "imageTagMutabilityExclusionFilters": filters},
    ):
        refused = refusal(ecr.put_image_tag_mutability, repositoryName=repository, **options)
        assert refused[0] == "InvalidParameterException"


def test_layers_in_parts(registry: Registry, repository: str) -> None:
    ecr = registry.client()
    content = bytes(range(256)) * 4096 * 11  # 11 MiB
    digest = sha256(content)
    started = answer(ecr.initiate_layer_upload, repositoryName=repository)
    upload = {"repositoryName": repository, "uploadId": started["uploadId"]}
    assert refusal(ecr.complete_layer_upload, **upload, layerDigests=[digest])[0] == "EmptyUploadException"
    for first in range(0, len(content), 6 * MIB):
        part = content[first : first + 6 * MIB]
        last = first + len(part) - 1
        sent = answer(ecr.upload_layer_part, **upload, partFirstByte=first, partLastByte=last, layerPartBlob=part)
        assert sent == {
            "registryId": ACCOUNT,
            "repositoryName": repository,
            "uploadId": started["uploadId"],
            "lastByteReceived": last,
        }
    with pytest.raises(ClientError) as caught:
        ecr.upload_layer_part(**upload, partFirstByte=5, partLastByte=5, layerPartBlob=b"x")
    assert caught.value.response["Error"]["Code"] == "InvalidLayerPartException"
    told: Mapping[str, object] = caught.value.response
    assert told["lastValidByteReceived"] == len(content) - 1
    wrong = refusal(ecr.complete_layer_upload, **upload, layerDigests=[sha256(b"other")])
    assert wrong[0] == "InvalidLayerException"
    done = answer(ecr.complete_layer_upload, **upload, layerDigests=[digest])
    assert done["layerDigest"] == digest
    assert registry.http("GET", f"/v2/{repository}/blobs/{digest}").body == content
    assert refusal(ecr.complete_layer_upload, **upload, layerDigests=[digest])[0] == "UploadNotFoundException"

    again = ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]
    again_upload = {"repositoryName": repository, "uploadId": again}
    for first in (0, 1):
        ecr.upload_layer_part(**again_upload, partFirstByte=first, partLastByte=first, layerPartBlob=b"x")
    short = refusal(ecr.complete_layer_upload, **again_upload, layerDigests=[sha256(b"xx")])
    assert short == ("LayerPartTooSmallException", "Layer parts must be at least 5 MiB in size")


def test_layer_exists(registry: Registry, repository: str) -> None:
    ecr = registry.client()
    registry.push_blob(repository, b"layer")
    upload = ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]
    arguments = {"repositoryName": repository, "uploadId": upload}
    ecr.upload_layer_part(**arguments, partFirstByte=0, partLastByte=4, layerPartBlob=b"layer")
    refused = refusal(ecr.complete_layer_upload, **arguments, layerDigests=[sha256(b"layer")])
    assert refused[0] == "LayerAlreadyExistsException"


def test_layer_availability_and_download(registry: Registry, repository: str) -> None:
    ecr = registry.client()
    image = make_image()
    registry.push(repository, image, "one")
    layer = json.loads(image.manifest)["layers"][0]["digest"]
    loose, missing = registry.push_blob(repository, b"loose"), sha256(b"missing")
    checked = answer(
        ecr.batch_check_layer_availability, repositoryName=repository, layerDigests=[layer, loose, missing, "bad"]
    )
    assert checked["layers"] == [
        {
            "layerDigest": layer,
            "layerAvailability": "AVAILABLE",
            "layerSize": len(image.blobs[layer]),
            "mediaType": OCI_LAYER,
        },
        {"layerDigest": loose, "layerAvailability": "AVAILABLE", "layerSize": 5},
        {"layerDigest": missing, "layerAvailability": "UNAVAILABLE"},
    ]
    assert [failure["failureCode"] for failure in checked["failures"]] == ["InvalidLayerDigest"]
    url = answer(ecr.get_download_url_for_layer, repositoryName=repository, layerDigest=layer)["downloadUrl"]
    with urllib.request.urlopen(url) as response:
        assert response.read() == image.blobs[layer]
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url.replace(layer, loose))
    assert caught.value.code == 401
    none = refusal(ecr.get_download_url_for_layer, repositoryName=repository, layerDigest=missing)
    assert none == (
        "LayersNotFoundException",
        f"The layer with digest '{missing}' does not exist within the repository with name '{repository}' "
        f"in the registry with id '{ACCOUNT}'",
    )
    inaccessible = refusal(ecr.get_download_url_for_layer, repositoryName=repository, layerDigest=loose)
    assert inaccessible[0] == "LayerInaccessibleException"


def test_referrers(registry: Registry, repository: str) -> None:
    ecr = registry.client()
    subject = make_image()
    kind = "application/vnd.example"
    referrer = make_image(
        artifactType=kind,
        annotations={"a": "b"},
        subject={"mediaType": OCI_MANIFEST, "digest": subject.digest, "size": len(subject.manifest)},
    )
    registry.push(repository, referrer)
    arguments = {"repositoryName": repository, "subjectId": {"imageDigest": subject.digest}}
    assert answer(ecr.list_image_referrers, **arguments)["referrers"] == [
        {
            "digest": referrer.digest,
            "mediaType": OCI_MANIFEST,
            "artifactType": kind,
            "size": len(referrer.manifest),
            "annotations": {"a": "b"},
            "artifactStatus": "ACTIVE",
        }
    ]
    other = ecr.list_image_referrers(**arguments, filter={"artifactTypes": [EMPTY_JSON]})
    assert other["referrers"] == []
    detail = ecr.describe_images(repositoryName=repository)["imageDetails"][0]
    assert detail["subjectManifestDigest"] == subject.digest


def test_command_line(registry: Registry, repository: str) -> None:
    image = make_image()
    registry.push(repository, image, "cli")

    def aws(*arguments: str) -> str:
        done = subprocess.run(
            ["aws", "ecr", *arguments], capture_output=True, text=True, env=registry.environment(), timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    described = json.loads(aws("describe-images", "--repository-name", repository))
    assert described["imageDetails"][0]["imageTags"] == ["cli"]
    gone = json.loads(aws("batch-delete-image", "--repository-name", repository, "--image-ids", "imageTag=cli"))
    assert gone["imageIds"] == [{"imageDigest": image.digest, "imageTag": "cli"}]
    assert hashlib.sha256(image.manifest).hexdigest() in image.digest
    assert len(aws("get-login-password").strip()) > 100
