"""Sandboxes on Docker: pause containers, as ECS's own agent has one for each awsvpc task.

Docker's containers join no namespace but another container's. This one's has no network of Docker's: making that one
is most of what a start of Docker's takes.
"""

from __future__ import annotations

import io
import platform
import struct
import tarfile

from dryport.agent.runtime.docker.connection import Connection, failures
from dryport.agent.runtime.docker.spec import sandbox_body
from dryport.agent.runtime.interface import ContainerState, Runtime, RuntimeFailure, SandboxSpec

REPOSITORY, TAG = "dryport/pause", "1"
IMAGE = f"{REPOSITORY}:{TAG}"
_PROGRAM = "pause"
_BASE = 0x400000  # where the program is loaded
# elf(5): the machine's number, and a program that waits for signals for ever.
_MACHINES = {
    # L: mov eax, 34 (pause); syscall; jmp L
    "x86_64": (62, bytes.fromhex("b8 22000000 0f05 eb f7")),
    # mov x0..x3, 0; mov x8, 73 (ppoll); svc 0; b to the beginning
    "aarch64": (183, struct.pack("<7I", *(0xD2800000 + n for n in range(4)), 0xD2800928, 0xD4000001, 0x17FFFFFA)),
}


class Pauses:
    """``Sandboxes`` on Docker."""

    def __init__(self, connection: Connection, runtime: Runtime, instance_id: str) -> None:
        self._connection = connection
        self._runtime = runtime
        self._instance_id = instance_id

    async def create(self, spec: SandboxSpec) -> None:
        """See ``Sandboxes``."""
        if await self._runtime.inspect(spec.id) is not None:
            return
        if await self._runtime.image(IMAGE) is None:
            await self._make_image()
        with failures("CannotCreateContainerError"):
            await self._connection.docker.containers.create(sandbox_body(spec, IMAGE, self._instance_id), name=spec.id)

    async def start(self, id: str) -> ContainerState:
        """See ``Sandboxes``."""
        state = await self._runtime.inspect(id)
        if state is None or state.status == "exited":
            raise RuntimeFailure("CannotStartContainerError", f"the pause container {id} has ended")
        return state if state.status == "running" else await self._runtime.start(id)

    async def _make_image(self) -> None:
        entry_point = f'ENTRYPOINT ["/{_PROGRAM}"]'
        await self._connection.load(REPOSITORY, TAG, layer(platform.machine()), entry_point)


def layer(machine: str) -> bytes:
    """The image's only layer, a tar archive with the program. Raises RuntimeFailure for a machine that is not known."""
    if machine not in _MACHINES:
        raise RuntimeFailure("CannotCreateContainerError", f"there is no pause container for {machine}")
    program = elf(*_MACHINES[machine])
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo(_PROGRAM)
        member.mode, member.size = 0o755, len(program)
        tar.addfile(member, io.BytesIO(program))
    return archive.getvalue()


def elf(machine: int, code: bytes) -> bytes:
    """A program of one segment, little-endian and of 64 bits (elf(5)): a header, a program header, the code."""
    header, program_header = struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQQQ")
    start = header.size + program_header.size
    identity = b"\x7fELF" + bytes([2, 1, 1])
    size = start + len(code)
    return (
        header.pack(
            identity, 2, machine, 1, _BASE + start, header.size, 0, 0, header.size, program_header.size, 1, 0, 0, 0
        )
        + program_header.pack(1, 5, 0, _BASE, _BASE, size, size, 0x1000)
        + code
    )
