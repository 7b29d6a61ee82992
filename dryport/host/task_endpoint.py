"""The task endpoint's address on a machine whose containers share the machine's network or reach it by a bridge.

Packets are let in from the machine itself and from that bridge alone. Rules and address are of a network namespace
(the machine's, an instance's) and gone once ``close`` was called.
"""

from __future__ import annotations

import errno
import socket
from functools import partial

from dryport.host import namespaces, sockets
from dryport.host.nft import apply
from dryport.host.rtnetlink import Rtnetlink

_TABLE = "dryport_task_endpoint"
# Docker's own rules, at -100, would lead a published port 80 elsewhere.
_PRIORITY = -110


def open(address: str, port: int, listener: int, bridge: str) -> socket.socket:
    """A listening socket that answers at ``address``:``port``; really it is at the port ``listener``, so that ``port``
    stays free on every address. ``bridge`` is a link's name, "" where there is none.

    Raises OSError, with EADDRINUSE where another agent of this machine has it (nothing is changed then), NftError.
    """
    made = sockets.listen_in("", address, listener)
    from_tasks = f'iifname "{bridge or "lo"}"'
    lead = f"ip daddr {address} tcp dport {port} dnat to {address}:{listener}"
    try:
        _run(
            f"table ip {_TABLE}\ndelete table ip {_TABLE}\n"
            f"table ip {_TABLE} {{\n"
            f" chain own {{\n  type nat hook output priority {_PRIORITY}\n  {lead}\n }}\n"
            f" chain come {{\n  type nat hook prerouting priority {_PRIORITY}\n  {from_tasks} {lead}\n }}\n"
            f' chain others {{\n  type filter hook input priority -10\n  iifname "lo" accept\n  {from_tasks} accept\n'
            f"  ip daddr {address} drop\n }}\n}}\n"
        )
        with Rtnetlink() as netlink:
            netlink.add_address(socket.if_nametoindex("lo"), address, 32)
    except BaseException:
        made.close()
        raise
    return made


def close(address: str, listener: int) -> None:
    """Leave nothing of ``open``, unless another agent answers there. Raises OSError, NftError."""
    try:
        sockets.listen_in("", address, listener).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return
        raise
    _run(f"table ip {_TABLE}\ndelete table ip {_TABLE}\n")
    with Rtnetlink() as netlink:
        netlink.delete_address(socket.if_nametoindex("lo"), address, 32)


def _run(batch: str) -> None:
    namespaces.in_thread(partial(apply, batch))
