"""``mount.efs``, which mount(8) runs for ``mount -t efs fs-0123:/path /mnt``, as AWS's amazon-efs-utils have it.

The platform decides, and has the file system appear below ``/run/dryport/filesystems``; what was asked for of it is
bound from there. Nothing travels over a network, so encryption and NFS's settings have nothing to do.
Source: mount.efs(8).
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import re
import sys
import urllib.error
import urllib.request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_BOOT = "/run/dryport/boot.json"
_FILE_SYSTEMS = "/run/dryport/filesystems"
_METADATA = "http://169.254.169.254/latest"
_DOORWAY = "/_dryport/mounts"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TIMEOUT = 30  # seconds
_ATTEMPTS = 5
_SPECIFICATION = re.compile(
    r"(?:[a-z0-9-]+\.)?(?P<id>fs-[0-9a-f]{8,17})(?:\.efs\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?)?"
    r"(?::(?P<path>/.*)?)?"
)
# mount(2)
_BIND, _REMOUNT = 0x1000, 0x20
_FLAGS = {"ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8, "noatime": 1024, "nodiratime": 2048, "relatime": 1 << 21}
_DEFAULTS = {"rw", "suid", "dev", "exec", "atime", "diratime", "async", "auto", "noauto", "defaults", "user", "nouser"}
# Of the network that there is not: encryption on it, NFS's own settings; and what mount(8) or systemd act on.
_NOTHING_TO_DO = {
    *("tls", "notls", "tlsport", "ocsp", "noocsp", "stunnel", "verify", "noresvport", "resvport", "hard", "soft"),
    *("fg", "bg", "nfsvers", "vers", "minorversion", "rsize", "wsize", "timeo", "retrans", "proto", "port"),
    *("retry", "lock", "nolock", "ac", "noac", "fsc", "nofail", "_netdev", "x-systemd", "comment"),
}


class Failed(Exception):
    """What is said, and the exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def main(arguments: list[str]) -> int:
    """The helper's exit status (mount(8))."""
    try:
        source, target, options = parse(arguments)
        mount(source, target, options)
    except Failed as failure:
        print(failure, file=sys.stderr)
        return failure.status
    except OSError as error:
        print(f"mount.nfs4: {error.strerror}", file=sys.stderr)
        return 32
    return 0


def parse(arguments: list[str]) -> tuple[re.Match[str], str, dict[str, str]]:
    """What is mounted, where, how. Raises Failed."""
    words, options = [], {}
    given = iter(arguments)
    for each in given:
        if each in ("-o", "--options"):
            for option in next(given, "").split(","):
                name, _, value = option.partition("=")
                if name:
                    options[name] = value
        elif each in ("-t", "-N"):
            next(given, "")
        elif not each.startswith("-"):
            words.append(each)
    if len(words) != 2:
        raise Failed("Usage: mount.efs [--version] [-h|--help] <fsname> <mountpoint> [-o <options>]")
    source = _SPECIFICATION.fullmatch(words[0])
    if source is None:
        raise Failed(f"Invalid file system name: {words[0]}")
    check(options)
    return source, words[1], options


def check(options: dict[str, str]) -> None:
    """Refuse by name what is not acted on. Raises Failed."""
    for name in options:
        known = {*_FLAGS, *_DEFAULTS, *_NOTHING_TO_DO, "iam", "accesspoint", "region"}
        if name.partition(".")[0] not in known:
            raise Failed(f'The "{name}" option is not supported on Dryport\'s instances')
    for name in ("iam", "accesspoint"):
        if name in options and "tls" not in options:
            raise Failed(f'The "{name}" option requires the "tls" option')
    if "accesspoint" in options and not re.fullmatch(r"fsap-[0-9a-f]{8,17}", options["accesspoint"]):
        raise Failed(f"Access Point ID {options['accesspoint']} is malformed")


def mount(source: re.Match[str], target: str, options: dict[str, str]) -> None:
    """Mount it. Raises Failed, OSError."""
    if os.geteuid() != 0:
        raise Failed("only root can run mount.efs")
    if not os.path.isdir(target):
        raise Failed(f"mount.nfs4: mount point {target} does not exist", 32)
    with open(_BOOT) as file:
        environment: dict[str, str] = json.load(file)["environment"]
    for region in (source["region"], options.get("region")):
        if region and region != environment.get("AWS_REGION"):
            raise Failed(f"File systems of the region {region} are not mounted from {environment.get('AWS_REGION')}")
    for attempt in range(1, _ATTEMPTS + 1):
        granted = ask(environment["AWS_ENDPOINT_URL"], source["id"], options.get("accesspoint", ""))
        try:
            directory = enter(f"{_FILE_SYSTEMS}/{source['id']}", granted, source["path"] or "/")
            break
        except FileNotFoundError:
            # The last task that had it may just have ended, upon which it goes once more.
            if attempt == _ATTEMPTS or os.path.isdir(f"{_FILE_SYSTEMS}/{source['id']}"):
                raise
    bind(f"/proc/self/fd/{directory}", target, options)


def ask(endpoint: str, file_system: str, access_point: str) -> dict[str, Any]:
    """What the platform grants. Raises Failed."""
    token = fetch(f"{_METADATA}/api/token", b"", {"X-aws-ec2-metadata-token-ttl-seconds": "60"}, "PUT").decode()
    known = {"X-aws-ec2-metadata-token": token}
    identity = f"{_METADATA}/dynamic/instance-identity"
    wanted = {
        "document": fetch(f"{identity}/document", None, known).decode(),
        "signature": fetch(f"{identity}/signature", None, known).decode(),
        "fileSystemId": file_system,
        "accessPointId": access_point,
    }
    answer: dict[str, Any] = json.loads(fetch(endpoint + _DOORWAY, json.dumps(wanted).encode(), {}, "POST"))
    if answer.get("message"):
        # As the task's stopped reasons quote them.
        raise Failed(re.sub(r"^b'(.*)'$", r"\1", answer["message"]), answer.get("code", 1))
    return answer


def fetch(url: str, body: bytes | None, headers: dict[str, str], method: str = "GET") -> bytes:
    """What a server answers, be it a refusal. Raises Failed where none does."""
    request = urllib.request.Request(url, body, headers, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT) as answer:
            found: bytes = answer.read()
            return found
    except urllib.error.HTTPError as error:
        refusal: bytes = error.read()
        if refusal.startswith(b"{"):
            return refusal
        raise Failed(f"mount.nfs4: {url} answers {error.code}", 32) from None
    except OSError as error:
        raise Failed(f"mount.nfs4: {url} cannot be reached: {error}", 32) from None


def enter(root: str, granted: dict[str, Any], path: str) -> int:
    """An open directory of a file system, reached without following links. Raises OSError."""
    base, info = granted.get("path", "/"), granted.get("creationInfo")
    if info is not None:
        make(root, base, *info)
    return descend(root, f"{base}/{path}")


def descend(root: str, path: str) -> int:
    """An open directory below another one. Raises OSError."""
    current = os.open(root, _DIRECTORY)
    for part in (each for each in path.split("/") if each not in ("", ".")):
        parent = current
        try:
            if part == "..":
                _fail(errno.EINVAL)
            current = os.open(part, _DIRECTORY, dir_fd=parent)
        finally:
            os.close(parent)
    return current


def make(root: str, path: str, owner: int, group: int, permissions: str) -> None:
    """Make an access point's directory where it is not there, those above it as root's. Raises OSError."""
    parts = [each for each in path.split("/") if each]
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        parent = descend(root, "/".join(parts[:number]))
        try:
            os.mkdir(part, 0o700 if last else 0o755, dir_fd=parent)
            made = os.open(part, _DIRECTORY, dir_fd=parent)
        except FileExistsError:
            continue
        finally:
            os.close(parent)
        if last:
            os.fchown(made, owner, group)
            os.fchmod(made, int(permissions, 8))
        os.close(made)


def bind(source: str, target: str, options: dict[str, str]) -> None:
    """Bind a directory, with what of the options the kernel acts on. Raises OSError."""
    _mount(source, target, _BIND)
    flags = sum(flag for name, flag in _FLAGS.items() if name in options)
    if flags:
        _mount("none", target, _REMOUNT | _BIND | flags)


def _mount(source: str, target: str, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), os.fsencode(target), b"none", flags, None) != 0:
        _fail(ctypes.get_errno())


def _fail(number: int) -> NoReturn:
    raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
