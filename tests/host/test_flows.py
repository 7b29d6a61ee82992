"""The batches that lead UDP's flows, as nftables takes them."""

from __future__ import annotations

import subprocess

import pytest

from dryport.host.balancers import flows
from dryport.host.messages import Flow, Way

HEAD = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_port\n"


def state(*servers: tuple[str, str, int, int, int]) -> str:
    """``show servers state`` of backends' servers: address, port, operational and administrative state."""
    return HEAD + "".join(
        f"1 {backend} 1 s1 {address} {up} {admin} {port}\n" for backend, address, port, up, admin in servers
    )


def test_of_the_first_backend_that_has_healthy_ones() -> None:
    ways = [Way(address="10.0.0.9", backends=["zone", "all"])]
    flow = Flow(port=53, ways=ways)
    both = [("all", "10.0.0.1", 53, 2, 0), ("all", "10.0.0.2", 53, 2, 4)]
    batch = flows.ruleset([flow], state(("zone", "10.0.0.1", 53, 2, 0), *both))
    assert "dnat to 10.0.0.1:53" in batch and "10.0.0.2" not in batch
    batch = flows.ruleset([flow], state(("zone", "10.0.0.1", 53, 0, 0), *both))
    assert "dnat to 10.0.0.1:53" in batch and "dnat to 10.0.0.2:53" in batch  # none in the zone
    ill = [("all", "10.0.0.1", 53, 0, 0), ("all", "10.0.0.2", 53, 0, 0), ("all", "10.0.0.3", 53, 2, 1)]
    batch = flows.ruleset([flow], state(("zone", "10.0.0.1", 53, 0, 0), *ill))
    assert "mod 2" in batch and "10.0.0.3" not in batch  # all that do not drain, where none is well


def test_nothing_is_left_without_flows() -> None:
    assert flows.ruleset([], state()).splitlines() == ["table ip dryport_flows", "delete table ip dryport_flows"]


@pytest.mark.parametrize("sticky", [False, True])
def test_nftables_takes_it(sticky: bool) -> None:
    ways = [Way(address=f"10.0.0.{number}", backends=["all"]) for number in (8, 9)]
    servers = [("all", "0.0.0.0", 80, 2, 0), *(("all", f"10.0.1.{number}", 53, 2, 0) for number in range(1, 100))]
    wanted = [Flow(port=port, ways=ways, sticky=sticky) for port in (53, 54)]
    nobody = Flow(port=55, ways=[Way(address="10.0.0.8", backends=["none"])])
    batch = flows.ruleset([*wanted, nobody], state(*servers))
    done = subprocess.run(["nft", "-c", "-f", "-"], input=batch, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
