"""Balancers: HAProxy processes, each with a configuration that the control plane makes."""

from __future__ import annotations

from dryport.host.messages.base import Message


class Way(Message, frozen=True, kw_only=True):
    """What comes to an address goes to a backend's healthy servers: of the first one that has any, else all of the
    last."""

    address: str
    backends: list[str]


class Flow(Message, frozen=True, kw_only=True):
    """A UDP port of a balancer. ``sticky``: all flows of a client's address go to one server."""

    port: int
    ways: list[Way]
    sticky: bool = False


class Carrier(Message, frozen=True, kw_only=True):
    """An HAProxy to run. ``namespace`` is the network namespace's name, "" the machine's own.

    ``config`` names its files without directories; ``files`` are those beside it (certificates). A server that has the
    address ``0.0.0.0:80`` there is at the one that it was last given by the runtime API. ``ports`` are the TCP ports of
    127.0.0.1 that it listens at. ``flows`` are UDP's, which the kernel leads to servers. ``weights`` are what its
    ``weights.map`` says, which changes without a reload.
    """

    id: str
    namespace: str
    config: str
    files: dict[str, bytes] = {}
    ports: list[int] = []
    flows: list[Flow] = []
    weights: dict[str, int] = {}


class EnsureBalancer(Message, frozen=True, kw_only=True, tag="ensure_balancer"):
    """Have it run so. One that runs is changed without losing a connection; where it cannot be so, it stays as it was.

    What its servers were told at run time stays, for those that the new configuration has too.
    """

    carrier: Carrier


class DeleteBalancer(Message, frozen=True, kw_only=True, tag="delete_balancer"):
    """End it, with its network namespace. Nothing where there is none."""

    balancer_id: str


class ListBalancers(Message, frozen=True, kw_only=True, tag="list_balancers"):
    pass


class AskBalancer(Message, frozen=True, kw_only=True, tag="ask_balancer"):
    """Commands of HAProxy's runtime API, one after the other."""

    balancer_id: str
    commands: list[str]


class EndFlows(Message, frozen=True, kw_only=True, tag="end_flows"):
    """End the flows of UDP that a balancer has to targets, each an address and a port."""

    balancer_id: str
    targets: list[tuple[str, int]]


class TakeLog(Message, frozen=True, kw_only=True, tag="take_log"):
    """What a balancer noted of requests behind a place, in bytes, where there is as much as ``least``. What is before
    that place is needed no more."""

    balancer_id: str
    after: int
    least: int


class LogPart(Message, frozen=True, kw_only=True, tag="log_part"):
    """Whole lines, and the place where they end."""

    content: bytes
    end: int


class Balancers(Message, frozen=True, kw_only=True, tag="balancers"):
    """The ids of those that there should be, as the driver knows it."""

    ids: list[str] = []


class Replies(Message, frozen=True, kw_only=True, tag="replies"):
    """What HAProxy answered to each command."""

    replies: list[str]
