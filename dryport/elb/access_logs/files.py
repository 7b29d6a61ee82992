"""What the files of access logs are called. Pure.

Sources: "Access log files", user guides for application and for network load balancers; "Access logs for your Classic
Load Balancer".
"""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from random import Random

from dryport.aws.identifiers import hexadecimal
from dryport.elb.model import LoadBalancer
from dryport.elb.names import SERVICE

_TEST = "ELBAccessLogTestFile"
_RANDOM = 8  # characters


def resource_id(balancer: LoadBalancer) -> str:
    """What lines call a balancer: ``app/<name>/<id>``, ``net/<name>/<id>``, a classic one's name."""
    return balancer.name if balancer.classic is not None else balancer.arn.rpartition("loadbalancer/")[2]


def folder(balancer: LoadBalancer, prefix: str) -> str:
    """Where a balancer's files are in its bucket."""
    return f"{prefix}/AWSLogs/{balancer.account}" if prefix else f"AWSLogs/{balancer.account}"


def test_file(balancer: LoadBalancer, prefix: str, now: float) -> tuple[str, bytes]:
    """The file that shows that the bucket can be written to: its key, and what is in it."""
    time = datetime.fromtimestamp(now, UTC)
    said = f"Enable AccessLog for ELB: {balancer.name} at {time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03d}Z"
    return f"{folder(balancer, prefix)}/{_TEST}", said.encode()


def file(balancer: LoadBalancer, prefix: str, end: float, address: str, random: Random) -> str:
    """The key of the file of one of a balancer's addresses ("": of all), for the interval that ends then."""
    time = datetime.fromtimestamp(end, UTC)
    name = resource_id(balancer).replace("/", ".")
    ending = "log" if balancer.classic is not None else "log.gz"
    return (
        f"{folder(balancer, prefix)}/{SERVICE}/{balancer.region}/{time:%Y/%m/%d}/"
        f"{balancer.account}_{SERVICE}_{balancer.region}_{name}_{time:%Y%m%dT%H%MZ}_{f'{address}_' if address else ''}"
        f"{hexadecimal(random, _RANDOM)}.{ending}"
    )


def content(balancer: LoadBalancer, lines: list[str]) -> bytes:
    """A file's bytes: a classic balancer's are not compressed."""
    text = "".join(f"{line}\n" for line in lines).encode()
    return text if balancer.classic is not None else gzip.compress(text, mtime=0)
