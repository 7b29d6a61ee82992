"""The security policies of HTTPS and TLS listeners: protocols and ciphers, the preferred ones first. Pure facts.

Source: "Security policies for your Application Load Balancer". Those are here that the data plane carries.
"""

from __future__ import annotations

from typing import NamedTuple

DEFAULT = "ELBSecurityPolicy-2016-08"
_TLS13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
_VERSIONS = ("TLSv1.3", "TLSv1.2", "TLSv1.1", "TLSv1")


def _forward(size: int, *suffixes: str) -> list[str]:
    return [f"ECDHE-{key}-AES{size}-{suffix}" for suffix in suffixes for key in ("ECDSA", "RSA")]


_STRONG = (*_forward(128, "GCM-SHA256", "SHA256"), *_forward(256, "GCM-SHA384", "SHA384"))
_ALL = (*_forward(128, "GCM-SHA256", "SHA256", "SHA"), *_forward(256, "GCM-SHA384", "SHA384", "SHA"))
_STATIC = ("AES128-GCM-SHA256", "AES128-SHA256", "AES256-GCM-SHA384", "AES256-SHA256")
_STATIC_ALL = (
    *("AES128-GCM-SHA256", "AES128-SHA256", "AES128-SHA"),
    *("AES256-GCM-SHA384", "AES256-SHA256", "AES256-SHA"),
)


class Policy(NamedTuple):
    """A security policy."""

    protocols: tuple[str, ...]
    ciphers: tuple[str, ...]
    kinds: tuple[str, ...] = ("application", "network")


_GCM = (*_forward(128, "GCM-SHA256"), *_forward(256, "GCM-SHA384"))
_OLD = (*_ALL, *_STATIC_ALL)

POLICIES = {
    "ELBSecurityPolicy-TLS13-1-3-2021-06": Policy(_VERSIONS[:1], _TLS13),
    "ELBSecurityPolicy-TLS13-1-2-2021-06": Policy(_VERSIONS[:2], (*_TLS13, *_STRONG)),
    "ELBSecurityPolicy-TLS13-1-2-Res-2021-06": Policy(_VERSIONS[:2], (*_TLS13, *_GCM)),
    "ELBSecurityPolicy-TLS13-1-2-Ext1-2021-06": Policy(_VERSIONS[:2], (*_TLS13, *_STRONG, *_STATIC)),
    "ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06": Policy(_VERSIONS[:2], (*_TLS13, *_OLD)),
    "ELBSecurityPolicy-TLS13-1-1-2021-06": Policy(_VERSIONS[:3], (*_TLS13, *_OLD)),
    "ELBSecurityPolicy-TLS13-1-0-2021-06": Policy(_VERSIONS, (*_TLS13, *_OLD)),
    "ELBSecurityPolicy-TLS-1-2-2017-01": Policy(_VERSIONS[1:2], (*_STRONG, *_STATIC)),
    "ELBSecurityPolicy-TLS-1-2-Ext-2018-06": Policy(_VERSIONS[1:2], _OLD),
    "ELBSecurityPolicy-TLS-1-1-2017-01": Policy(_VERSIONS[1:3], _OLD),
    "ELBSecurityPolicy-2016-08": Policy(_VERSIONS[1:], _OLD),
    "ELBSecurityPolicy-FS-1-2-Res-2020-10": Policy(_VERSIONS[1:2], _GCM),
    "ELBSecurityPolicy-FS-1-2-Res-2019-08": Policy(_VERSIONS[1:2], _STRONG),
    "ELBSecurityPolicy-FS-1-2-2019-08": Policy(_VERSIONS[1:2], _ALL),
    "ELBSecurityPolicy-FS-1-1-2019-08": Policy(_VERSIONS[1:3], _ALL),
    "ELBSecurityPolicy-FS-2018-06": Policy(_VERSIONS[1:], _ALL),
}
