"""The ``robobrain`` command: everything is imported within `main`, so that Ctrl-C is clean from the start."""

from __future__ import annotations

import errno
import os
import sys

FAILURE = 1
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells use it (128 + SIGINT)."""


def main() -> None:
    """Run the command line; errors of robobrain become one clear line and exit code 1."""
    try:
        _run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _run() -> None:
    from robobrain.cli.app import app  # noqa: PLC0415 - heavy
    from robobrain.cli.console import print_fault  # noqa: PLC0415
    from robobrain.errors import RobobrainError  # noqa: PLC0415

    try:
        app()
    except RobobrainError as error:
        print_fault("Error:", str(error))
        sys.exit(FAILURE)
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EIO):
            raise
        # Only writing to a stream fails so without naming a file.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what waits for it is lost
        print_fault("Error:", f"the output can't be written ({error.strerror})")
        sys.exit(FAILURE)
