"""``shutdown``, ``poweroff``, ``halt``, ``reboot``, ``systemctl`` and ``service`` of an instance: they ask its init.

``commands.py NAME ARGUMENTS…``. Of systemctl(1) what scripts of container hosts use: the services that the image has.
"""

from __future__ import annotations

import datetime
import os
import re
import signal
import socket
import sys
import time

_SOCKET = "/run/dryport/init.sock"
_PENDING = "/run/dryport/shutdown.pid"
_TRANSPARENT = ("daemon-reload", "daemon-reexec", "reset-failed", "enable", "disable", "mask", "unmask", "preset")


def ask(command: str) -> str:
    """What the init answers to a command. Ends the program where it cannot be asked."""
    try:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.connect(_SOCKET)
            channel.sendall(f"{command}\n".encode())
            return channel.recv(1024).decode().strip()
    except PermissionError:
        sys.exit("must be superuser")
    except OSError as error:
        sys.exit(f"the instance's init does not answer: {error.strerror}")


def main() -> int:
    """The command's exit status."""
    name, arguments = os.path.basename(sys.argv[1]), sys.argv[2:]
    if name == "systemctl":
        return systemctl(arguments)
    if name == "service":
        return systemctl([*reversed(arguments[:2])])
    if name == "shutdown":
        return shutdown(arguments)
    return end("reboot" if name == "reboot" else "shutdown")


def end(how: str) -> int:
    """End the instance now."""
    ask(how)
    return 0


def shutdown(arguments: list[str]) -> int:
    """shutdown(8): ``[-h|-P|-H|-r|-c] [now|+minutes|hh:mm] [message]``."""
    how = "shutdown"
    words = []
    for argument in arguments:
        if argument in ("-r", "--reboot"):
            how = "reboot"
        elif argument == "-c":
            return cancel()
        elif not argument.startswith("-"):
            words.append(argument)
    delay = seconds(words[0] if words else "+1")
    if delay is None:
        print(f"Failed to parse time specification: {words[0]}", file=sys.stderr)
        return 1
    if delay == 0:
        return end(how)
    if os.geteuid() != 0:
        sys.exit("must be superuser")
    cancel()
    if pid := os.fork():
        with open(_PENDING, "w") as file:
            file.write(str(pid))
        print(f"Shutdown scheduled in {delay:.0f} seconds, use 'shutdown -c' to cancel.")
        return 0
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    time.sleep(delay)
    return end(how)


def seconds(text: str) -> float | None:
    """How long until a time that shutdown(8) takes; ``None`` for what is none."""
    if text in ("now", "+0"):
        return 0.0
    if re.fullmatch(r"\+?\d+", text):
        return int(text) * 60.0
    found = re.fullmatch(r"(\d{1,2}):(\d{2})", text)
    if found is None or int(found[1]) > 23 or int(found[2]) > 59:
        return None
    now = datetime.datetime.now()
    at = now.replace(hour=int(found[1]), minute=int(found[2]), second=0, microsecond=0)
    return ((at - now).total_seconds() + 86_400) % 86_400


def cancel() -> int:
    """Call off what was scheduled."""
    try:
        with open(_PENDING) as file:
            os.kill(int(file.read()), signal.SIGKILL)
        os.unlink(_PENDING)
    except (OSError, ValueError):
        pass
    return 0


def systemctl(arguments: list[str]) -> int:
    """The verbs about services."""
    options = [each for each in arguments if each.startswith("-")]
    words = [each for each in arguments if not each.startswith("-")]
    if not words:
        print("systemctl: name a verb and a service", file=sys.stderr)
        return 1
    verb, names = words[0], [each.removesuffix(".service") for each in words[1:]]
    if verb in ("poweroff", "halt", "reboot"):
        return end("reboot" if verb == "reboot" else "shutdown")
    if verb in _TRANSPARENT:
        if "--now" in options and verb in ("enable", "disable"):
            return max((change("start" if verb == "enable" else "stop", name) for name in names), default=0)
        return 0
    if verb in ("start", "stop", "restart", "reload-or-restart", "try-restart"):
        plain = "restart" if "restart" in verb else verb
        return max((change(plain, name) for name in names), default=0)
    if verb in ("is-active", "status", "show", "is-enabled"):
        return max((tell(name) for name in names), default=0)
    print(f"systemctl: {verb} is not known on Dryport's images", file=sys.stderr)
    return 1


def change(verb: str, name: str) -> int:
    """Start, stop or restart a service."""
    answer = ask(f"{verb} {'sshd' if name == 'ssh' else name}")
    if answer.startswith("unknown"):
        print(f"Failed to {verb} {name}.service: Unit {name}.service not found.", file=sys.stderr)
        return 5
    return 0


def tell(name: str) -> int:
    """Print whether a service runs."""
    answer = ask(f"status {'sshd' if name == 'ssh' else name}")
    print("inactive" if answer.startswith("unknown") else answer)
    return 0 if answer == "active" else 3


if __name__ == "__main__":
    sys.exit(main())
