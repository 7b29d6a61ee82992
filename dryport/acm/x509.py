"""X.509 certificates (RFC 5280): read, checked as ImportCertificate does, and made. Pure but for keys' randomness.

Imported by handlers and loops only when there is a certificate to look at: the library takes megabytes of memory.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dryport.acm.model import Facts
from dryport.aws.errors import ServiceError

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

VALIDITY = 395  # days: AWS's thirteen months
_AUTHORITY_VALIDITY = 3650  # days
_CURVES: dict[str, ec.EllipticCurve] = {
    "EC_prime256v1": ec.SECP256R1(),
    "EC_secp384r1": ec.SECP384R1(),
    "EC_secp521r1": ec.SECP521R1(),
}
_SIZES = {"RSA_1024": 1024, "RSA_2048": 2048, "RSA_3072": 3072, "RSA_4096": 4096}
_USAGES = {
    "digital_signature": "DIGITAL_SIGNATURE",
    "content_commitment": "NON_REPUDIATION",
    "key_encipherment": "KEY_ENCIPHERMENT",
    "data_encipherment": "DATA_ENCIPHERMENT",
    "key_agreement": "KEY_AGREEMENT",
    "key_cert_sign": "CERTIFICATE_SIGNING",
    "crl_sign": "CRL_SIGNING",
}
_EXTENDED = {
    ExtendedKeyUsageOID.SERVER_AUTH: "TLS_WEB_SERVER_AUTHENTICATION",
    ExtendedKeyUsageOID.CLIENT_AUTH: "TLS_WEB_CLIENT_AUTHENTICATION",
    ExtendedKeyUsageOID.CODE_SIGNING: "CODE_SIGNING",
    ExtendedKeyUsageOID.EMAIL_PROTECTION: "EMAIL_PROTECTION",
    ExtendedKeyUsageOID.TIME_STAMPING: "TIME_STAMPING",
    ExtendedKeyUsageOID.OCSP_SIGNING: "OCSP_SIGNING",
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE: "ANY",
}


def invalid(message: str) -> ServiceError:
    """A refusal of what was given."""
    return ServiceError("ValidationException", message)


def read(pem: bytes) -> x509.Certificate:
    """The one certificate of a PEM text. Raises ServiceError."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise invalid("Unable to parse certificate. Please ensure the certificate is in PEM format.") from error
    if len(found) != 1:
        raise invalid(
            "The certificate field contains more than one certificate. "
            "You can specify only one certificate in this field."
        )
    return found[0]


def read_chain(pem: bytes) -> list[x509.Certificate]:
    """The certificates of a chain. Raises ServiceError."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise invalid("Unable to parse certificate chain. Please ensure the chain is in PEM format.") from error


def read_key(pem: bytes) -> Key:
    """A private key. Raises ServiceError."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise invalid("The private key is encrypted. Please provide an unencrypted private key.") from error
    except ValueError as error:
        raise invalid("The private key is not PEM-encoded or is not valid.") from error
    if not isinstance(key, Key):
        raise invalid("The private key is not supported.")
    return key


def belong(certificate: x509.Certificate, key: Key) -> bool:
    """Whether a key is a certificate's."""
    return _public(certificate.public_key()) == _public(key.public_key())


def check(certificate: x509.Certificate, key: Key, chain: Sequence[x509.Certificate], now: float) -> None:
    """Refuse a certificate that cannot be shown with this key and chain. Raises ServiceError."""
    if not belong(certificate, key):
        raise invalid("The private key does not match the public key of the certificate.")
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    if certificate.not_valid_after_utc < moment:
        raise invalid("The certificate has expired.")
    if certificate.not_valid_before_utc > moment:
        raise invalid("The certificate is not valid yet.")
    if not chain:
        if not _signed_by(certificate, certificate):
            raise invalid(
                "Provided certificate is not a valid self signed. "
                "Please provide either a valid self-signed certificate or certificate chain."
            )
        return
    signed = certificate
    for index, issuer in enumerate(chain):
        if not _signed_by(signed, issuer):
            raise invalid(
                "Unable to validate certificate chain. The certificate chain must start with the immediate signing "
                "certificate, followed by any intermediaries in order. "
                f"The index within the chain of the invalid certificate is: {index}"
            )
        signed = issuer


def _public(key: object) -> bytes:
    return key.public_bytes(  # type: ignore[attr-defined, no-any-return]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def key_type(key: object) -> str:
    """A key's algorithm as ACM's enumeration has it. Raises ServiceError for one that ACM does not take."""
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        found = next((name for name, size in _SIZES.items() if size == key.key_size), None)
    elif isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        found = next((name for name, curve in _CURVES.items() if curve.name == key.curve.name), None)
    else:
        found = None
    if found is None:
        raise invalid("The private key is not supported.")
    return found


def domains(certificate: x509.Certificate) -> tuple[str, list[str]]:
    """A certificate's domain (its common name, else the first alternative one) and all of them, sorted."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = list(extension.value.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        names = []
    common = [str(each.value) for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    domain = next(iter(common or names), "")
    return domain, sorted({*names, *common})


def facts(certificate: x509.Certificate) -> Facts:
    """What a certificate says of itself."""
    serial = f"{certificate.serial_number:x}"
    serial = serial.zfill(len(serial) + len(serial) % 2)
    if int(serial[0], 16) > 7:
        serial = f"00{serial}"  # DER's sign
    algorithm = certificate.signature_hash_algorithm
    kind = "ECDSA" if isinstance(certificate.signature_algorithm_parameters, ec.ECDSA) else "RSA"
    return Facts(
        serial=":".join(serial[place : place + 2] for place in range(0, len(serial), 2)),
        subject=_name(certificate.subject),
        issuer=_issuer(certificate.issuer),
        key_algorithm=key_type(certificate.public_key()).replace("_", "-", 1),
        signature_algorithm=f"{algorithm.name.upper() if algorithm else ''}WITH{kind}",
        not_before=certificate.not_valid_before_utc.timestamp(),
        not_after=certificate.not_valid_after_utc.timestamp(),
        key_usages=_key_usages(certificate),
        extended_key_usages=_extended_usages(certificate),
    )


def _name(name: x509.Name) -> str:
    return ",".join(f"{each.rfc4514_attribute_name}={each.value!s}" for each in name)


def _issuer(name: x509.Name) -> str:
    """The issuer's organization, else its common name."""
    for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        for each in name.get_attributes_for_oid(oid):
            return str(each.value)
    return _name(name)


def _key_usages(certificate: x509.Certificate) -> list[str]:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return []
    return [name for attribute, name in _USAGES.items() if getattr(usage, attribute)]


def _extended_usages(certificate: x509.Certificate) -> list[tuple[str, str]]:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return []
    return [(_EXTENDED.get(each, "CUSTOM"), each.dotted_string) for each in usage]


def new_key(kind: str) -> Key:
    """A key of a type of ACM's. Takes a tenth of a second or more."""
    if kind in _CURVES:
        return ec.generate_private_key(_CURVES[kind])
    return rsa.generate_private_key(65537, _SIZES[kind])


def pem_of_key(key: Key) -> bytes:
    """A key as unencrypted PKCS #8."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def pem(certificate: x509.Certificate) -> str:
    """A certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _named(organization: str, common: str) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _begin(subject: x509.Name, issuer: x509.Name, key: Key, now: float, days: int) -> x509.CertificateBuilder:
    start = datetime.datetime.fromtimestamp(now, datetime.UTC).replace(microsecond=0)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(start).not_valid_after(start + datetime.timedelta(days=days))


def _usage(**given: bool) -> x509.KeyUsage:
    every = dict.fromkeys([*_USAGES, "encipher_only", "decipher_only"], False)
    return x509.KeyUsage(**{**every, **given})


def new_authority(key: Key, common: str, now: float) -> x509.Certificate:
    """An authority's own certificate."""
    name = _named("Dryport", common)
    builder = _begin(name, name, key, now, _AUTHORITY_VALIDITY)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return builder.add_extension(identifier, critical=False).sign(key, hashes.SHA256())


def issue(
    authority: x509.Certificate, signing: Key, domain: str, names: Sequence[str], key: Key, now: float
) -> x509.Certificate:
    """A certificate for domains."""
    builder = _begin(_named("", domain[:64]), authority.subject, key, now, VALIDITY)
    alternative = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
    builder = builder.add_extension(alternative, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    wraps = isinstance(key, rsa.RSAPrivateKey)
    builder = builder.add_extension(_usage(digital_signature=True, key_encipherment=wraps), critical=True)
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    known = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    return builder.add_extension(known, critical=False).sign(signing, hashes.SHA256())
