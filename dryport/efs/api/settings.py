"""What file systems have by default and cannot be given otherwise here: no policy, no transitions, no backups.

Provisioners read these of every file system; what they may set is what is so already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dryport.aws.errors import unsupported_parameter
from dryport.efs.api.common import file_system, refusal
from dryport.gateway.service import Call, Output, Service

if TYPE_CHECKING:
    from types_boto3_efs import type_defs as shapes

_PREFERENCE = {"ResourceIdType": "LONG_ID", "Resources": ["FILE_SYSTEM", "MOUNT_TARGET"]}


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("DescribeLifecycleConfiguration")(describe_lifecycle)
    service.operation("PutLifecycleConfiguration", unsupported=("LifecyclePolicies",))(put_lifecycle)
    service.operation("DescribeBackupPolicy")(describe_backup)
    service.operation("PutBackupPolicy")(put_backup)
    service.operation("DescribeFileSystemPolicy")(describe_policy)
    service.operation("DeleteFileSystemPolicy")(delete_policy)
    service.operation("UpdateFileSystemProtection")(update_protection)
    service.operation("DescribeReplicationConfigurations")(describe_replications)
    service.operation("DescribeAccountPreferences")(describe_preferences)
    service.operation("PutAccountPreferences")(put_preferences)


def describe_lifecycle(call: Call, request: shapes.DescribeLifecycleConfigurationRequestTypeDef) -> Output:
    file_system(call, request["FileSystemId"])
    return {"LifecyclePolicies": []}


def put_lifecycle(call: Call, request: shapes.PutLifecycleConfigurationRequestTypeDef) -> Output:
    file_system(call, request["FileSystemId"], available=True)
    return {"LifecyclePolicies": []}


def describe_backup(call: Call, request: shapes.DescribeBackupPolicyRequestTypeDef) -> Output:
    file_system(call, request["FileSystemId"])
    return {"BackupPolicy": {"Status": "DISABLED"}}


def put_backup(call: Call, request: shapes.PutBackupPolicyRequestTypeDef) -> Output:
    file_system(call, request["FileSystemId"], available=True)
    status = request["BackupPolicy"]["Status"]
    if status != "DISABLED":
        raise unsupported_parameter("efs", "PutBackupPolicy", f"BackupPolicy.Status={status}")
    return {"BackupPolicy": {"Status": "DISABLED"}}


def describe_policy(call: Call, request: shapes.DescribeFileSystemPolicyRequestTypeDef) -> Output:
    found = file_system(call, request["FileSystemId"])
    raise refusal("PolicyNotFound", f"Policy does not exist for file system {found.id}")


def delete_policy(call: Call, request: shapes.DeleteFileSystemPolicyRequestTypeDef) -> Output:
    file_system(call, request["FileSystemId"], available=True)
    return {}


def update_protection(call: Call, request: shapes.UpdateFileSystemProtectionRequestTypeDef) -> Output:
    file_system(call, request["FileSystemId"], available=True)
    wanted = request.get("ReplicationOverwriteProtection", "ENABLED")
    if wanted != "ENABLED":
        name = f"ReplicationOverwriteProtection={wanted}"
        raise unsupported_parameter("efs", "UpdateFileSystemProtection", name)
    return {"ReplicationOverwriteProtection": "ENABLED"}


def describe_replications(call: Call, request: shapes.DescribeReplicationConfigurationsRequestTypeDef) -> Output:
    if "FileSystemId" in request:
        found = file_system(call, request["FileSystemId"])
        raise refusal("ReplicationNotFound", f"The file system '{found.id}' has no replication configuration.")
    return {"Replications": []}


def describe_preferences(call: Call, request: shapes.DescribeAccountPreferencesRequestTypeDef) -> Output:
    return {"ResourceIdPreference": _PREFERENCE}


def put_preferences(call: Call, request: shapes.PutAccountPreferencesRequestTypeDef) -> Output:
    if request["ResourceIdType"] != "LONG_ID":
        raise refusal("BadRequest", "The short resource ID format is no longer supported.")
    return {"ResourceIdPreference": _PREFERENCE}
