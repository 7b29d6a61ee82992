"""The private zones of a VPC: domains that its name server answers for alone (RFC 1034, 2308)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.CNAME
import dns.rrset

from dryport.host.messages import PrivateZone, RecordSet

# What Route 53 says of every private hosted zone.
_SERVERS = ("ns-0.awsdns-00.com.", "ns-512.awsdns-00.net.", "ns-1024.awsdns-00.org.", "ns-1536.awsdns-00.co.uk.")
_SOA = f"{_SERVERS[3]} awsdns-hostmaster.amazon.com. 1 7200 900 1209600 {{negative}}"
_SERVERS_TTL = 172_800


class LocalZone:
    """A zone, ready to answer."""

    def __init__(self, zone: PrivateZone) -> None:
        self.name = zone.name
        self._zone = zone
        self._origin = dns.name.from_text(zone.name)
        # Names between the zone's own and those with records are there too, without any (RFC 4592, 2.2.2).
        self._present = {zone.name}
        for name in zone.records:
            while name != zone.name and name not in self._present:
                self._present.add(name)
                name = name.partition(".")[2]

    def answer(self, question: dns.rrset.RRset, response: dns.message.Message) -> None:
        """Fill in the answer to a question for a name in the zone."""
        response.flags |= dns.flags.AA
        name = question.name.to_text(omit_final_dot=True).lower()
        sets = self._zone.records.get(name, {})
        wanted = dns.rdatatype.to_text(question.rdtype)
        if "CNAME" in sets and wanted not in ("CNAME", "ANY"):
            wanted = "CNAME"
        kinds = list(sets) if wanted == "ANY" else [wanted] if wanted in sets else []
        response.answer += [_rrset(question.name, kind, sets[kind]) for kind in kinds]
        if name == self.name and wanted in ("SOA", "ANY"):
            response.answer.append(self._authority())
        if name == self.name and wanted in ("NS", "ANY"):
            response.answer.append(dns.rrset.from_text_list(question.name, _SERVERS_TTL, "IN", "NS", _SERVERS))
        if not response.answer:
            response.authority.append(self._authority())
            if name not in self._present:
                response.set_rcode(dns.rcode.NXDOMAIN)

    def _authority(self) -> dns.rrset.RRset:
        ttl = self._zone.soa_ttl
        return dns.rrset.from_text(self._origin, ttl, "IN", "SOA", _SOA.format(negative=ttl))


def _rrset(name: dns.name.Name, kind: str, records: RecordSet) -> dns.rrset.RRset:
    chosen = random.sample(records.values, min(records.most, len(records.values)))
    return dns.rrset.from_text_list(name, records.ttl, "IN", kind, chosen)


def by_name(zones: Iterable[LocalZone]) -> dict[str, LocalZone]:
    """Zones by their names."""
    return {zone.name: zone for zone in zones}


def nearest(zones: Mapping[str, LocalZone], name: str) -> LocalZone | None:
    """The zone that a name (lower case, no final dot) lies in: of several the most specific one."""
    while zones and name:
        if name in zones:
            return zones[name]
        name = name.partition(".")[2]
    return None


def unresolved(response: dns.message.Message) -> dns.name.Name | None:
    """The name that an answer's last alias leads to, where the answer does not go on from there."""
    question = response.question[0] if response.question else None
    if question is None or question.rdtype in (dns.rdatatype.CNAME, dns.rdatatype.ANY) or not response.answer:
        return None
    last = response.answer[-1]
    if last.rdtype != dns.rdatatype.CNAME:
        return None
    target: dns.name.Name = last[0].target
    return None if any(each.name == target for each in response.answer) else target
