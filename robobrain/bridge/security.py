"""Addresses, tokens and certificates, as both ends of a connection read them."""

from __future__ import annotations

import ipaddress
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import grpc

from robobrain.errors import ConfigurationError

AUTHORITY, TOKEN = "ca.pem", "token"
SERVER_CERTIFICATE, SERVER_KEY = "server.pem", "server.key"
CLIENT_CERTIFICATE, CLIENT_KEY = "client.pem", "client.key"
_SHORTEST_TOKEN = 16


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a server listens.

    Attributes:
        host: Name or number of the host, IPv6 without brackets.
        port: TCP port; 0 lets the system choose one.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the address written as ``host:port`` or ``[ipv6]:port``.

        Raises:
            ConfigurationError: It is no such text.
        """
        host, colon, port = text.rpartition(":")
        if not (colon and host and port.isdecimal() and int(port) < 2**16):
            raise ConfigurationError(f"{text!r} is no address; write host:port, e.g. 127.0.0.1:50051")
        if host.startswith("[") != (":" in host):
            raise ConfigurationError(f"{text!r}: write an IPv6 address in brackets, e.g. [::1]:50051")
        return cls(host=host.strip("[]"), port=int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether it can be reached from this machine only."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        """Return the text that :meth:`parse` reads."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class ServerCredentials:
    """What a server proves and asks for.

    Attributes:
        certificate: Its certificate chain, PEM.
        key: Its private key, PEM.
        token: What clients must know; None where only their certificate counts.
        authority: Who must have signed the clients' certificates, PEM; None where they need none.
    """

    certificate: bytes
    key: bytes = field(repr=False)
    token: str | None = field(default=None, repr=False)
    authority: bytes | None = None

    @classmethod
    def load(cls, folder: Path, *, mutual: bool = False) -> Self:
        """Read what ``robobrain serve --make-credentials`` has put into ``folder``.

        Args:
            folder: Has ``server.pem`` and ``server.key``, and ``token``.
            mutual: Ask for certificates of clients signed by ``ca.pem``; then ``token`` may be missing.

        Raises:
            ConfigurationError: A file is missing, can't be used, or can be read by others.
        """
        token = folder / TOKEN
        return cls(
            certificate=_read(folder / SERVER_CERTIFICATE),
            key=_read_secret(folder / SERVER_KEY),
            token=None if mutual and not token.exists() else read_token(token),
            authority=_read(folder / AUTHORITY) if mutual else None,
        )

    def for_grpc(self) -> grpc.ServerCredentials:
        """Return them as gRPC wants them."""
        return grpc.ssl_server_credentials(
            [(self.key, self.certificate)],
            root_certificates=self.authority,
            require_client_auth=self.authority is not None,
        )


@dataclass(frozen=True, kw_only=True)
class ClientCredentials:
    """What a client asks for and proves.

    Attributes:
        authority: Who must have signed the server's certificate, PEM.
        token: What the server wants to hear; None where it asks for none.
        certificate: The client's certificate chain, PEM; None where the server asks for none.
        key: Its private key, PEM.
    """

    authority: bytes
    token: str | None = field(default=None, repr=False)
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read ``ca.pem`` and, where they exist, ``token`` and ``client.pem`` with ``client.key``.

        Raises:
            ConfigurationError: A file is missing, can't be used, or can be read by others.
        """
        token, certificate = folder / TOKEN, folder / CLIENT_CERTIFICATE
        has_certificate = certificate.exists()
        return cls(
            authority=_read(folder / AUTHORITY),
            token=read_token(token) if token.exists() else None,
            certificate=_read(certificate) if has_certificate else None,
            key=_read_secret(folder / CLIENT_KEY) if has_certificate else None,
        )

    def for_grpc(self) -> grpc.ChannelCredentials:
        """Return them as gRPC wants them; the token travels as metadata."""
        return grpc.ssl_channel_credentials(self.authority, self.key, self.certificate)


def check_exposure(address: Address, credentials: ServerCredentials | None) -> None:
    """Refuse to listen beyond this machine without encryption and a proof of who calls.

    Raises:
        ConfigurationError: Says how to get credentials.
    """
    if credentials is not None and credentials.token is None and credentials.authority is None:
        raise ConfigurationError(
            "a certificate alone keeps nobody out: give a token, or ask for certificates"
        )
    if not address.is_loopback and credentials is None:
        raise ConfigurationError(
            f"{address} can be reached from other machines: make credentials with "
            "'robobrain serve --make-credentials DIR' and give --credentials DIR/server, "
            "or listen on 127.0.0.1"
        )


def read_token(path: Path) -> str:
    """Return the token in ``path``, a file that only its owner can read.

    Raises:
        ConfigurationError: It is missing, short, or others can read it.
    """
    try:
        token = _read_secret(path).decode("ascii").strip()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: a token is plain ASCII text") from None
    if len(token) < _SHORTEST_TOKEN or not token.isprintable() or " " in token:
        raise ConfigurationError(f"{path}: a token has at least {_SHORTEST_TOKEN} characters, no spaces")
    return token


def _read_secret(path: Path) -> bytes:
    content = _read(path)
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(f"{path} can be read by others; run: chmod 600 {path}")
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{path} can't be read ({error.strerror}); 'robobrain serve --make-credentials DIR' makes it"
        ) from None
