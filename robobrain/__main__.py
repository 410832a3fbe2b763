"""``python -m robobrain`` is the ``robobrain`` command."""

from robobrain.cli import main

main()
