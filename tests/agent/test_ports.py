"""Host ports that the agent chooses: in the range, contiguous, nobody else's, given back."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.agent.engine.ports import Ports, can_bind, grouped, kernels_range
from dryport.agent.payload import Container, PortMapping
from dryport.agent.runtime import ContainerSpec, RuntimeFailure
from dryport.ecs.taskdef.ports import host_ports

FIRST, LAST = 40000, 40019


def spec(id: str, *mappings: dict[str, object]) -> ContainerSpec:
    return ContainerSpec(id=id, name="web", image="i", published_ports=list(mappings))


def chosen(made: ContainerSpec) -> list[range]:
    return [host_ports(each) for each in made.published_ports]


@given(
    st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["tcp", "udp"]), st.booleans()), max_size=25),
    st.sets(st.integers(FIRST, LAST)),
)
def test_nothing_is_given_twice(wishes: list[tuple[int, str, bool]], used: set[int]) -> None:
    ports = Ports((FIRST, LAST), lambda protocol, port: port not in used)
    held: dict[str, set[tuple[str, int]]] = {}
    for number, (count, protocol, keep) in enumerate(wishes):
        mapping: dict[str, object] = {"containerPortRange": f"1-{count}", "protocol": protocol}
        taken = {port for each in held.values() for port in each} | {(protocol, port) for port in used}
        free = [all((protocol, port + n) not in taken for n in range(count)) for port in range(FIRST, LAST + 2 - count)]
        try:
            (given_ports,) = chosen(ports.assign(spec(str(number), mapping)))
        except RuntimeFailure as failure:
            assert not any(free) and f"{count} contiguous host ports" in failure.message
            continue
        assert len(given_ports) == count and given_ports[0] >= FIRST and given_ports[-1] <= LAST
        mine = {(protocol, port) for port in given_ports}
        assert not mine & taken
        if keep:
            held[str(number)] = mine
        else:
            ports.release([str(number)])


def test_single_ports_are_dockers_but_where_a_range_is_set() -> None:
    single: dict[str, object] = {"containerPort": 80, "hostPort": 0}
    fixed: dict[str, object] = {"containerPort": 81, "hostPort": 8081}
    assert Ports(None).assign(spec("a", single, fixed)).published_ports == [single, fixed]
    one, other = chosen(Ports((FIRST, LAST), lambda *_: True).assign(spec("a", single, fixed)))
    assert FIRST <= one[0] <= LAST and other == range(8081, 8082)


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert not can_bind("tcp", port)
        with pytest.raises(RuntimeFailure, match="1 contiguous"):
            Ports((port, port)).assign(spec("a", {"containerPort": 80, "hostPort": 0}))
    first, last = kernels_range()
    assert first < last


def test_bindings_of_a_range_are_one() -> None:
    mappings = [PortMapping(container_port_range="90-91", protocol="udp"), PortMapping(container_port=90)]
    container = Container(name="web", image="i", port_mappings=mappings)

    def binding(port: int, host: int, protocol: str, address: str = "0.0.0.0") -> dict[str, object]:
        return {"bindIP": address, "containerPort": port, "hostPort": host, "protocol": protocol}

    alone = binding(90, 5, "tcp")
    found = grouped(container, [binding(91, 7, "udp"), binding(90, 6, "udp"), binding(90, 6, "udp", "::"), alone])
    assert found == [
        alone,
        {"bindIP": "0.0.0.0", "containerPortRange": "90-91", "hostPortRange": "6-7", "protocol": "udp"},
        {"bindIP": "::", "containerPortRange": "90-91", "hostPortRange": "6-6", "protocol": "udp"},
    ]
