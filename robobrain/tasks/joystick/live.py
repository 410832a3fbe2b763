"""Where a run is shown while it goes on; refuses what can't work before a brain is built."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from robobrain.errors import ConfigurationError

VIEWER = "viewer"
"""Start a viewer on this machine's screen."""


def check_live(target: str) -> None:
    """Refuse a place where nothing can be shown.

    Args:
        target: "viewer", a file ending in ``.rrd``, or the URL of a viewer (``rerun+http://...``).

    Raises:
        ConfigurationError: Rerun is missing, there is no screen, or the target can't be used.
    """
    if find_spec("rerun") is None:
        raise ConfigurationError("Showing a run live needs Rerun. Fix: pip install 'robobrain[live]'.")
    if target == VIEWER:
        if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise ConfigurationError(
                "There is no screen for a viewer. Fix: --live-to FILE.rrd, or with a viewer that runs "
                "elsewhere --live-to rerun+http://HOST:9876/proxy."
            )
    elif is_file(target):
        folder = Path(target).absolute().parent
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise ConfigurationError(f"{target} can't be written: {folder} is no writable folder.")
    elif not target.startswith(("rerun://", "rerun+http://", "rerun+https://")):
        raise ConfigurationError(
            f"Can't show a run at {target!r}. Fix: give a file ending in .rrd or a URL, "
            f"rerun+http://HOST:9876/proxy."
        )


def is_file(target: str) -> bool:
    """Return whether a target is a file to write."""
    return target.endswith(".rrd")
