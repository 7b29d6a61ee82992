"""Makes keys: ``python -m dryport.ec2.keymaker KIND FORMAT`` prints one as JSON.

A program of its own, as making a key takes a processor's tenth of a second and a library of many megabytes, which the
control plane then never loads.
"""

from __future__ import annotations

import asyncio
import base64
import datetime
import hashlib
import hmac
import subprocess
import sys
from typing import TypeVar

import msgspec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_BITS = 2048
_CERTIFICATE_YEARS = 180  # as AWS's own


class KeyMaterial(msgspec.Struct, frozen=True):
    """A key pair: the private half in the format that was asked for, the public one as OpenSSH writes it.

    ``digest`` is SHA-1 of an RSA key's private half (PKCS #8, DER) in hexadecimal, "" for other keys.
    """

    private: str
    public: str
    digest: str

    def __repr__(self) -> str:
        return f"KeyMaterial({self.public})"


class IdentityKey(msgspec.Struct, frozen=True):
    """An RSA key's primes in hexadecimal and its certificate in PEM; the public exponent is 65537."""

    p: str
    q: str
    certificate: str

    def __repr__(self) -> str:
        return "IdentityKey()"


T = TypeVar("T", KeyMaterial, IdentityKey)


async def key_pair(kind: str, file_format: str) -> KeyMaterial:
    """A new key pair: ``rsa`` or ``ed25519``, in ``pem`` or ``ppk``."""
    return await _make([kind, file_format], KeyMaterial)


async def identity_key() -> IdentityKey:
    """A new key to sign identity documents with."""
    return await _make(["identity"], IdentityKey)


async def _make(arguments: list[str], kind: type[T]) -> T:
    command = [sys.executable, "-m", "dryport.ec2.keymaker", *arguments]
    done = await asyncio.to_thread(subprocess.run, command, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout, type=kind)


def _key_pair(kind: str, file_format: str) -> KeyMaterial:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    formats, plain = serialization.PrivateFormat, serialization.NoEncryption()
    key: RSAPrivateKey | Ed25519PrivateKey
    digest = ""
    if kind == "rsa":
        key = rsa.generate_private_key(65537, _BITS)
        secret = key.private_bytes(serialization.Encoding.DER, formats.PKCS8, plain)
        digest = hashlib.sha1(secret, usedforsecurity=False).hexdigest()
        written = formats.TraditionalOpenSSL
    else:
        key = ed25519.Ed25519PrivateKey.generate()
        written = formats.OpenSSH
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    private = key.private_bytes(serialization.Encoding.PEM, written, plain).decode().rstrip("\n")
    return KeyMaterial(_ppk(key, public) if file_format == "ppk" else private, public, digest)


def _ppk(key: RSAPrivateKey | Ed25519PrivateKey, public: str) -> str:
    """A key in PuTTY's format, version 2, which every PuTTY reads (PuTTY user manual, appendix C)."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    algorithm, encoded = public.split()[:2]
    if isinstance(key, RSAPrivateKey):
        numbers = key.private_numbers()
        secret = b"".join(_mpint(each) for each in (numbers.d, numbers.p, numbers.q, numbers.iqmp))
    else:
        secret = _string(key.private_bytes_raw())
    authenticated = [algorithm.encode(), b"none", b"", base64.b64decode(encoded), secret]
    mac_key = hashlib.sha1(b"putty-private-key-file-mac-key", usedforsecurity=False).digest()
    mac = hmac.new(mac_key, b"".join(_string(each) for each in authenticated), hashlib.sha1).hexdigest()
    lines = [f"PuTTY-User-Key-File-2: {algorithm}", "Encryption: none", "Comment: "]
    for name, text in (("Public", encoded), ("Private", base64.b64encode(secret).decode())):
        wrapped = [text[start : start + 64] for start in range(0, len(text), 64)]
        lines += [f"{name}-Lines: {len(wrapped)}", *wrapped]
    return "\n".join([*lines, f"Private-MAC: {mac}"])


def _string(content: bytes) -> bytes:
    """RFC 4251, section 5."""
    return len(content).to_bytes(4) + content


def _mpint(value: int) -> bytes:
    return _string(value.to_bytes(value.bit_length() // 8 + 1))


def _identity_key() -> IdentityKey:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, _BITS)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Dryport instance identity")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365 * _CERTIFICATE_YEARS))
        .sign(key, hashes.SHA256())
    )
    numbers = key.private_numbers()
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    return IdentityKey(f"{numbers.p:x}", f"{numbers.q:x}", pem)


def main() -> None:
    """The program."""
    kind, *rest = sys.argv[1:]
    made = _identity_key() if kind == "identity" else _key_pair(kind, rest[0])
    sys.stdout.buffer.write(msgspec.json.encode(made))


if __name__ == "__main__":
    main()
