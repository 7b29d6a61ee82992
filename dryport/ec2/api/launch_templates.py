"""Launch templates: named, versioned parameters of RunInstances."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import resource_id
from dryport.ec2 import images, instance_types, launch_templates, model
from dryport.ec2.api import filters
from dryport.ec2.api.launch_unsupported import TEMPLATE
from dryport.ec2.api.service import Request, earlier, get, new_tags, operation, with_tags
from dryport.ec2.launch import options
from dryport.ec2.model import LaunchTemplate, LaunchTemplateVersion
from dryport.gateway.service import Call, Output
from dryport.store import Reader

_MOST_DELETED = 200
_NAME = re.compile(r"[a-zA-Z0-9().\-/_]{3,128}")


def describe(reader: Reader, template: LaunchTemplate) -> dict[str, Any]:
    """A template as DescribeLaunchTemplates has it."""
    described = {
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "CreateTime": template.created_at,
        "CreatedBy": template.created_by,
        "DefaultVersionNumber": template.default_version,
        "LatestVersionNumber": launch_templates.latest(reader, template),
        "Operator": {"Managed": False},
    }
    return with_tags(described, template)


def describe_version(template: LaunchTemplate, version: LaunchTemplateVersion) -> dict[str, Any]:
    """A version as DescribeLaunchTemplateVersions has it."""
    described: dict[str, Any] = {"LaunchTemplateId": template.id, "LaunchTemplateName": template.name}
    described["VersionNumber"] = version.number
    if version.description:
        described["VersionDescription"] = version.description
    return described | {
        "CreateTime": version.created_at,
        "CreatedBy": version.created_by,
        "DefaultVersion": version.number == template.default_version,
        "LaunchTemplateData": version.data,
        "Operator": {"Managed": False},
    }


def _check(data: dict[str, Any]) -> None:
    """What EC2 refuses in a template already; the rest is looked at when an instance is launched."""
    options.check_values(data, "CreateLaunchTemplate")
    options.user_data(data)
    kind = data.get("InstanceType")
    if kind is not None and instance_types.get(kind) is None:
        raise ServiceError("InvalidParameterValue", f"Invalid value '{kind}' for InstanceType.")


def _warnings(call: Call, data: dict[str, Any]) -> dict[str, Any]:
    """The member ``Warning``, where the data names what is not there."""
    interfaces = data.get("NetworkInterfaces", [])
    groups = [*data.get("SecurityGroupIds", []), *(each for one in interfaces for each in one.get("Groups", []))]
    checks: list[Callable[[], object]] = [partial(get, call, "sg", each) for each in groups]
    checks += [partial(get, call, "subnet", one["SubnetId"]) for one in interfaces if "SubnetId" in one]
    if "ImageId" in data:
        checks.append(partial(images.launchable, call.tx, call.account, call.region, data["ImageId"]))
    errors = []
    for check in checks:
        try:
            check()
        except ServiceError as error:
            errors.append({"Code": error.code, "Message": error.message})
    return {"Warning": {"Errors": errors}} if errors else {}


@operation("CreateLaunchTemplate", unsupported=("Operator", *TEMPLATE))
def create_launch_template(call: Call, request: Request) -> Output:
    tags = new_tags(request, "launch-template")
    data, name = request["LaunchTemplateData"], request["LaunchTemplateName"]
    if not _NAME.fullmatch(name):
        raise ServiceError(
            "InvalidLaunchTemplateName.MalformedException",
            "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the "
            "following characters: - ( ) . / _.",
        )
    _check(data)
    template = earlier(call, model.LAUNCH_TEMPLATES, request)
    if template is not None:
        if template.name != name:
            raise ServiceError(
                "IdempotentParameterMismatch",
                "The request uses the same client token as a previous, different request.",
            )
        return {"LaunchTemplate": describe(call.tx, template), **_warnings(call, data)}
    if call.tx.keys(model.LAUNCH_TEMPLATES, "name", f"{model.scope(call.account, call.region)}/{name}"):
        raise ServiceError("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
    template = LaunchTemplate(
        id=resource_id(call.random, "lt"),
        account=call.account,
        region=call.region,
        tags=tags,
        name=name,
        created_at=call.now,
        created_by=call.principal.arn,
        client_token=request.get("ClientToken", ""),
    )
    call.tx.put(model.LAUNCH_TEMPLATES, template)
    _add_version(call, template, 1, data, request)
    return {"LaunchTemplate": describe(call.tx, template), **_warnings(call, data)}


def _add_version(
    call: Call, template: LaunchTemplate, number: int, data: dict[str, Any], request: Request
) -> LaunchTemplateVersion:
    made = LaunchTemplateVersion(
        template_id=template.id,
        number=number,
        created_at=call.now,
        created_by=call.principal.arn,
        data=data,
        description=request.get("VersionDescription", ""),
        client_token=request.get("ClientToken", ""),
    )
    call.tx.put(model.LAUNCH_TEMPLATE_VERSIONS, made)
    return made


@operation("CreateLaunchTemplateVersion", unsupported=TEMPLATE)
def create_launch_template_version(call: Call, request: Request) -> Output:
    template, data = _named(call, request), request["LaunchTemplateData"]
    _check(data)
    token = request.get("ClientToken", "")
    made = call.tx.find(model.LAUNCH_TEMPLATE_VERSIONS, "token", f"{template.id}/{token}") if token else []
    if not made:
        if "SourceVersion" in request:
            source = launch_templates.version(call.tx, template, request["SourceVersion"])
            data = launch_templates.next_data(source.data, data)
        template = replace(template, last_version=template.last_version + 1)
        call.tx.put(model.LAUNCH_TEMPLATES, template)
        made = [_add_version(call, template, template.last_version, data, request)]
    described = describe_version(template, made[0])
    if request.get("ResolveAlias"):
        described = _resolved(call, described)
    return {"LaunchTemplateVersion": described, **_warnings(call, made[0].data)}


def _named(call: Call, request: Request) -> LaunchTemplate:
    return launch_templates.find(call.tx, call.account, call.region, request)


def _resolved(call: Call, described: dict[str, Any]) -> dict[str, Any]:
    """A version with the image's id in the place of the parameter that names it."""
    data = described["LaunchTemplateData"]
    if "ImageId" not in data:
        return described
    image_id = images.resolve(call.tx, call.account, call.region, data["ImageId"])
    return {**described, "LaunchTemplateData": {**data, "ImageId": image_id}}


@operation("ModifyLaunchTemplate")
def modify_launch_template(call: Call, request: Request) -> Output:
    """Another default version; a ``ClientToken`` needs no memory, as doing it twice changes nothing."""
    template = _named(call, request)
    if "DefaultVersion" not in request:
        raise ServiceError("MissingParameter", "The request must contain the parameter DefaultVersion")
    version = launch_templates.version(call.tx, template, request["DefaultVersion"])
    template = replace(template, default_version=version.number)
    call.tx.put(model.LAUNCH_TEMPLATES, template)
    return {"LaunchTemplate": describe(call.tx, template)}


@operation("DeleteLaunchTemplate")
def delete_launch_template(call: Call, request: Request) -> Output:
    template = _named(call, request)
    described = describe(call.tx, template)
    for version in launch_templates.versions(call.tx, template):
        call.tx.delete(model.LAUNCH_TEMPLATE_VERSIONS, model.version_key(template.id, version.number))
    call.tx.delete(model.LAUNCH_TEMPLATES, template.id)
    return {"LaunchTemplate": described}


@operation("DeleteLaunchTemplateVersions")
def delete_launch_template_versions(call: Call, request: Request) -> Output:
    template = _named(call, request)
    if len(request["Versions"]) > _MOST_DELETED:
        raise ServiceError(
            "InvalidParameterValue",
            f"You can delete up to {_MOST_DELETED} launch template versions in a single request.",
        )
    deleted, kept = [], []
    for text in dict.fromkeys(request["Versions"]):
        number = launch_templates.number_of(call.tx, template, text)
        here = {"LaunchTemplateId": template.id, "LaunchTemplateName": template.name, "VersionNumber": number}
        key = model.version_key(template.id, number)
        if call.tx.get(model.LAUNCH_TEMPLATE_VERSIONS, key) is None:
            error = ("launchTemplateVersionDoesNotExist", "Could not find launch template version")
        elif number == template.default_version:
            error = ("unexpectedError", "The default version of a launch template cannot be deleted.")
        else:
            call.tx.delete(model.LAUNCH_TEMPLATE_VERSIONS, key)
            deleted.append(here)
            continue
        kept.append({**here, "ResponseError": {"Code": error[0], "Message": error[1]}})
    return {
        "SuccessfullyDeletedLaunchTemplateVersions": deleted,
        "UnsuccessfullyDeletedLaunchTemplateVersions": kept,
    }


_FILTERS: filters.Fields[LaunchTemplate] = {
    "create-time": lambda t: [filters.iso(t.created_at)],
    "launch-template-name": lambda t: [t.name],
    "tag-key": filters.tags,
}


@operation("DescribeLaunchTemplates")
def describe_launch_templates(call: Call, request: Request) -> Output:
    ids, names = request.get("LaunchTemplateIds"), request.get("LaunchTemplateNames")
    if ids and names:
        raise ServiceError(
            "InvalidParameterCombination",
            "You cannot specify both launch template IDs and launch template names in the request.",
        )
    where = (call.tx, call.account, call.region)
    if ids:
        found = [launch_templates.by_id(*where, each) for each in dict.fromkeys(ids)]
    elif names:
        found = [launch_templates.by_name(*where, each) for each in dict.fromkeys(names)]
    else:
        found = call.tx.find(model.LAUNCH_TEMPLATES, "scope", model.scope(call.account, call.region))
    found = filters.apply(request, found, _FILTERS)
    return filters.page(
        request, "LaunchTemplates", found, lambda each: describe(call.tx, each), smallest=1, largest=200, usual=200
    )


def _fields(call: Call) -> filters.Fields[dict[str, Any]]:
    """Readers of described versions."""

    def value(*path: str) -> Any:
        def read(described: dict[str, Any]) -> list[Any]:
            found: list[Any] = [described["LaunchTemplateData"]]
            for part in path:
                found = [each[part] for each in found if part in each]
                found = [item for each in found for item in (each if isinstance(each, list) else [each])]
            return found

        return read

    return {
        "create-time": lambda v: [filters.iso(v["CreateTime"])],
        "ebs-optimized": value("EbsOptimized"),
        "http-endpoint": value("MetadataOptions", "HttpEndpoint"),
        "http-protocol-ipv4": value("MetadataOptions", "HttpEndpoint"),
        "host-resource-group-arn": value("Placement", "HostResourceGroupArn"),
        "http-tokens": value("MetadataOptions", "HttpTokens"),
        "iam-instance-profile": lambda v: [
            *value("IamInstanceProfile", "Arn")(v),
            *value("IamInstanceProfile", "Name")(v),
        ],
        "image-id": value("ImageId"),
        "instance-type": value("InstanceType"),
        "is-default-version": lambda v: [v["DefaultVersion"]],
        "kernel-id": value("KernelId"),
        "license-configuration-arn": value("LicenseSpecifications", "LicenseConfigurationArn"),
        "network-card-index": value("NetworkInterfaces", "NetworkCardIndex"),
        "ram-disk-id": value("RamDiskId"),
    }


@operation("DescribeLaunchTemplateVersions")
def describe_launch_template_versions(call: Call, request: Request) -> Output:
    """Of one template, all or the versions that are named; of all templates, the latest or default ones."""
    found = _of_one(call, request) if "LaunchTemplateId" in request or "LaunchTemplateName" in request else None
    if found is None:
        found = _of_all(call, request)
    if request.get("ResolveAlias"):
        found = [_resolved(call, each) for each in found]
    found = filters.apply(request, found, _fields(call))
    return filters.page(request, "LaunchTemplateVersions", found, dict, smallest=1, largest=200, usual=200)


def _of_one(call: Call, request: Request) -> list[dict[str, Any]]:
    template = _named(call, request)
    if request.get("Versions"):
        if "MinVersion" in request or "MaxVersion" in request:
            raise ServiceError(
                "InvalidParameterCombination", "You cannot specify versions together with a minimum or maximum version."
            )
        named = [launch_templates.version(call.tx, template, each) for each in request["Versions"]]
        found = list({each.number: each for each in named}.values())
    else:
        low = launch_templates.number_of(call.tx, template, request.get("MinVersion", "1"))
        high = launch_templates.number_of(call.tx, template, request.get("MaxVersion", "$Latest"))
        found = [each for each in launch_templates.versions(call.tx, template) if low <= each.number <= high]
    return [describe_version(template, each) for each in found]


def _of_all(call: Call, request: Request) -> list[dict[str, Any]]:
    wanted = dict.fromkeys(request.get("Versions", []))
    if not wanted or not wanted.keys() <= {"$Latest", "$Default"}:
        raise ServiceError(
            "MissingParameter",
            "Either a launch template ID or a launch template name must be specified in the request.",
        )
    found = {}
    for template in call.tx.find(model.LAUNCH_TEMPLATES, "scope", model.scope(call.account, call.region)):
        for text in wanted:
            version = launch_templates.version(call.tx, template, text)
            found[model.version_key(template.id, version.number)] = describe_version(template, version)
    return list(found.values())
