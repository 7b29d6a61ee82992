"""Instance types: AWS's table, and what of it this machine offers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.ec2 import addressing, instance_types
from dryport.ec2.api import filters
from dryport.ec2.api.service import Request, operation
from dryport.gateway.service import Call, Output

_PAGE = 100


# Source: API reference of DescribeInstanceTypes, in its order.
_FILTERS: filters.Fields[dict[str, Any]] = {
    name: filters.at(path)
    for name, path in {
        "auto-recovery-supported": "AutoRecoverySupported",
        "bare-metal": "BareMetal",
        "burstable-performance-supported": "BurstablePerformanceSupported",
        "current-generation": "CurrentGeneration",
        "dedicated-hosts-supported": "DedicatedHostsSupported",
        "ebs-info.attachment-limit-type": "EbsInfo.AttachmentLimitType",
        "ebs-info.maximum-ebs-attachments": "EbsInfo.MaximumEbsAttachments",
        "ebs-info.ebs-optimized-info.baseline-bandwidth-in-mbps": "EbsInfo.EbsOptimizedInfo.BaselineBandwidthInMbps",
        "ebs-info.ebs-optimized-info.baseline-iops": "EbsInfo.EbsOptimizedInfo.BaselineIops",
        "ebs-info.ebs-optimized-info.baseline-throughput-in-mbps": "EbsInfo.EbsOptimizedInfo.BaselineThroughputInMBps",
        "ebs-info.ebs-optimized-info.maximum-bandwidth-in-mbps": "EbsInfo.EbsOptimizedInfo.MaximumBandwidthInMbps",
        "ebs-info.ebs-optimized-info.maximum-iops": "EbsInfo.EbsOptimizedInfo.MaximumIops",
        "ebs-info.ebs-optimized-info.maximum-throughput-in-mbps": "EbsInfo.EbsOptimizedInfo.MaximumThroughputInMBps",
        "ebs-info.ebs-optimized-support": "EbsInfo.EbsOptimizedSupport",
        "ebs-info.encryption-support": "EbsInfo.EncryptionSupport",
        "ebs-info.nvme-support": "EbsInfo.NvmeSupport",
        "free-tier-eligible": "FreeTierEligible",
        "hibernation-supported": "HibernationSupported",
        "hypervisor": "Hypervisor",
        "instance-storage-info.disk.count": "InstanceStorageInfo.Disks.Count",
        "instance-storage-info.disk.size-in-gb": "InstanceStorageInfo.Disks.SizeInGB",
        "instance-storage-info.disk.type": "InstanceStorageInfo.Disks.Type",
        "instance-storage-info.encryption-support": "InstanceStorageInfo.EncryptionSupport",
        "instance-storage-info.nvme-support": "InstanceStorageInfo.NvmeSupport",
        "instance-storage-info.total-size-in-gb": "InstanceStorageInfo.TotalSizeInGB",
        "instance-storage-supported": "InstanceStorageSupported",
        "instance-type": "InstanceType",
        "memory-info.size-in-mib": "MemoryInfo.SizeInMiB",
        "network-info.bandwidth-weightings": "NetworkInfo.BandwidthWeightings",
        "network-info.efa-info.maximum-efa-interfaces": "NetworkInfo.EfaInfo.MaximumEfaInterfaces",
        "network-info.efa-supported": "NetworkInfo.EfaSupported",
        "network-info.ena-support": "NetworkInfo.EnaSupport",
        "network-info.flexible-ena-queues-support": "NetworkInfo.FlexibleEnaQueuesSupport",
        "network-info.encryption-in-transit-supported": "NetworkInfo.EncryptionInTransitSupported",
        "network-info.ipv4-addresses-per-interface": "NetworkInfo.Ipv4AddressesPerInterface",
        "network-info.ipv6-addresses-per-interface": "NetworkInfo.Ipv6AddressesPerInterface",
        "network-info.ipv6-supported": "NetworkInfo.Ipv6Supported",
        "network-info.maximum-network-cards": "NetworkInfo.MaximumNetworkCards",
        "network-info.maximum-network-interfaces": "NetworkInfo.MaximumNetworkInterfaces",
        "network-info.network-performance": "NetworkInfo.NetworkPerformance",
        "nitro-enclaves-support": "NitroEnclavesSupport",
        "nitro-tpm-support": "NitroTpmSupport",
        "nitro-tpm-info.supported-versions": "NitroTpmInfo.SupportedVersions",
        "processor-info.supported-architecture": "ProcessorInfo.SupportedArchitectures",
        "processor-info.sustained-clock-speed-in-ghz": "ProcessorInfo.SustainedClockSpeedInGhz",
        "processor-info.supported-features": "ProcessorInfo.SupportedFeatures",
        "reboot-migration-support": "RebootMigrationSupport",
        "supported-boot-mode": "SupportedBootModes",
        "supported-root-device-type": "SupportedRootDeviceTypes",
        "supported-usage-class": "SupportedUsageClasses",
        "supported-virtualization-type": "SupportedVirtualizationTypes",
        "vcpu-info.default-cores": "VCpuInfo.DefaultCores",
        "vcpu-info.default-threads-per-core": "VCpuInfo.DefaultThreadsPerCore",
        "vcpu-info.default-vcpus": "VCpuInfo.DefaultVCpus",
        "vcpu-info.valid-cores": "VCpuInfo.ValidCores",
        "vcpu-info.valid-threads-per-core": "VCpuInfo.ValidThreadsPerCore",
    }.items()
}


@operation("DescribeInstanceTypes")
def describe_instance_types(call: Call, request: Request) -> Output:
    """Types that are named are described whether or not this machine's processor can run them."""
    names = list(dict.fromkeys(request.get("InstanceTypes", [])))
    found = [kind.facts for kind in map(instance_types.get, names) if kind is not None]
    if len(found) < len(names):
        missing = [name for name in names if instance_types.get(name) is None]
        raise ServiceError(
            "InvalidInstanceType", f"The following supplied instance types do not exist: [{', '.join(missing)}]"
        )
    if not names:
        anyway = request.get("IncludeUnsupportedInRegion", False)
        found = [kind.facts for kind in instance_types.every() if anyway or kind.runs_here]
    found = filters.apply(request, found, _FILTERS)
    return filters.page(request, "InstanceTypes", found, dict, "InstanceTypes", largest=_PAGE, usual=_PAGE)


def _offerings(region: str, location_type: str) -> Iterator[dict[str, str]]:
    zones = addressing.zones(region)
    places = {
        "region": [region],
        "availability-zone": zones,
        "availability-zone-id": [addressing.zone_id(zone) for zone in zones],
    }.get(location_type, [])  # no outpost is here
    for kind in instance_types.every():
        if kind.runs_here:
            for place in places:
                yield {"InstanceType": kind.name, "LocationType": location_type, "Location": place}


_OFFERING_FILTERS: filters.Fields[dict[str, Any]] = {
    "instance-type": lambda o: [o["InstanceType"]],
    "location": lambda o: [o["Location"]],
}


@operation("DescribeInstanceTypeOfferings")
def describe_instance_type_offerings(call: Call, request: Request) -> Output:
    found: list[dict[str, Any]] = list(_offerings(call.region, request.get("LocationType", "region")))
    found = filters.apply(request, found, _OFFERING_FILTERS)
    return filters.page(request, "InstanceTypeOfferings", found, dict, usual=1000)
