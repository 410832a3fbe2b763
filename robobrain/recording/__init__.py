"""The record of a run: a directory with a manifest, a durable store, a trial table and figures.

``create`` gives the writer, ``open`` the reader, ``check`` a list of what is wrong with a run, ``backup``
and ``compact`` make copies. Figures, reports, comparisons and exports need heavier packages and are
therefore imported on their own: `robobrain.recording.figures`, ``.report``, ``.compare``, ``.export``.
"""

from robobrain.recording.check import check
from robobrain.recording.copies import backup, compact
from robobrain.recording.layout import Stream
from robobrain.recording.manifest import host_facts
from robobrain.recording.reader import Event, Population, Run
from robobrain.recording.reader import open_run as open
from robobrain.recording.writer import RunWriter, check_destination, create

__all__ = [
    "Event",
    "Population",
    "Run",
    "RunWriter",
    "Stream",
    "backup",
    "check",
    "check_destination",
    "compact",
    "create",
    "host_facts",
    "open",
]
