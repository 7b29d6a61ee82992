"""Private zones as a VPC's name server answers them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
from hypothesis import given
from hypothesis import strategies as st

from dryport.host.dns import NameServer, Zone
from dryport.host.local_zones import LocalZone, by_name
from dryport.host.messages import PrivateZone, RecordSet
from tests.host.test_dns import ask, upstream

__all__ = ["upstream"]


def server(*zones: PrivateZone, upstreams: Any = None) -> NameServer:
    made = Zone("ec2.internal")
    made.zones = by_name(LocalZone(each) for each in zones)
    return NameServer(made, upstreams or (list))


def zone(name: str = "corp.test", **records: dict[str, RecordSet]) -> PrivateZone:
    named = {key.replace("_", "."): value for key, value in records.items()}
    return PrivateZone(name=name, soa_ttl=15, records=named)


def addresses(*values: str, most: int = 8, ttl: int = 7) -> dict[str, RecordSet]:
    return {"A": RecordSet(ttl=ttl, values=list(values), most=most)}


async def values(at: NameServer, name: str, kind: str = "A") -> list[str]:
    return [str(record) for rrset in (await ask(at, name, kind)).answer for record in rrset]


async def test_a_name_has_its_records_with_their_ttl_in_whatever_case() -> None:
    answer = await ask(server(zone(web_corp_test=addresses("10.0.0.1"))), "Web.CORP.test.")
    assert [rrset.to_text() for rrset in answer.answer] == ["Web.CORP.test. 7 IN A 10.0.0.1"]
    assert answer.flags & dns.flags.AA and answer.rcode() == dns.rcode.NOERROR


async def test_what_is_not_there_is_said_with_the_zones_soa_and_asked_of_nobody(upstream: Any) -> None:
    at = server(zone(a_b_corp_test=addresses("10.0.0.1")), upstreams=lambda: [upstream.at])
    for name, kind, code in (
        ("no.corp.test.", "A", dns.rcode.NXDOMAIN),
        ("x.a.b.corp.test.", "A", dns.rcode.NXDOMAIN),
        ("a.b.corp.test.", "AAAA", dns.rcode.NOERROR),
        ("a.b.corp.test.", "SRV", dns.rcode.NOERROR),
        ("b.corp.test.", "A", dns.rcode.NOERROR),  # there is a name below it
        ("corp.test.", "A", dns.rcode.NOERROR),
    ):
        answer = await ask(at, name, kind)
        assert (answer.rcode(), answer.answer) == (code, []), name
        soa = answer.authority[0]
        assert (soa.name.to_text(), soa.ttl, soa.rdtype, soa[0].minimum) == ("corp.test.", 15, dns.rdatatype.SOA, 15)
    assert upstream.asked == []
    await ask(at, "corp.test.example.")
    assert upstream.asked == ["corp.test.example."]


async def test_the_zone_itself() -> None:
    at = server(zone())
    assert len(await values(at, "corp.test.", "NS")) == 4
    assert (await values(at, "corp.test.", "SOA"))[0].endswith(" 1 7200 900 1209600 15")


@given(count=st.integers(1, 40), most=st.integers(1, 8))
async def test_at_most_so_many_different_values(count: int, most: int) -> None:
    there = [f"10.0.0.{number}" for number in range(count)]
    found = await values(server(zone(web_corp_test=addresses(*there, most=most))), "web.corp.test.")
    assert len(found) == len(set(found)) == min(count, most) and set(found) <= set(there)


async def test_each_answer_is_chosen_anew() -> None:
    at = server(zone(web_corp_test=addresses("10.0.0.1", "10.0.0.2", most=1)))
    seen = Counter([(await values(at, "web.corp.test."))[0] for _ in range(200)])
    assert seen.keys() == {"10.0.0.1", "10.0.0.2"} and min(seen.values()) > 50  # six deviations


async def test_srv() -> None:
    records = {"SRV": RecordSet(ttl=5, values=["1 1 80 one.web.corp.test."])}
    at = server(zone(web_corp_test=records, one_web_corp_test=addresses("10.0.0.1")))
    assert await values(at, "web.corp.test.", "SRV") == ["1 1 80 one.web.corp.test."]
    assert await values(at, "one.web.corp.test.") == ["10.0.0.1"]


async def test_of_several_zones_the_most_specific_one_answers() -> None:
    at = server(
        zone(a_sub_corp_test=addresses("10.0.0.1")), zone("sub.corp.test", b_sub_corp_test=addresses("10.0.0.2"))
    )
    assert await values(at, "b.sub.corp.test.") == ["10.0.0.2"]
    assert (await ask(at, "a.sub.corp.test.")).rcode() == dns.rcode.NXDOMAIN


async def test_aliases_are_followed(upstream: Any) -> None:
    def alias(target: str) -> dict[str, RecordSet]:
        return {"CNAME": RecordSet(ttl=3, values=[target], most=1)}

    at = server(
        zone(
            in_corp_test=alias("web.corp.test."),
            out_corp_test=alias("www.example."),
            gone_corp_test=alias("no.corp.test."),
            loop_corp_test=alias("loop.corp.test."),
            web_corp_test=addresses("10.0.0.1"),
        ),
        upstreams=lambda: [upstream.at],
    )
    assert await values(at, "in.corp.test.") == ["web.corp.test.", "10.0.0.1"]
    assert await values(at, "out.corp.test.") == ["www.example.", "192.0.2.7"]
    assert upstream.asked == ["www.example."]
    assert await values(at, "in.corp.test.", "CNAME") == ["web.corp.test."]
    gone = await ask(at, "gone.corp.test.")
    assert gone.rcode() == dns.rcode.NXDOMAIN and len(gone.answer) == 1 and gone.authority
    assert await values(at, "loop.corp.test.") == ["loop.corp.test."]
