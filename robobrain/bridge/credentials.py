"""Makes what a lab needs to connect safely: an authority, certificates for server and clients, a token."""

from __future__ import annotations

import ipaddress
import os
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from robobrain.bridge.security import (
    AUTHORITY,
    CLIENT_CERTIFICATE,
    CLIENT_KEY,
    SERVER_CERTIFICATE,
    SERVER_KEY,
    TOKEN,
)
from robobrain.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_TOKEN_BYTES = 32
_LEEWAY = timedelta(minutes=5)
"""Certificates begin that much earlier, for clocks that are behind."""


def make_credentials(folder: Path, hosts: Sequence[str], *, days: int = 365) -> list[Path]:
    """Write credentials into ``folder``: ``server/`` stays with the server, ``client/`` goes to its users.

    The authority's key is in ``authority/``, needed only to sign more certificates.

    Args:
        folder: New or empty.
        hosts: Names and numbers under which clients reach the server.
        days: How long the certificates are valid.

    Returns:
        The files that were written.

    Raises:
        ConfigurationError: The folder is in use, there is no host, or `cryptography` is not installed.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - of the extra "server"
    except ImportError:
        raise ConfigurationError("cryptography is missing; pip install 'robobrain[server]'") from None
    if not hosts:
        raise ConfigurationError("name at least one host under which clients reach the server")
    if folder.exists() and any(folder.iterdir()):
        raise ConfigurationError(f"{folder} is not empty; name a new folder for the credentials")
    end = datetime.now(UTC) + timedelta(days=days)
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("authority", "server", "client")}
    authority = _certificate("authority", keys["authority"], keys["authority"], end)
    server = _certificate("server", keys["server"], keys["authority"], end, hosts)
    client = _certificate("client", keys["client"], keys["authority"], end)
    token = secrets.token_urlsafe(_TOKEN_BYTES).encode() + b"\n"
    files = {
        folder / "authority" / "ca.key": _private(keys["authority"]),
        folder / "server" / AUTHORITY: _public(authority),
        folder / "server" / SERVER_CERTIFICATE: _public(server),
        folder / "server" / SERVER_KEY: _private(keys["server"]),
        folder / "server" / TOKEN: token,
        folder / "client" / AUTHORITY: _public(authority),
        folder / "client" / CLIENT_CERTIFICATE: _public(client),
        folder / "client" / CLIENT_KEY: _private(keys["client"]),
        folder / "client" / TOKEN: token,
    }
    for path, content in files.items():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
    return list(files)


def _certificate(
    name: str,
    key: EllipticCurvePrivateKey,
    signer: EllipticCurvePrivateKey,
    end: datetime,
    hosts: Sequence[str] = (),
) -> x509.Certificate:
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: PLC0415

    def named(who: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"robobrain {who}")])

    is_authority = key is signer
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named("authority"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(datetime.now(UTC), end) - _LEEWAY)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False)
    )
    if hosts:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_alternative(host) for host in hosts]), False
        )
    if not is_authority:
        usage = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), False)
    return builder.sign(signer, hashes.SHA256())


def _alternative(host: str) -> x509.GeneralName:
    from cryptography import x509  # noqa: PLC0415

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _public(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    return certificate.public_bytes(Encoding.PEM)


def _private(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
