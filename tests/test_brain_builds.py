"""Two builds of one seed are one brain: connections, weights, delays, parameters and first spikes."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

BUILD = """
import hashlib, json, sys
threads, seed = map(int, sys.argv[1:])
from robobrain.brain.openmp import configure_openmp
configure_openmp(threads)
from robobrain.brain.choice import choose
from robobrain.brain.fingerprint import fingerprint
from robobrain.brain.network import Network
network = Network(choose("tiny").spec(seed=seed), threads=threads)
found = fingerprint(network)
recorder = network.nest.Create("spike_recorder")
for nodes in network.nodes.values():
    network.nest.Connect(nodes, recorder)
network.nest.Simulate(100.0)
spikes = sorted(zip(recorder.events["times"].tolist(), recorder.events["senders"].tolist()))
print(json.dumps([found.connections, found.neurons, len(spikes), hash(tuple(spikes))]))
"""


@cache
def build(threads: int, seed: int, attempt: int) -> tuple[str, str, int, int]:
    """Build in a process of its own, simulate 100 ms, and return fingerprints and spikes."""
    command = [sys.executable, "-c", BUILD, str(threads), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    connections, neurons, spikes, digest = json.loads(done.stdout.splitlines()[-1])
    assert spikes > 500, f"attempt {attempt} is silent"
    return connections, neurons, spikes, digest


def test_two_builds_on_one_thread_are_identical() -> None:
    assert build(1, 1, 1) == build(1, 1, 2)


def test_two_builds_on_two_threads_are_identical() -> None:
    assert build(2, 1, 1) == build(2, 1, 2)


def test_threads_change_random_trains_but_not_the_network() -> None:
    assert build(1, 1, 1)[:2] == build(2, 1, 1)[:2]
    assert build(1, 1, 1)[3] != build(2, 1, 1)[3]


def test_another_seed_is_another_brain() -> None:
    one, other = build(1, 1, 1), build(1, 2, 1)
    assert all(mine != theirs for mine, theirs in zip(one, other, strict=True) if isinstance(mine, str))
