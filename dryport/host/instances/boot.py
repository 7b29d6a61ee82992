"""Boots an instance: its plan for ``enter``, which becomes the instance's init."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import sys
from pathlib import Path

import dryport
from dryport.host import mounts, namespaces
from dryport.host.instances import bytecode, groups, system
from dryport.host.instances.devices import Device, disk_name
from dryport.host.instances.enter import Plan
from dryport.host.instances.places import Place
from dryport.host.messages import Instance

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What Linux says that it has of an instance type's memory: about so much, as its kernel needs some itself.
_OFFERED = 0.95
_ENTER = Path(__file__).with_name("enter.py")
PACKAGE = Path(dryport.__file__).parent.resolve()


class BootFailed(Exception):
    """An instance's init did not come to run."""


def plan(place: Place, instance: Instance, root: Path, group: str, devices: list[Device], compiled: Path) -> Plan:
    """What ``enter`` is to make. ``root`` is the root volume's file, ``compiled`` where modules may be compiled to.

    Blocks.
    """
    over = [str(compiled)] if bytecode.layer(PACKAGE, compiled) else []
    python = os.path.realpath(sys.executable)
    names = [disk_name(disk.device) for disk in instance.disks]
    return Plan(
        disk=str(root),
        mount=str(place.directory / "mount"),
        layers={layer: system.layer_name(layer) for layer in system.layers()},
        shared={path: over if path == str(PACKAGE) else [] for path in system.dryport_paths()},
        filesystems=str(place.filesystems),
        console=str(place.console),
        status=str(place.status),
        groups=groups.members(group),
        hierarchies=groups.hierarchies(),
        namespace=namespaces.path(instance.namespace),
        hostname=instance.hostname,
        devices=[(each.name, each.kind, each.major, each.minor, each.mode) for each in devices],
        links={name.link: name.node for name in names if name.link},
        boot={
            "id": instance.id,
            "base": instance.base,
            "hostname": instance.hostname,
            "address": instance.interface.address_cidr.partition("/")[0],
            "resolver": instance.interface.resolver,
            "domain": instance.interface.domain,
            "authorized_keys": instance.authorized_keys,
            "environment": instance.environment,
            "user_data": base64.b64encode(instance.user_data).decode(),
            "site": [path for path in sys.path if path.endswith("-packages")],
        },
        python=python,
        package=str(PACKAGE / "instance"),
        argv=[python, "-I", "-S", str(PACKAGE / "instance" / "init.py")],
        environment={
            "PATH": _PATH,
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "container": "dryport",
            "DRYPORT_BASE": instance.base,
            "DRYPORT_CPU": str(round(instance.vcpus * 1024)),
            "DRYPORT_MEMORY": str(round(instance.memory * _OFFERED)),
            "DRYPORT_PYTHON": str(_python()),
            "DRYPORT_PACKAGES": str(PACKAGE.parent),
            **instance.environment,
        },
    )


def _python() -> Path:
    """The interpreter of Dryport's environment, by the path that instances have it at."""
    return Path(os.path.realpath(sys.prefix), Path(sys.executable).relative_to(sys.prefix))


async def boot(made: Plan) -> int:
    """The process id of the instance's init, which runs. Raises BootFailed."""
    Path(made["mount"]).mkdir(exist_ok=True)
    await asyncio.to_thread(mounts.share, Path(made["filesystems"]))
    process = await asyncio.create_subprocess_exec(
        *(os.path.realpath(sys.executable), "-I", "-S", str(_ENTER)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        env={"PATH": _PATH, "LANG": "C.UTF-8"},
    )
    output, errors = await process.communicate(json.dumps(made).encode())
    answer: dict[str, object] = {"error": errors.decode(errors="replace")}
    with contextlib.suppress(ValueError):
        answer = json.loads(output)
    if not isinstance(pid := answer.get("pid"), int):
        raise BootFailed(f"{answer.get('error')}{errors.decode(errors='replace')}".strip())
    return pid
