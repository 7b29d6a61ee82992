"""AWS's instance types: their figures, and which of them this machine can run. Pure.

The table (``instance_types.jsonl.gz``, made by ``bin/_instance_types.py``) stays packed: nothing but the types that
were asked for is kept in memory.
"""

from __future__ import annotations

import gzip
import platform
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

_TABLE = Path(__file__).with_name("instance_types.jsonl.gz")
_NAME = b'{"InstanceType":"%s",'
Facts = dict[str, Any]


class Gpu(msgspec.Struct, frozen=True):
    """Graphics processors of one kind; ``memory`` is MiB of one."""

    name: str
    manufacturer: str
    count: int
    memory: int


class InstanceType(msgspec.Struct, frozen=True):
    """An instance type; ``facts`` is its description as DescribeInstanceTypes has it."""

    facts: Facts

    @property
    def name(self) -> str:
        return str(self.facts["InstanceType"])

    @property
    def vcpus(self) -> int:
        return int(self.facts["VCpuInfo"]["DefaultVCpus"])

    @property
    def cores(self) -> int:
        return int(self.facts["VCpuInfo"]["DefaultCores"])

    @property
    def threads_per_core(self) -> int:
        return int(self.facts["VCpuInfo"]["DefaultThreadsPerCore"])

    @property
    def valid_cores(self) -> list[int]:
        """The core counts that CpuOptions may ask for; none where there is no choice."""
        return list(self.facts["VCpuInfo"].get("ValidCores", []))

    @property
    def valid_threads_per_core(self) -> list[int]:
        """As ``valid_cores``."""
        return list(self.facts["VCpuInfo"].get("ValidThreadsPerCore", []))

    @property
    def memory(self) -> int:
        """MiB."""
        return int(self.facts["MemoryInfo"]["SizeInMiB"])

    @property
    def architectures(self) -> list[str]:
        """``x86_64``, ``arm64``, ``i386``, …"""
        return list(self.facts["ProcessorInfo"]["SupportedArchitectures"])

    @property
    def gpus(self) -> list[Gpu]:
        found = self.facts.get("GpuInfo", {}).get("Gpus", [])
        return [
            Gpu(name=g["Name"], manufacturer=g["Manufacturer"], count=g["Count"], memory=g["MemoryInfo"]["SizeInMiB"])
            for g in found
        ]

    @property
    def gpu_count(self) -> int:
        """How many devices a program sees."""
        return sum(g.get("LogicalGpuCount", g["Count"]) for g in self.facts.get("GpuInfo", {}).get("Gpus", []))

    @property
    def max_interfaces(self) -> int:
        return int(self.facts["NetworkInfo"]["MaximumNetworkInterfaces"])

    @property
    def addresses_per_interface(self) -> int:
        """IPv4."""
        return int(self.facts["NetworkInfo"]["Ipv4AddressesPerInterface"])

    @property
    def max_volumes(self) -> int:
        """How many EBS volumes can be attached; where the limit is shared, interfaces count too."""
        return int(self.facts["EbsInfo"]["MaximumEbsAttachments"])

    @property
    def ebs_optimized(self) -> bool:
        """Whether it is EBS-optimized without being asked to."""
        return bool(self.facts["EbsInfo"]["EbsOptimizedSupport"] == "default")

    @property
    def ebs_optimizable(self) -> bool:
        return bool(self.facts["EbsInfo"]["EbsOptimizedSupport"] != "unsupported")

    @property
    def ena_support(self) -> bool:
        return bool(self.facts["NetworkInfo"]["EnaSupport"] != "unsupported")

    @property
    def burstable(self) -> bool:
        return bool(self.facts["BurstablePerformanceSupported"])

    @property
    def bare_metal(self) -> bool:
        return bool(self.facts["BareMetal"])

    @property
    def hypervisor(self) -> str:
        """``nitro``, ``xen``, or "" for bare metal."""
        return str(self.facts.get("Hypervisor", ""))

    @property
    def boot_modes(self) -> list[str]:
        """``legacy-bios``, ``uefi``."""
        return list(self.facts["SupportedBootModes"])

    @property
    def usage_classes(self) -> list[str]:
        """``on-demand``, ``spot``, ``capacity-block``."""
        return list(self.facts["SupportedUsageClasses"])

    @property
    def runs_here(self) -> bool:
        """Whether this machine's processor can run it."""
        return machine_architecture() in self.architectures


@lru_cache(maxsize=1)
def machine_architecture() -> str:
    """This machine's architecture as EC2 calls it: ``x86_64`` or ``arm64``."""
    return {"aarch64": "arm64"}.get(platform.machine(), platform.machine())


@lru_cache(maxsize=128)
def get(name: str) -> InstanceType | None:
    """The type of this name, or ``None``."""
    table = gzip.decompress(_TABLE.read_bytes())
    try:
        start = table.find(b"\n" + _NAME % name.encode("ascii"))
    except UnicodeEncodeError:
        return None
    if start < 0 or '"' in name:
        return None
    return _type(_usual(table), table[start + 1 : table.index(b"\n", start + 1)])


def every() -> Iterator[InstanceType]:
    """All types, by name."""
    table = gzip.decompress(_TABLE.read_bytes())
    usual = _usual(table)
    for line in table.splitlines()[1:]:
        yield _type(usual, line)


def _usual(table: bytes) -> Facts:
    decoded: Facts = msgspec.json.decode(table[: table.index(b"\n")])
    return decoded


def _type(usual: Facts, line: bytes) -> InstanceType:
    facts = _merged(usual, msgspec.json.decode(line))
    facts["SupportedInRegion"] = machine_architecture() in facts["ProcessorInfo"]["SupportedArchitectures"]
    return InstanceType(facts)


def _merged(usual: Facts, changes: Facts) -> Facts:
    """A type's facts: the usual ones with its own in their place; ``None`` takes one away."""
    found = {name: value for name, value in usual.items() if changes.get(name, value) is not None}
    for name, value in changes.items():
        if value is None:
            continue
        base = usual.get(name)
        found[name] = _merged(base, value) if isinstance(value, dict) and isinstance(base, dict) else value
    return found
