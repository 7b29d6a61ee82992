"""What of a launch Dryport does not act on, refused by name in RunInstances and in launch templates alike.

Members of which some values ask for nothing are looked at by ``launch.options.check_values``.
"""

# Of block devices, in whatever request they are named.
MAPPINGS = (
    "BlockDeviceMappings.Ebs.AvailabilityZone",
    "BlockDeviceMappings.Ebs.AvailabilityZoneId",
    "BlockDeviceMappings.Ebs.EbsCardIndex",
    "BlockDeviceMappings.Ebs.Encrypted",
    "BlockDeviceMappings.Ebs.KmsKeyId",
    "BlockDeviceMappings.Ebs.OutpostArn",
    "BlockDeviceMappings.Ebs.VolumeInitializationRate",
    "BlockDeviceMappings.VirtualName",
)
LAUNCH = (
    "AdditionalInfo",
    *MAPPINGS,
    "CapacityReservationSpecification.CapacityReservationTarget",
    "CpuOptions.AmdSevSnp",
    "CpuOptions.NestedVirtualization",
    "ElasticInferenceAccelerators",
    "EnclaveOptions.Enabled",
    "HibernationOptions.Configured",
    "InstanceMarketOptions.SpotOptions",
    "KernelId",
    "LicenseSpecifications",
    "Monitoring.MetricCategoryIds",
    "NetworkInterfaces.AssociateCarrierIpAddress",
    "NetworkInterfaces.ConnectionTrackingSpecification",
    "NetworkInterfaces.EnaQueueCount",
    "NetworkInterfaces.EnaSrdSpecification",
    "NetworkInterfaces.Ipv4PrefixCount",
    "NetworkInterfaces.Ipv4Prefixes",
    "NetworkInterfaces.Ipv6AddressCount",
    "NetworkInterfaces.Ipv6Addresses",
    "NetworkInterfaces.Ipv6PrefixCount",
    "NetworkInterfaces.Ipv6Prefixes",
    "NetworkInterfaces.PrimaryIpv6",
    "Operator",
    "Placement.Affinity",
    "Placement.GroupId",
    "Placement.GroupName",
    "Placement.HostId",
    "Placement.HostResourceGroupArn",
    "Placement.PartitionNumber",
    "Placement.SpreadDomain",
    "SecondaryInterfaces",
)
_NOT_IN_TEMPLATES = {
    "AdditionalInfo",
    "BlockDeviceMappings.Ebs.AvailabilityZone",
    "BlockDeviceMappings.Ebs.AvailabilityZoneId",
    "BlockDeviceMappings.Ebs.OutpostArn",
}
_ONLY_IN_TEMPLATES = ("ElasticGpuSpecifications", "InstanceRequirements", "RamDiskId")
TEMPLATE = tuple(
    f"LaunchTemplateData.{name}" for name in (*LAUNCH, *_ONLY_IN_TEMPLATES) if name not in _NOT_IN_TEMPLATES
)
