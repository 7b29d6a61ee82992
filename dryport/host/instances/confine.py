"""What an instance's root may not do, as the machine is not its own: no capability for it, no system call.

It stays root enough for a Docker daemon (mounts, namespaces, cgroups, firewall). What is taken is what reaches past
namespaces: modules and kernels, the clock, files by handle (which would lead around the root of the mount namespace),
programs in the kernel, its log. Children inherit all of it, containers of privileged tasks too.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from typing import NamedTuple

# capabilities(7)
_DROPPED = {
    "DAC_READ_SEARCH": 2,
    "SYS_MODULE": 16,
    "SYS_RAWIO": 17,
    "SYS_BOOT": 22,
    "SYS_TIME": 25,
    "MAC_OVERRIDE": 32,
    "MAC_ADMIN": 33,
    "SYSLOG": 34,
    "WAKE_ALARM": 35,
    "BLOCK_SUSPEND": 36,
}
_PR_CAPBSET_DROP, _PR_SET_SECCOMP = 24, 22
_MODE_FILTER = 2


class Calls(NamedTuple):
    """System calls that no dropped capability stops, by their numbers for one audit architecture (linux/audit.h).

    ``refused``: open_by_handle_at, swapon, swapoff, perf_event_open, syslog, acct. ``bpf`` is needed by version 2 of
    cgroups. ``mknod`` and ``mknodat`` are refused for block devices: a file system that the machine has mounted could
    be mounted a second time by its device's node alone, whatever the devices cgroup says.
    """

    architecture: int
    refused: tuple[int, ...]
    bpf: int
    mknod: int | None
    mknodat: int


_X86_64 = Calls(0xC000003E, (304, 167, 168, 298, 103, 163), 321, 133, 259)
_I386 = Calls(0x40000003, (342, 87, 115, 336, 103, 51), 357, 14, 297)
_AARCH64 = Calls(0xC00000B7, (265, 224, 225, 241, 116, 89), 280, None, 33)
_ARM = Calls(0x40000028, (371, 87, 115, 364, 103, 51), 386, 14, 324)
_TABLES = {"x86_64": (_X86_64, _I386), "aarch64": (_AARCH64, _ARM)}
_X32 = 0x40000000  # x86-64's second table of calls begins here

# seccomp(2), linux/bpf_common.h
_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000
_libc = ctypes.CDLL(None, use_errno=True)


def confine(*, programs: bool = False) -> None:
    """Confine the calling process and its children for good. ``programs`` lets them use bpf(2). Raises OSError."""
    for number in _DROPPED.values():
        _prctl(_PR_CAPBSET_DROP, number)
    tables = _TABLES.get(os.uname().machine)
    if tables is None:
        raise OSError(errno.ENOSYS, f"no instances on {os.uname().machine}: its system calls are not known here")
    code = _filter(tables, programs)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    _prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.c_char_p(program))


def _filter(tables: tuple[Calls, ...], programs: bool) -> bytes:
    """A BPF program: by architecture, refuse what is listed with EPERM; allow all else. Unknown architectures: no."""
    code: list[bytes] = []
    for calls in tables:
        block = _block(calls, programs)
        code += [_step(_LOAD, 0, 0, _ARCHITECTURE), _step(_EQUAL, 0, len(block), calls.architecture), *block]
    code.append(_step(_RETURN, 0, 0, _REFUSE | errno.ENOSYS))
    return b"".join(code)


def _block(calls: Calls, programs: bool) -> list[bytes]:
    """The steps of one architecture, of which none leads beyond its end."""
    refuse = _step(_RETURN, 0, 0, _REFUSE | errno.EPERM)
    block = [_step(_LOAD, 0, 0, _NUMBER)]
    if calls == _X86_64:
        block += [_step(_AT_LEAST, 0, 1, _X32), refuse]
    for number in (*calls.refused, *(() if programs else (calls.bpf,))):
        block += [_step(_EQUAL, 0, 1, number), refuse]
    for number, argument in ((calls.mknod, 1), (calls.mknodat, 2)):
        if number is not None:  # the mode is an argument: its lower half, on these little-endian machines
            kind = [_step(_LOAD, 0, 0, _ARGUMENTS + 8 * argument), _step(_AND, 0, 0, stat.S_IFMT(0o177777))]
            kind += [_step(_EQUAL, 0, 1, stat.S_IFBLK), refuse, _step(_RETURN, 0, 0, _ALLOW)]
            block += [_step(_EQUAL, 0, len(kind), number), *kind]
    return [*block, _step(_RETURN, 0, 0, _ALLOW)]


def _step(operation: int, when: int, otherwise: int, value: int) -> bytes:
    """struct sock_filter of linux/filter.h: what to do, how many steps to skip if so and if not, a constant."""
    return struct.pack("=HBBI", operation, when, otherwise, value)


def _prctl(option: int, *arguments: object) -> None:
    filled = (*arguments, 0, 0, 0, 0)[:4]
    if _libc.prctl(option, *(ctypes.c_ulong(each) if isinstance(each, int) else each for each in filled)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl {option}: {os.strerror(number)}")
