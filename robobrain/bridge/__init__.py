"""The exchange with a brain: messages, the local pipe, and the processes at its ends."""

from robobrain.bridge.branching import BranchingLink
from robobrain.bridge.link import BrainLink, LocalBrain
from robobrain.bridge.messages import (
    PROTOCOL_VERSION,
    Description,
    PhaseTimes,
    PopulationInfo,
    Port,
    Readings,
    SnapshotInfo,
    Spikes,
)
from robobrain.bridge.polling import wait_in_own_threads

__all__ = [
    "PROTOCOL_VERSION",
    "BrainLink",
    "BranchingLink",
    "Description",
    "LocalBrain",
    "PhaseTimes",
    "PopulationInfo",
    "Port",
    "Readings",
    "SnapshotInfo",
    "Spikes",
]

wait_in_own_threads()
