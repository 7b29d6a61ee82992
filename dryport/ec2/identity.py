"""The instance identity document and its signatures. Pure.

Source: "Instance identity documents", EC2 user guide. ``signature`` is the document's RSA signature (PKCS #1 v1.5 with
SHA-256), ``pkcs7`` and ``rsa2048`` hold the same in a PKCS #7 message (RFC 2315) with the document in it. AWS signs
``pkcs7`` with DSA; here all three are of one RSA key, whose certificate is in the state directory.
"""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from dryport.aws import der
from dryport.ec2.model import Instance, SigningKey

_EXPONENT = 65537
# DigestInfo of SHA-256 (RFC 8017, section 9.2, note 1).
_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")
_DATA, _SIGNED_DATA = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2"
_SHA256_OID = "2.16.840.1.101.3.4.2.1"


class Signatures(NamedTuple):
    """As the metadata service has them: base64 in lines."""

    signature: str
    pkcs7: str


def document(instance: Instance) -> str:
    """An instance's identity document, as AWS lays it out."""
    facts = {
        "accountId": instance.account,
        "architecture": instance.architecture,
        "availabilityZone": instance.availability_zone,
        "billingProducts": None,
        "devpayProductCodes": None,
        "marketplaceProductCodes": None,
        "imageId": instance.image_id,
        "instanceId": instance.id,
        "instanceType": instance.instance_type,
        "kernelId": None,
        "pendingTime": datetime.fromtimestamp(instance.launched_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "privateIp": instance.private_ip,
        "ramdiskId": None,
        "region": instance.region,
        "version": "2017-09-30",
    }
    return json.dumps(facts, indent=2, separators=(",", " : "))


@lru_cache(maxsize=1024)
def sign(text: str, key: SigningKey) -> Signatures:
    """The signatures of a document. Takes some 10 ms of one processor."""
    signature = _raised(_padded(text.encode(), key.modulus), key).to_bytes(_size(key.modulus))
    return Signatures(_lines(signature), _lines(_message(text.encode(), signature, key.certificate)))


def is_signed(text: str, signature: str, key: SigningKey) -> bool:
    """Whether this is the ``signature`` of a document."""
    try:
        given = base64.b64decode(signature)
    except ValueError:
        return False
    modulus = key.modulus
    return len(given) == _size(modulus) and pow(int.from_bytes(given), _EXPONENT, modulus) == _padded(
        text.encode(), modulus
    )


def _raised(number: int, key: SigningKey) -> int:
    """A number to the private exponent, by the Chinese remainder theorem (RFC 8017, section 5.1.2)."""
    p, q = int(key.p, 16), int(key.q, 16)
    private = pow(_EXPONENT, -1, (p - 1) * (q - 1))
    first, second = pow(number, private % (p - 1), p), pow(number, private % (q - 1), q)
    return second + q * ((first - second) * pow(q, -1, p) % p)


def _size(modulus: int) -> int:
    return (modulus.bit_length() + 7) // 8


def _padded(content: bytes, modulus: int) -> int:
    """EMSA-PKCS1-v1_5 (RFC 8017, section 9.2)."""
    digest = _SHA256 + hashlib.sha256(content).digest()
    return int.from_bytes(b"\0\1" + b"\xff" * (_size(modulus) - len(digest) - 3) + b"\0" + digest)


def _lines(data: bytes) -> str:
    """Base64 in lines of 76 characters, as AWS has them."""
    return base64.encodebytes(data).decode().rstrip("\n")


def _message(content: bytes, signature: bytes, certificate: str) -> bytes:
    """A PKCS #7 message that holds the content and its signature (RFC 2315, section 9)."""
    sequence, explicit = der.SEQUENCE, 0xA0
    digest = der.element(sequence, der.oid(_SHA256_OID), der.element(der.NULL))
    inner = der.element(sequence, der.oid(_DATA), der.element(explicit, der.element(der.OCTET_STRING, content)))
    signer = der.element(
        sequence,
        der.integer(1),
        _issuer_and_serial(ssl.PEM_cert_to_DER_cert(certificate)),
        digest,
        der.element(sequence, der.oid(der.RSA_ENCRYPTION), der.element(der.NULL)),
        der.element(der.OCTET_STRING, signature),
    )
    signed = der.element(sequence, der.integer(1), der.element(der.SET, digest), inner, der.element(der.SET, signer))
    return der.element(sequence, der.oid(_SIGNED_DATA), der.element(explicit, signed))


def _issuer_and_serial(certificate: bytes) -> bytes:
    """From a version 3 certificate: version, serial number, algorithm, issuer, … (RFC 5280, section 4.1)."""
    fields = next(der.read(certificate)).children()[0].children()
    serial, issuer = fields[1], fields[3]
    return der.element(der.SEQUENCE, der.element(*issuer), der.element(*serial))
