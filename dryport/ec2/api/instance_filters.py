"""The filters of DescribeInstances, as its API reference lists them."""

from __future__ import annotations

from typing import Any, NamedTuple

from dryport.ec2.api import filters
from dryport.ec2.model import Instance, NetworkInterface


class Described(NamedTuple):
    """An instance, its interfaces and its description."""

    instance: Instance
    interfaces: list[NetworkInterface]
    shape: dict[str, Any]

    @property
    def tags(self) -> dict[str, str]:
        return self.instance.tags


_PATHS = {
    "affinity": "Placement.Affinity",
    "architecture": "Architecture",
    "availability-zone": "Placement.AvailabilityZone",
    "availability-zone-id": "Placement.AvailabilityZoneId",
    "block-device-mapping.delete-on-termination": "BlockDeviceMappings.Ebs.DeleteOnTermination",
    "block-device-mapping.device-name": "BlockDeviceMappings.DeviceName",
    "block-device-mapping.status": "BlockDeviceMappings.Ebs.Status",
    "block-device-mapping.volume-id": "BlockDeviceMappings.Ebs.VolumeId",
    "boot-mode": "BootMode",
    "capacity-reservation-id": "CapacityReservationId",
    "capacity-reservation-specification.capacity-reservation-preference": (
        "CapacityReservationSpecification.CapacityReservationPreference"
    ),
    "capacity-reservation-specification.capacity-reservation-target.capacity-reservation-id": (
        "CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId"
    ),
    "capacity-reservation-specification.capacity-reservation-target.capacity-reservation-resource-group-arn": (
        "CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationResourceGroupArn"
    ),
    "client-token": "ClientToken",
    "current-instance-boot-mode": "CurrentInstanceBootMode",
    "dns-name": "PublicDnsName",
    "ebs-optimized": "EbsOptimized",
    "ena-support": "EnaSupport",
    "enclave-options.enabled": "EnclaveOptions.Enabled",
    "group-id": "SecurityGroups.GroupId",
    "group-name": "SecurityGroups.GroupName",
    "hibernation-options.configured": "HibernationOptions.Configured",
    "host-id": "Placement.HostId",
    "hypervisor": "Hypervisor",
    "iam-instance-profile.arn": "IamInstanceProfile.Arn",
    "iam-instance-profile.id": "IamInstanceProfile.Id",
    "image-id": "ImageId",
    "instance-id": "InstanceId",
    "instance-lifecycle": "InstanceLifecycle",
    "instance-state-code": "State.Code",
    "instance-state-name": "State.Name",
    "instance-type": "InstanceType",
    "instance.group-id": "SecurityGroups.GroupId",
    "instance.group-name": "SecurityGroups.GroupName",
    "ip-address": "PublicIpAddress",
    "ipv6-address": "Ipv6Address",
    "kernel-id": "KernelId",
    "key-name": "KeyName",
    "launch-index": "AmiLaunchIndex",
    "maintenance-options.auto-recovery": "MaintenanceOptions.AutoRecovery",
    "metadata-options.http-endpoint": "MetadataOptions.HttpEndpoint",
    "metadata-options.http-protocol-ipv6": "MetadataOptions.HttpProtocolIpv6",
    "metadata-options.http-put-response-hop-limit": "MetadataOptions.HttpPutResponseHopLimit",
    "metadata-options.http-tokens": "MetadataOptions.HttpTokens",
    "metadata-options.instance-metadata-tags": "MetadataOptions.InstanceMetadataTags",
    "metadata-options.state": "MetadataOptions.State",
    "monitoring-state": "Monitoring.State",
    "network-performance-options.bandwidth-weighting": "NetworkPerformanceOptions.BandwidthWeighting",
    "operator.managed": "Operator.Managed",
    "operator.principal": "Operator.Principal",
    "outpost-arn": "OutpostArn",
    "placement-group-name": "Placement.GroupName",
    "placement-partition-number": "Placement.PartitionNumber",
    "platform": "Platform",
    "platform-details": "PlatformDetails",
    "private-dns-name": "PrivateDnsName",
    "private-dns-name-options.enable-resource-name-dns-a-record": "PrivateDnsNameOptions.EnableResourceNameDnsARecord",
    "private-dns-name-options.enable-resource-name-dns-aaaa-record": (
        "PrivateDnsNameOptions.EnableResourceNameDnsAAAARecord"
    ),
    "private-dns-name-options.hostname-type": "PrivateDnsNameOptions.HostnameType",
    "private-ip-address": "PrivateIpAddress",
    "product-code": "ProductCodes.ProductCodeId",
    "product-code.type": "ProductCodes.ProductCodeType",
    "ramdisk-id": "RamdiskId",
    "reason": "StateTransitionReason",
    "requester-id": "RequesterId",
    "root-device-name": "RootDeviceName",
    "root-device-type": "RootDeviceType",
    "source-dest-check": "SourceDestCheck",
    "spot-instance-request-id": "SpotInstanceRequestId",
    "state-reason-code": "StateReason.Code",
    "state-reason-message": "StateReason.Message",
    "subnet-id": "SubnetId",
    "tag-value": "Tags.Value",
    "tenancy": "Placement.Tenancy",
    "tpm-support": "TpmSupport",
    "usage-operation": "UsageOperation",
    "virtualization-type": "VirtualizationType",
    "vpc-id": "VpcId",
}
_INTERFACE = {
    "addresses.association.allocation-id": "PrivateIpAddresses.Association.AllocationId",
    "addresses.association.association-id": "PrivateIpAddresses.Association.AssociationId",
    "addresses.association.carrier-ip": "PrivateIpAddresses.Association.CarrierIp",
    "addresses.association.customer-owned-ip": "PrivateIpAddresses.Association.CustomerOwnedIp",
    "addresses.association.ip-owner-id": "PrivateIpAddresses.Association.IpOwnerId",
    "addresses.association.public-dns-name": "PrivateIpAddresses.Association.PublicDnsName",
    "addresses.association.public-ip": "PrivateIpAddresses.Association.PublicIp",
    "addresses.primary": "PrivateIpAddresses.Primary",
    "addresses.private-dns-name": "PrivateIpAddresses.PrivateDnsName",
    "addresses.private-ip-address": "PrivateIpAddresses.PrivateIpAddress",
    "association.allocation-id": "Association.AllocationId",
    "association.association-id": "Association.AssociationId",
    "association.carrier-ip": "Association.CarrierIp",
    "association.customer-owned-ip": "Association.CustomerOwnedIp",
    "association.ip-owner-id": "Association.IpOwnerId",
    "association.public-dns-name": "Association.PublicDnsName",
    "association.public-ip": "Association.PublicIp",
    "attachment.attachment-id": "Attachment.AttachmentId",
    "attachment.delete-on-termination": "Attachment.DeleteOnTermination",
    "attachment.device-index": "Attachment.DeviceIndex",
    "attachment.network-card-index": "Attachment.NetworkCardIndex",
    "attachment.status": "Attachment.Status",
    "description": "Description",
    "group-id": "Groups.GroupId",
    "group-name": "Groups.GroupName",
    "ipv4-prefixes.ipv4-prefix": "Ipv4Prefixes.Ipv4Prefix",
    "ipv6-address": "Ipv6Addresses.Ipv6Address",
    "ipv6-addresses.ipv6-address": "Ipv6Addresses.Ipv6Address",
    "ipv6-addresses.is-primary-ipv6": "Ipv6Addresses.IsPrimaryIpv6",
    "ipv6-prefixes.ipv6-prefix": "Ipv6Prefixes.Ipv6Prefix",
    "mac-address": "MacAddress",
    "network-interface-id": "NetworkInterfaceId",
    "operator.managed": "Operator.Managed",
    "operator.principal": "Operator.Principal",
    "owner-id": "OwnerId",
    "private-dns-name": "PrivateDnsName",
    "private-ip-address": "PrivateIpAddress",
    "public-dns-name": "Association.PublicDnsName",
    "source-dest-check": "SourceDestCheck",
    "status": "Status",
    "subnet-id": "SubnetId",
    "vpc-id": "VpcId",
}


def _described(path: str) -> Any:
    read = filters.at(path)
    return lambda item: read(item.shape)


def _times(path: str) -> Any:
    read: Any = filters.at(path)
    return lambda item: [filters.moment(each) for each in read(item.shape)]


def _interfaces(value: Any) -> Any:
    return lambda item: [value(item, each) for each in item.interfaces]


FIELDS: filters.Fields[Described] = {
    **{name: _described(path) for name, path in _PATHS.items()},
    **{f"network-interface.{name}": _described(f"NetworkInterfaces.{path}") for name, path in _INTERFACE.items()},
    "block-device-mapping.attach-time": _times("BlockDeviceMappings.Ebs.AttachTime"),
    "launch-time": _times("LaunchTime"),
    "metadata-options.http-protocol-ipv4": lambda i: ["enabled"],
    "network-interface.attachment.attach-time": _times("NetworkInterfaces.Attachment.AttachTime"),
    "network-interface.attachment.instance-id": _interfaces(lambda item, each: item.instance.id),
    "network-interface.attachment.instance-owner-id": _interfaces(lambda item, each: item.instance.account),
    "network-interface.availability-zone": _interfaces(lambda item, each: item.instance.availability_zone),
    "network-interface.deny-all-igw-traffic": _interfaces(lambda item, each: False),
    "network-interface.ipv6-native": _interfaces(lambda item, each: False),
    "network-interface.outpost-arn": lambda i: [],
    "network-interface.requester-id": _interfaces(lambda item, each: each.requester_id or None),
    "network-interface.requester-managed": _interfaces(lambda item, each: False),
    "network-interface.tag-key": lambda i: [key for each in i.interfaces for key in each.tags],
    "network-interface.tag-value": lambda i: [value for each in i.interfaces for value in each.tags.values()],
    "owner-id": lambda i: [i.instance.account],
    "reservation-id": lambda i: [i.instance.reservation_id],
    "tag-key": lambda i: i.tags,
    "usage-operation-update-time": _times("UsageOperationUpdateTime"),
}
