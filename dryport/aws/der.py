"""ASN.1 in its distinguished encoding (ITU-T X.690): as much as RSA keys and signatures need. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

INTEGER, BIT_STRING, OCTET_STRING, NULL, OID, SEQUENCE, SET = 0x02, 0x03, 0x04, 0x05, 0x06, 0x30, 0x31
RSA_ENCRYPTION = "1.2.840.113549.1.1.1"


class Malformed(Exception):
    """What was to be read is no such encoding."""


class Element(NamedTuple):
    """One element: its tag and its content."""

    tag: int
    content: bytes

    def children(self) -> list[Element]:
        """What it is made of. Raises Malformed."""
        return list(read(self.content))


def element(tag: int, *content: bytes) -> bytes:
    """An element of some pieces."""
    body = b"".join(content)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(length))) + length + body


def integer(value: int) -> bytes:
    """A number, not negative."""
    return element(INTEGER, value.to_bytes(value.bit_length() // 8 + 1))


def oid(dotted: str) -> bytes:
    """An object identifier."""
    first, second, *rest = (int(part) for part in dotted.split("."))
    body = bytearray()
    for number in (first * 40 + second, *rest):
        septets = [number & 0x7F]
        while number := number >> 7:
            septets.append(0x80 | number & 0x7F)
        body += bytes(reversed(septets))
    return element(OID, bytes(body))


def read(data: bytes) -> Iterator[Element]:
    """The elements that data is made of. Raises Malformed."""
    position = 0
    while position < len(data):
        if len(data) - position < 2:
            raise Malformed("an element is cut off")
        tag, length = data[position], data[position + 1]
        position += 2
        if length & 0x80:
            octets = length & 0x7F
            length = int.from_bytes(data[position : position + octets])
            position += octets
        if not 0 <= length <= len(data) - position:
            raise Malformed("an element is cut off")
        yield Element(tag, data[position : position + length])
        position += length


def rsa_public_key(modulus: int, exponent: int) -> bytes:
    """An RSA public key as X.509's SubjectPublicKeyInfo (RFC 8017, RFC 5280)."""
    algorithm = element(SEQUENCE, oid(RSA_ENCRYPTION), element(NULL))
    key = element(SEQUENCE, integer(modulus), integer(exponent))
    return element(SEQUENCE, algorithm, element(BIT_STRING, b"\0", key))


def read_rsa_public_key(data: bytes) -> tuple[int, int]:
    """Modulus and exponent of a SubjectPublicKeyInfo, or of a bare RSAPublicKey. Raises Malformed."""
    try:
        parts = next(read(data)).children()
        if parts[0].tag == SEQUENCE:
            parts = next(read(parts[1].content[1:])).children()
        modulus, exponent = parts
    except (StopIteration, IndexError, ValueError) as error:
        raise Malformed("this is no RSA key") from error
    if (modulus.tag, exponent.tag) != (INTEGER, INTEGER):
        raise Malformed("this is no RSA key")
    return int.from_bytes(modulus.content), int.from_bytes(exponent.content)
