"""What HAProxy's servers were told at run time, put into its configuration. Pure.

HAProxy notes state and health of servers for its next process to read, and addresses only of those with a host name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

EMPTY = "0.0.0.0:80"  # the address of a server that nothing was told of
Addresses = Mapping[tuple[str, str], str]


def addresses(state: str) -> Addresses:
    """Where servers are, by backend and name, from the answer to ``show servers state``."""
    return {(row["be_name"], row["srv_name"]): f"{row['srv_addr']}:{row['srv_port']}" for row in rows(state)}


def rows(state: str) -> Iterator[dict[str, str]]:
    """What ``show servers state`` says of each server, by the columns' names."""
    names: list[str] = []
    for line in state.splitlines():
        fields = line.split()
        if line.startswith("# "):
            names = fields[1:]
        elif len(fields) > 1 and names:
            yield dict(zip(names, fields, strict=False))


def placed(config: str, known: Addresses) -> str:
    """A configuration with the empty servers where they are known to be."""
    return "".join(_placed(config, known))


def _placed(config: str, known: Addresses) -> Iterator[str]:
    backend = ""
    for line in config.splitlines(keepends=True):
        words = line.split(maxsplit=3)
        if words and not line[0].isspace():
            backend = words[1] if len(words) > 1 else ""
        if len(words) > 2 and words[0] == "server" and words[2] == EMPTY:
            line = line.replace(EMPTY, known.get((backend, words[1]), EMPTY), 1)
        yield line
