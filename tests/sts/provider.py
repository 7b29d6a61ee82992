"""An OpenID Connect provider on loopback: TLS with a certificate authority of its own, keys, tokens."""

from __future__ import annotations

import base64
import datetime
import hashlib
import http.server
import ipaddress
import json
import ssl
import threading
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


def encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def number(value: int, size: int = 0) -> str:
    return encoded(value.to_bytes(size or (value.bit_length() + 7) // 8))


class Signer:
    """A key of a provider's: ``RS256`` or ``ES256``."""

    def __init__(self, key_id: str, algorithm: str = "RS256") -> None:
        self.id, self.algorithm = key_id, algorithm
        rsa_key = algorithm.startswith("RS")
        self.key: Any = rsa.generate_private_key(65537, 2048) if rsa_key else ec.generate_private_key(ec.SECP256R1())

    @property
    def jwk(self) -> dict[str, Any]:
        numbers = self.key.public_key().public_numbers()
        about = {"kid": self.id, "alg": self.algorithm, "use": "sig"}
        if self.algorithm.startswith("RS"):
            return about | {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
        return about | {"kty": "EC", "crv": "P-256", "x": number(numbers.x, 32), "y": number(numbers.y, 32)}

    def token(self, claims: dict[str, Any], **header: Any) -> str:
        head = {"alg": self.algorithm, "kid": self.id, "typ": "JWT", **header}
        text = ".".join(encoded(json.dumps(part).encode()) for part in (head, claims))
        if self.algorithm.startswith("RS"):
            signature = self.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        else:
            halves = utils.decode_dss_signature(self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
            signature = b"".join(half.to_bytes(32) for half in halves)
        return f"{text}.{encoded(signature)}"


def certificate(name: str, key: Any, issuer: tuple[x509.Certificate, Any] | None, *, ca: bool) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if not ca:
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256())


def pem(one: x509.Certificate) -> bytes:
    return one.public_bytes(serialization.Encoding.PEM)


class Provider:
    """Serves its discovery document and its keys; ``stop`` ends it. ``asked`` counts requests."""

    def __init__(self, directory: Path, path: str = "") -> None:
        root_key, own_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        root = certificate("a test's authority", root_key, None, ca=True)
        own = certificate("localhost", own_key, (root, root_key), ca=False)
        self.thumbprint = hashlib.sha1(root.public_bytes(serialization.Encoding.DER)).hexdigest()
        self.signers = [Signer("one"), Signer("two", "ES256")]
        self.asked: list[str] = []
        self.overrides: dict[str, Any] = {}
        private = own_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = directory / "provider.pem"
        file.write_bytes(private + pem(own) + pem(root))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked.append(self.path)
                documents = {
                    f"{path}/.well-known/openid-configuration": {
                        "issuer": provider.issuer,
                        "jwks_uri": f"{provider.issuer}/keys",
                    },
                    f"{path}/keys": {"keys": [signer.jwk for signer in provider.signers]},
                } | provider.overrides
                found = documents.get(self.path)
                body = found if isinstance(found, bytes) else json.dumps(found).encode()
                self.send_response(200 if found is not None else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"localhost:{self._server.server_port}{path}"
        self.issuer = f"https://{self.url}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
