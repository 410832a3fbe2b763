"""The file through which a client finds a server that was started somewhere on a cluster."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

from robobrain.bridge.security import Address
from robobrain.errors import ConfigurationError

_EVERYWHERE = ("0.0.0.0", "::")


def write_rendezvous(path: Path, address: Address) -> None:
    """Write where the server is, in one go, so that whoever waits for the file never reads half of it.

    Args:
        path: The file, readable by its owner only.
        address: Where the server listens; all interfaces become this machine's name.
    """
    host = socket.gethostname() if address.host in _EVERYWHERE else address.host
    record = {"host": host, "port": address.port, "pid": os.getpid()}
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(record, file)
    draft.replace(path)


def find_address(text: str) -> Address:
    """Return the address ``host:port``, or the one in the rendezvous file of ``@FILE``.

    Raises:
        ConfigurationError: It is neither.
    """
    if not text.startswith("@"):
        return Address.parse(text)
    path = Path(text[1:])
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return Address(host=str(record["host"]), port=int(record["port"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{path} tells no address ({error}); does 'robobrain serve --rendezvous {path}' run?"
        ) from None
