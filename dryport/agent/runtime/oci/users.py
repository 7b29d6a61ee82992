"""Who a container runs as: ``user[:group]``, by name or number, from the image's own /etc/passwd and /etc/group."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from dryport.agent.runtime.interface import RuntimeFailure

_LINKS = 40  # as many as the kernel follows


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of a process's user and groups, and its home."""

    uid: int = 0
    gid: int = 0
    additional: list[int] = []
    home: str = "/"


def inside(root: Path, path: str) -> Path | None:
    """Where ``path`` leads when ``root`` is the root directory: links of an image never lead out of it.

    None where it does not exist.
    """
    todo = [part for part in path.split("/") if part]
    done: list[str] = []
    links = 0
    while todo:
        part = todo.pop(0)
        if part == ".":
            continue
        if part == "..":
            done = done[:-1]
            continue
        here = root.joinpath(*done, part)
        if here.is_symlink():
            links += 1
            if links > _LINKS:
                return None
            target = os.readlink(here)
            if target.startswith("/"):
                done = []
            todo = [piece for piece in target.split("/") if piece] + todo
        else:
            done.append(part)
    found = root.joinpath(*done)
    return found if found.exists() else None


def resolve(user: str, passwd: str, group: str) -> Identity:
    """The identity that ``user`` names. Raises RuntimeFailure in runc's words where a name is unknown."""
    user_part, _, group_part = user.partition(":")
    user_part = user_part or "0"
    users, groups = _table(passwd, 7), _table(group, 4)
    row = _find(user_part, users, "user")
    uid = int(row[2]) if row else int(user_part)
    gid = int(row[3]) if row else 0
    additional: list[int] = []
    if group_part:
        found = _find(group_part, groups, "group")
        gid = int(found[2]) if found else int(group_part)
    elif row:
        additional = sorted({int(g[2]) for g in groups if row[0] in g[3].split(",")} - {gid})
    return Identity(uid=uid, gid=gid, additional=additional, home=(row[5] or "/") if row else "/")


def of_image(user: str, root: Path) -> Identity:
    """``resolve`` with the databases below ``root``."""
    return resolve(user, _read(root, "/etc/passwd"), _read(root, "/etc/group"))


def _read(root: Path, path: str) -> str:
    found = inside(root, path)
    if found is None or not found.is_file():
        return ""
    with found.open("rb") as file:
        return file.read(4 * 1024 * 1024).decode("utf-8", "replace")


def _table(text: str, columns: int) -> list[list[str]]:
    rows = (line.strip().split(":") for line in text.splitlines() if line.strip() and not line.startswith("#"))
    padded = ((row + [""] * columns)[:columns] for row in rows)
    return [row for row in padded if row[2].isdigit() and (columns < 7 or row[3].isdigit())]


def _find(name: str, rows: list[list[str]], what: str) -> list[str] | None:
    """The row by name, else by number; None for a number that has no row."""
    for row in rows:
        if row[0] == name:
            return row
    if not (name.isdigit() and int(name) < 2**31):
        raise RuntimeFailure(
            "CannotStartContainerError", f"unable to find {what} {name}: no matching entries in {what}s"
        )
    return next((row for row in rows if int(row[2]) == int(name)), None)
