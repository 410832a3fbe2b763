"""How much a client may declare, before the brain itself looks at it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from robobrain.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class DeviceLimits:
    """Limits of the devices of a session.

    Attributes:
        text_bytes: Size of the JSON text.
        entries: Number of JSON objects: devices, and their targets, encoders and selectors.
        name_length: Characters of a device's name.
    """

    text_bytes: int = 2**18
    entries: int = 4096
    name_length: int = 128

    def check(self, devices: str) -> None:
        """Refuse what is too much; what is wrong otherwise is the brain's to say.

        Raises:
            ConfigurationError: Names the limit.
        """
        if (size := len(devices.encode())) > self.text_bytes:
            raise ConfigurationError(f"devices: {size} bytes of text; this server takes {self.text_bytes}")
        try:
            document = json.loads(devices or "{}")
        except ValueError:
            return
        except RecursionError:
            raise ConfigurationError("devices: the text is nested too deeply") from None
        entries, waiting = 0, [document]
        while waiting:
            value = waiting.pop()
            if isinstance(value, list):
                waiting.extend(value)
            elif isinstance(value, dict):
                entries += 1
                waiting.extend(value.values())
                self._check_name(value.get("name", ""))
        if entries > self.entries:
            raise ConfigurationError(f"devices: {entries} entries; this server takes {self.entries}")

    def _check_name(self, name: Any) -> None:
        if isinstance(name, str) and len(name) > self.name_length:
            raise ConfigurationError(
                f"devices: the name {name[:20]!r}... has {len(name)} characters; "
                f"this server takes {self.name_length}"
            )
