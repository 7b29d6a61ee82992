"""ECR's refusals, in ECR's words: the API sends them as they are, the registry under the codes of its own protocol."""

from __future__ import annotations

from collections.abc import Iterable

from dryport.aws.errors import ServiceError


def invalid_parameter(parameter: str, constraint: str) -> ServiceError:
    return ServiceError(
        "InvalidParameterException",
        f"Invalid parameter at '{parameter}' failed to satisfy constraint: '{constraint}'",
    )


def repository_not_found(name: str, account: str) -> ServiceError:
    return ServiceError(
        "RepositoryNotFoundException",
        f"The repository with name '{name}' does not exist in the registry with id '{account}'",
    )


def repository_policy_not_found(name: str, account: str) -> ServiceError:
    return ServiceError(
        "RepositoryPolicyNotFoundException",
        f"Repository policy does not exist for the repository with name '{name}' in the registry with id '{account}'",
    )


def repository_exists(name: str, account: str) -> ServiceError:
    return ServiceError(
        "RepositoryAlreadyExistsException",
        f"The repository with name '{name}' already exists in the registry with id '{account}'",
    )


def repository_not_empty(name: str, account: str) -> ServiceError:
    return ServiceError(
        "RepositoryNotEmptyException",
        f"The repository with name '{name}' in registry with id '{account}' "
        "cannot be deleted because it still contains images",
    )


def image_not_found(name: str, account: str, *, digest: str | None = None, tag: str | None = None) -> ServiceError:
    return ServiceError(
        "ImageNotFoundException",
        f"The image with imageId {{imageDigest:'{digest or 'null'}', imageTag:'{tag or 'null'}'}} does not exist "
        f"within the repository with name '{name}' in the registry with id '{account}'",
    )


def image_exists(name: str, account: str, digest: str, tag: str | None) -> ServiceError:
    tagged = f" and tag '{tag}'" if tag else ""
    return ServiceError(
        "ImageAlreadyExistsException",
        f"Image with digest '{digest}'{tagged} already exists in the repository with name '{name}' "
        f"in registry with id '{account}'",
    )


def tag_is_immutable(name: str, tag: str) -> ServiceError:
    return ServiceError(
        "ImageTagAlreadyExistsException",
        f"The image tag '{tag}' already exists in the '{name}' repository "
        "and cannot be overwritten because the tag is immutable.",
    )


def image_digest_differs(claimed: str, actual: str) -> ServiceError:
    return ServiceError(
        "ImageDigestDoesNotMatchException",
        f"The image digest '{claimed}' does not match the digest '{actual}' that was calculated for the image",
    )


def _required(kind: str, digests: Iterable[str], name: str, account: str) -> str:
    return (
        f"{kind} with digests '[{', '.join(digests)}]' required for pushing image into repository with name '{name}' "
        f"in the registry with id '{account}' do not exist"
    )


def layers_missing(digests: Iterable[str], name: str, account: str) -> ServiceError:
    return ServiceError("LayersNotFoundException", _required("Layers", digests, name, account))


def images_missing(digests: Iterable[str], name: str, account: str) -> ServiceError:
    return ServiceError("ReferencedImagesNotFoundException", _required("Images", digests, name, account))


def layer_not_found(digest: str, name: str, account: str) -> ServiceError:
    return ServiceError(
        "LayersNotFoundException",
        f"The layer with digest '{digest}' does not exist within the repository with name '{name}' "
        f"in the registry with id '{account}'",
    )


def layer_exists(digest: str, name: str, account: str) -> ServiceError:
    return ServiceError(
        "LayerAlreadyExistsException",
        f"The layer with digest '{digest}' already exists in the repository with name '{name}' "
        f"in the registry with id '{account}'",
    )


def upload_not_found(upload: str, name: str, account: str) -> ServiceError:
    return ServiceError(
        "UploadNotFoundException",
        f"The upload with id '{upload}' does not exist in the repository with name '{name}' "
        f"in the registry with id '{account}'",
    )


def invalid_layer(expected: str, actual: str) -> ServiceError:
    return ServiceError(
        "InvalidLayerException",
        f"The layer digest '{expected}' does not match the digest '{actual}' that was calculated for the layer",
    )


def referenced_by_lists(digests: Iterable[str]) -> ServiceError:
    return ServiceError(
        "ImageReferencedByManifestList", f"Requested image referenced by manifest list: [{', '.join(digests)}]"
    )


def not_authorized(principal_arn: str, action: str, resource: str) -> ServiceError:
    """What a principal of another account gets: no repository policy can allow it anything yet."""
    return ServiceError(
        "AccessDeniedException",
        f"User: {principal_arn} is not authorized to perform: {action} on resource: {resource} "
        f"because no resource-based policy allows the {action} action",
    )
