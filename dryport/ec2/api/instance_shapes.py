"""Instances as EC2 answers them.

Source: API reference of Instance, and what EC2 answers for instances of Nitro types.
"""

from __future__ import annotations

from typing import Any

from dryport.ec2 import addressing, attachments, instance_types, lifecycle, model, profiles, published
from dryport.ec2.api.interfaces import groups_of, private_addresses_of
from dryport.ec2.api.service import tag_list
from dryport.ec2.model import Instance, MetadataOptions, NetworkInterface, Volume
from dryport.store import Reader

Shape = dict[str, Any]


def state(name: str) -> Shape:
    """An instance's state."""
    return {"Code": lifecycle.CODES[name], "Name": name}


def state_change(before: Instance, after: Instance) -> Shape:
    """What start, stop and terminate answer of an instance."""
    return {"InstanceId": after.id, "CurrentState": state(after.state), "PreviousState": state(before.state)}


def switched(enabled: bool) -> str:
    """``enabled`` or ``disabled``."""
    return "enabled" if enabled else "disabled"


def metadata_options(options: MetadataOptions, progress: str = "applied") -> Shape:
    """Metadata options; ``progress`` is ``pending`` in the answer of the call that changed them."""
    return {
        "State": progress,
        "HttpTokens": "required" if options.tokens_required else "optional",
        "HttpPutResponseHopLimit": options.hop_limit,
        "HttpEndpoint": switched(options.enabled),
        "HttpProtocolIpv6": "disabled",
        "InstanceMetadataTags": switched(options.tags),
    }


def block_device(volume: Volume) -> Shape:
    """A volume in an instance's block device mapping."""
    attachment = volume.attachment
    assert attachment is not None
    ebs = {
        "AttachTime": attachment.attached_at,
        "DeleteOnTermination": attachment.delete_on_termination,
        "Status": attachment.state,
        "VolumeId": volume.id,
        **({"AssociatedResource": attachment.resource} if attachment.resource else {}),
    }
    return {"DeviceName": attachment.device, "Ebs": ebs}


def block_devices(reader: Reader, instance: Instance) -> list[Shape]:
    """An instance's block device mapping, the root volume first."""
    volumes = reader.find(model.VOLUMES, "instance", instance.id)
    return [block_device(each) for each in sorted(volumes, key=lambda each: not each.root)]


def launched(reader: Reader, instance: Instance) -> Shape:
    """An instance as RunInstances answers it: it has no volumes yet, and not everything is told."""
    described = describe(reader, instance)
    for name in ("HibernationOptions", "PlatformDetails", "UsageOperation", "UsageOperationUpdateTime"):
        described.pop(name, None)
    described["BlockDeviceMappings"] = []
    described["MetadataOptions"] = metadata_options(instance.metadata, "pending")
    return described


def interfaces_of(reader: Reader, instance: Instance) -> list[NetworkInterface]:
    """An instance's interfaces, its tasks' too; none of one that is terminated."""
    return published.seen_at(reader, instance.id) if instance.state != lifecycle.TERMINATED else []


def describe(reader: Reader, instance: Instance) -> Shape:
    """An instance as DescribeInstances has it; of one that is terminated much is gone."""
    kind = instance_types.get(instance.instance_type)
    interfaces = attachments.of_instance(reader, instance.id)
    described: Shape = {
        "Architecture": instance.architecture,
        "BlockDeviceMappings": block_devices(reader, instance),
        "ClientToken": instance.client_token,
        "EbsOptimized": instance.ebs_optimized,
        "EnaSupport": kind is None or kind.ena_support,
        "Hypervisor": "xen",
        **_profile(reader, instance),
        "NetworkInterfaces": [_interface(reader, each, instance) for each in interfaces_of(reader, instance)],
        "RootDeviceName": instance.root_device_name,
        "RootDeviceType": "ebs",
        "SecurityGroups": groups_of(reader, interfaces[0]) if interfaces else [],
        **({"SourceDestCheck": interfaces[0].source_dest_check} if interfaces else {}),
        **_state_reason(instance),
        **({"Tags": tag_list(instance.tags)} if instance.tags else {}),
        "VirtualizationType": "hvm",
        "CpuOptions": {"CoreCount": instance.core_count, "ThreadsPerCore": instance.threads_per_core},
        "CapacityReservationSpecification": {"CapacityReservationPreference": instance.capacity_preference},
        "HibernationOptions": {"Configured": False},
        "MetadataOptions": metadata_options(instance.metadata),
        "EnclaveOptions": {"Enabled": False},
        **({"BootMode": instance.boot_mode} if instance.boot_mode else {}),
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
        "UsageOperationUpdateTime": instance.created_at,
        **({"PrivateDnsNameOptions": _NAME_OPTIONS} if interfaces else {}),
        "MaintenanceOptions": {
            "AutoRecovery": "default" if instance.auto_recovery else "disabled",
            "RebootMigration": "default",
        },
        "CurrentInstanceBootMode": "uefi" if instance.boot_mode else "legacy-bios",
        "NetworkPerformanceOptions": {"BandwidthWeighting": "default"},
        "Operator": {"Managed": False},
        "InstanceId": instance.id,
        "ImageId": instance.image_id,
        "State": state(instance.state),
        "PrivateDnsName": interfaces[0].private_dns_name if interfaces else "",
        "PublicDnsName": public_name(reader, interfaces[0]) if interfaces else "",
        "StateTransitionReason": instance.transition_reason,
        **({"KeyName": instance.key_name} if instance.key_name else {}),
        "AmiLaunchIndex": instance.launch_index,
        "ProductCodes": [],
        "InstanceType": instance.instance_type,
        "LaunchTime": instance.launched_at,
        "Placement": {
            "AvailabilityZoneId": addressing.zone_id(instance.availability_zone),
            "GroupName": "",
            "Tenancy": "default",
            "AvailabilityZone": instance.availability_zone,
        },
        "Monitoring": {"State": "disabled"},
    }
    if interfaces:
        described |= {
            "SubnetId": instance.subnet_id,
            "VpcId": instance.vpc_id,
            "PrivateIpAddress": instance.private_ip,
        }
        if interfaces[0].public_ip is not None:
            described["PublicIpAddress"] = interfaces[0].public_ip
    return described


_NAME_OPTIONS = {
    "HostnameType": "ip-name",
    "EnableResourceNameDnsARecord": False,
    "EnableResourceNameDnsAAAARecord": False,
}


def _state_reason(instance: Instance) -> Shape:
    if not instance.state_code:
        return {}
    return {"StateReason": {"Code": instance.state_code, "Message": instance.state_message}}


def _profile(reader: Reader, instance: Instance) -> Shape:
    profile = profiles.associated(reader, instance.id)
    return {"IamInstanceProfile": {"Arn": profile.arn, "Id": profile.id}} if profile is not None else {}


def public_name(reader: Reader, interface: NetworkInterface) -> str:
    """The DNS name of an interface's public address, where its VPC gives such names."""
    vpc = reader.get(model.VPCS, interface.vpc_id)
    if interface.public_ip is None or vpc is None or not vpc.enable_dns_hostnames:
        return ""
    return addressing.public_dns_name(interface.public_ip, interface.region)


def _association(reader: Reader, interface: NetworkInterface) -> Shape:
    if interface.public_ip is None:
        return {}
    elastic = next(iter(reader.find(model.ADDRESSES, "interface", interface.id)), None)
    association = {
        "IpOwnerId": "amazon" if elastic is None else elastic.account,
        "PublicDnsName": public_name(reader, interface),
        "PublicIp": interface.public_ip,
    }
    return {"Association": association}


def _interface(reader: Reader, interface: NetworkInterface, instance: Instance) -> Shape:
    return {
        **_association(reader, interface),
        "Attachment": {
            "AttachTime": interface.attached_at,
            "AttachmentId": interface.attachment_id,
            "DeleteOnTermination": interface.delete_on_termination,
            "DeviceIndex": interface.device_index,
            "Status": attachments.status(interface, instance),
            "NetworkCardIndex": 0,
        },
        "Description": interface.description,
        "Groups": groups_of(reader, interface),
        "Ipv6Addresses": [],
        "MacAddress": interface.mac_address,
        "NetworkInterfaceId": interface.id,
        "OwnerId": interface.account,
        "PrivateDnsName": interface.private_dns_name,
        "PrivateIpAddress": interface.private_ip,
        "PrivateIpAddresses": private_addresses_of(interface, _association(reader, interface)),
        "SourceDestCheck": interface.source_dest_check,
        "Status": "in-use",
        "SubnetId": interface.subnet_id,
        "VpcId": interface.vpc_id,
        "InterfaceType": interface.interface_type,
        "Operator": {"Managed": False},
    }
