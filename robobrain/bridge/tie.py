"""Become a command that ends with the process that started it: ``python tie.py mpirun -n 2 ...``.

A launcher of ranks would outlive a front that is killed, and its ranks with it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>."""


def main() -> None:
    """Ask Linux for SIGTERM at the parent's end, and turn into the command of the arguments."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    try:
        os.execvp(sys.argv[1], sys.argv[1:])
    except OSError as error:
        sys.exit(f"the launcher {sys.argv[1]} can't be started: {error.strerror}")


if __name__ == "__main__":
    main()
