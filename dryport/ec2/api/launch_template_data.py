"""GetLaunchTemplateData: the parameters that an instance like one that is there would be launched with."""

from __future__ import annotations

import base64
from typing import Any

from dryport.ec2 import attachments, profiles, volumes
from dryport.ec2.api.instance_shapes import metadata_options
from dryport.ec2.api.service import Request, get_instance, operation, tag_list
from dryport.ec2.model import Instance, NetworkInterface, Volume
from dryport.gateway.service import Call, Output
from dryport.store import Reader


@operation("GetLaunchTemplateData")
def get_launch_template_data(call: Call, request: Request) -> Output:
    return {"LaunchTemplateData": _data(call.tx, get_instance(call, request["InstanceId"]))}


def _data(reader: Reader, instance: Instance) -> dict[str, Any]:
    profile = profiles.associated(reader, instance.id)
    optional = {
        "IamInstanceProfile": {"Arn": profile.arn} if profile is not None else None,
        "KeyName": instance.key_name or None,
        "UserData": base64.b64encode(instance.user_data).decode() or None,
        "CreditSpecification": {"CpuCredits": instance.cpu_credits} if instance.cpu_credits else None,
        "TagSpecifications": [{"ResourceType": "instance", "Tags": tag_list(instance.tags)}] if instance.tags else None,
    }
    return {
        "EbsOptimized": instance.ebs_optimized,
        "BlockDeviceMappings": [_device(each) for each in volumes.of_instance(reader, instance.id)],
        "NetworkInterfaces": [_interface(each) for each in attachments.of_instance(reader, instance.id)],
        "ImageId": instance.image_id,
        "InstanceType": instance.instance_type,
        "Monitoring": {"Enabled": False},
        "Placement": {"AvailabilityZone": instance.availability_zone, "GroupName": "", "Tenancy": "default"},
        "DisableApiTermination": instance.disable_api_termination,
        "InstanceInitiatedShutdownBehavior": "terminate" if instance.shutdown_terminates else "stop",
        "CpuOptions": {"CoreCount": instance.core_count, "ThreadsPerCore": instance.threads_per_core},
        "CapacityReservationSpecification": {"CapacityReservationPreference": instance.capacity_preference},
        "HibernationOptions": {"Configured": False},
        "MetadataOptions": metadata_options(instance.metadata),
        "EnclaveOptions": {"Enabled": False},
        "MaintenanceOptions": {"AutoRecovery": "default" if instance.auto_recovery else "disabled"},
        "DisableApiStop": instance.disable_api_stop,
        **{name: value for name, value in optional.items() if value is not None},
    }


def _device(volume: Volume) -> dict[str, Any]:
    assert volume.attachment is not None
    ebs: dict[str, Any] = {
        "Encrypted": False,
        "DeleteOnTermination": volume.attachment.delete_on_termination,
        "VolumeSize": volume.size,
        "VolumeType": volume.volume_type,
    }
    if volume.snapshot_id:
        ebs["SnapshotId"] = volume.snapshot_id
    if volume.iops is not None:
        ebs["Iops"] = volume.iops
    if volume.throughput is not None:
        ebs["Throughput"] = volume.throughput
    return {"DeviceName": volume.attachment.device, "Ebs": ebs}


def _interface(interface: NetworkInterface) -> dict[str, Any]:
    return {
        "AssociatePublicIpAddress": interface.wants_public_ip,
        "DeleteOnTermination": interface.delete_on_termination,
        "Description": interface.description,
        "DeviceIndex": interface.device_index,
        "Groups": interface.group_ids,
        "InterfaceType": interface.interface_type,
        "Ipv6Addresses": [],
        "NetworkInterfaceId": interface.id,
        "PrivateIpAddress": interface.private_ip,
        "PrivateIpAddresses": [
            {"Primary": address == interface.private_ip, "PrivateIpAddress": address}
            for address in interface.private_ips
        ],
        "SubnetId": interface.subnet_id,
        "NetworkCardIndex": 0,
    }
