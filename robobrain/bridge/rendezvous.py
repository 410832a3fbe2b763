"""The file through which a client finds a server that was started somewhere on a cluster."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from pathlib import Path
from typing import Any

from robobrain.bridge.security import Address, ClientCredentials
from robobrain.errors import ConfigurationError

_EVERYWHERE = ("0.0.0.0", "::")


def write_rendezvous(path: Path, address: Address, credentials: Path | None = None) -> str:
    """Write where the server is, in one go, so that whoever waits for the file never reads half of it.

    Args:
        path: The file, readable by its owner only.
        address: Where the server listens; all interfaces become this machine's name.
        credentials: Folder of a client's credentials, for clients that are given none.

    Returns:
        What was written, for `remove_rendezvous`.
    """
    host = socket.gethostname() if address.host in _EVERYWHERE else address.host
    record: dict[str, Any] = {"host": host, "port": address.port, "pid": os.getpid()}
    if credentials is not None:
        record["credentials"] = str(credentials.resolve())
    text = json.dumps(record)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
    return text


def remove_rendezvous(path: Path, text: str) -> None:
    """Remove the file, unless another server has written its own place there meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        if path.read_text(encoding="utf-8") == text:
            path.unlink()


def find_address(text: str) -> Address:
    """Return the address ``host:port``, or the one in the rendezvous file of ``@FILE``.

    Raises:
        ConfigurationError: It is neither.
    """
    return _read(Path(text[1:]))[0] if text.startswith("@") else Address.parse(text)


def find_server(text: str, credentials: Path | None) -> tuple[Address, ClientCredentials | None]:
    """Return where a server is and what it wants to see.

    Args:
        text: As for `find_address`.
        credentials: Folder of a client's credentials; None for the one that a rendezvous file names, if any.

    Raises:
        ConfigurationError: The address or the credentials can't be used.
    """
    address, named = _read(Path(text[1:])) if text.startswith("@") else (Address.parse(text), None)
    folder = named if credentials is None else credentials
    return address, None if folder is None else ClientCredentials.load(folder)


def _read(path: Path) -> tuple[Address, Path | None]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        named = record.get("credentials")
        return Address(host=str(record["host"]), port=int(record["port"])), Path(named) if named else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{path} tells no address ({error}); does 'robobrain serve --rendezvous {path}' run?"
        ) from None
