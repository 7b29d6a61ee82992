"""How connections come to a proxy: rules in its task's network namespace."""

from __future__ import annotations

from functools import partial

from dryport.agent.connect.ways import Ways
from dryport.host import namespaces
from dryport.host.nft import apply

_TABLE = "dryport_connect"
_PRIORITIES = {"output": -100, "prerouting": -100, "postrouting": 100}
_BEFORE_DOCKER = 10  # whose rules are at these priorities too


def batch(ways: Ways, own: str) -> str:
    """nftables' rules where the proxy is in its task's namespace, whose interface has the address ``own``."""
    outgoing = [
        f"ip daddr {each.address} tcp dport {each.port} dnat to 127.0.0.1:{each.listener}" for each in ways.egress
    ]
    incoming = [
        f"ip daddr {own} tcp dport {each.port} dnat to {own}:{each.listener}"
        for each in ways.ingress
        if each.intercepted
    ]
    return _table({"output": outgoing, "prerouting": incoming})


def beside(ways: Ways, task_id: str, proxy: str) -> str:
    """nftables' rules of the host whose bridge connects a task's containers and its proxy, which has this address.

    The proxy answers by way of the host, which knows from whom the connection is.
    """
    outgoing = [
        f"ip daddr {each.address} tcp dport {each.port} dnat to {proxy}:{each.listener}" for each in ways.egress
    ]
    back = [f"ip daddr {proxy} ct original ip daddr {each.address} masquerade" for each in ways.egress]
    return _table({"prerouting": outgoing, "postrouting": back}, f"{_TABLE}_{task_id}", before=_BEFORE_DOCKER)


def nothing_beside(task_id: str) -> str:
    """What leaves nothing of ``beside``."""
    return f"table ip {_TABLE}_{task_id}\ndelete table ip {_TABLE}_{task_id}\n"


def _table(chains: dict[str, list[str]], name: str = _TABLE, before: int = 0) -> str:
    text = "".join(
        f" chain {hook} {{\n  type nat hook {hook} priority {_PRIORITIES[hook] - before}\n"
        + "".join(f"  {line}\n" for line in lines)
        + " }\n"
        for hook, lines in chains.items()
    )
    return f"table ip {name}\ndelete table ip {name}\ntable ip {name} {{\n{text}}}\n"


def put(namespace: str, rules: str) -> None:
    """Have rules in a namespace, by name or path, "" for this process's; doing it again changes nothing.

    Blocks. Raises FileNotFoundError where the namespace is gone, NftError.
    """

    if namespace:
        namespaces.run_in(namespace, partial(apply, rules))
    else:
        namespaces.in_thread(partial(apply, rules))
