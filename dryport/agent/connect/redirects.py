"""How connections come to a proxy: rules in its task's network namespace."""

from __future__ import annotations

from dryport.agent.connect.ways import Ways
from dryport.host import namespaces
from dryport.host.nft import Nft

_TABLE = "dryport_connect"


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


def _table(chains: dict[str, list[str]]) -> str:
    text = "".join(
        f" chain {hook} {{\n  type nat hook {hook} priority -100\n" + "".join(f"  {line}\n" for line in lines) + " }\n"
        for hook, lines in chains.items()
    )
    return f"table ip {_TABLE}\ndelete table ip {_TABLE}\ntable ip {_TABLE} {{\n{text}}}\n"


def put(namespace: str, rules: str) -> None:
    """Have rules in a namespace, by name or path; doing it again changes nothing.

    Blocks. Raises FileNotFoundError where the namespace is gone, NftError.
    """

    def work() -> None:
        nft = Nft()
        try:
            nft.run(rules)
        finally:
            nft.close()

    namespaces.run_in(namespace, work)
