"""The GPUs that a container instance offers, by NVIDIA's unique ids.

As on AWS's images they stand in a file that is made before the agent starts (``nvidia-gpu-info.json``, of ecs-init);
where there is none, NVIDIA's driver is asked, which tells of every GPU whose device node this machine or instance has.
Source: "Amazon ECS task definitions for GPU workloads", developer guide; ``/proc/driver/nvidia`` (driver's README).
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

import msgspec

INFO = Path("var/lib/ecs/gpu/nvidia-gpu-info.json")
_DRIVER = Path("proc/driver/nvidia")
_FIELD = re.compile(r"^([^:]+):\s*(.*)$", re.MULTILINE)
_VERSION = re.compile(r"Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)")
log = logging.getLogger("dryport.agent")


class Gpus(msgspec.Struct, frozen=True):
    """The driver's version, and the ids in the order in which they are given out."""

    driver_version: str = msgspec.field(name="DriverVersion", default="")
    ids: list[str] = msgspec.field(name="GPUIDs", default=[])


NONE = Gpus()


def find(wanted: bool | None, root: Path = Path("/")) -> Gpus:
    """The GPUs below ``root``. ``wanted`` is ECS_ENABLE_GPU_SUPPORT; ``None``: where the machine has any.

    That there are none although they are wanted is said in the log, and the agent goes on, as AWS's does.
    """
    if wanted is False:
        return NONE
    found = _from_file(root / INFO) or _from_driver(root)
    if not found.ids and wanted:
        log.error("ECS_ENABLE_GPU_SUPPORT is true, but neither /%s nor /%s tells of a GPU", INFO, _DRIVER)
    return found


def _from_file(file: Path) -> Gpus | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Gpus)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        log.error("%s cannot be read: %s", file, error)
        return None


def _from_driver(root: Path) -> Gpus:
    by_minor: dict[int, str] = {}
    for information in (root / _DRIVER / "gpus").glob("*/information"):
        fields = dict(_FIELD.findall(information.read_text(errors="replace")))
        minor, uuid = fields.get("Device Minor", "").strip(), fields.get("GPU UUID", "").strip()
        if minor.isdigit() and uuid and (root / "dev" / f"nvidia{minor}").exists():
            by_minor[int(minor)] = uuid
    if not by_minor:
        return NONE
    version = root / _DRIVER / "version"
    told = _VERSION.search(version.read_text(errors="replace")) if version.exists() else None
    return Gpus(told[1] if told else "", [by_minor[minor] for minor in sorted(by_minor)])
