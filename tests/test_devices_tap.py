from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nest
import numpy as np
import pytest
from devices_brain import (
    EXCHANGE_MS,
    MIN_DELAY_MS,
    build,
    fresh_kernel,
    poisson_population,
    population,
    rate_source,
    recorder,
)

from robobrain.brain.spike_tap import SpikeChunk, SpikeTap
from robobrain.errors import ConfigurationError


def run_tapped(tap: SpikeTap, exchanges: int) -> list[SpikeChunk]:
    chunks = []
    nest.Prepare()
    for _ in range(exchanges):
        nest.Run(EXCHANGE_MS)
        chunk = tap.advance(EXCHANGE_MS)
        if chunk is not None:
            chunks.append(chunk)
    chunks.append(tap.flush())
    nest.Cleanup()
    return chunks


@pytest.mark.parametrize("threads", [1, 2])
def test_chunks_hold_every_spike_once(threads: int) -> None:
    fresh_kernel(threads=threads)
    groups = {name: poisson_population(name, 30, 50.0) for name in ("PT", "CC")}
    full = [recorder(group) for group in groups.values()]
    tap = SpikeTap(nest, groups, groups, min_delay_ms=MIN_DELAY_MS, chunk_ms=30.0)
    chunks = run_tapped(tap, 10)
    assert len(chunks) == 4
    t_ms = np.concatenate([chunk.t_ms for chunk in chunks])
    sender = np.concatenate([chunk.sender for chunk in chunks])
    times = np.concatenate([device.events["times"] for device in full])
    senders = np.concatenate([device.events["senders"] for device in full])
    order = np.lexsort((senders, times))
    assert t_ms.size > 200
    assert np.array_equal(t_ms, times[order])
    assert np.array_equal(sender, senders[order])
    assert (t_ms.dtype, sender.dtype) == (np.float64, np.uint32)


def test_tapping_changes_neither_spikes_nor_inputs() -> None:
    trains = []
    for tapped in (True, False):
        fresh_kernel()
        target = population("target", 30)
        spikes = recorder(target)
        panel = build([target], [rate_source()], [])
        groups = {"target": target}
        tap = SpikeTap(nest, groups, groups, min_delay_ms=MIN_DELAY_MS, chunk_ms=20.0)
        nest.Prepare()
        for step in range(20):
            panel.write([step // 5], step * EXCHANGE_MS)
            nest.Run(EXCHANGE_MS)
            if tapped:
                tap.advance(EXCHANGE_MS)
        nest.Cleanup()
        trains.append((spikes.events["times"], spikes.events["senders"]))
    assert trains[0][0].size > 500
    assert np.array_equal(trains[0], trains[1])


def test_large_populations_are_sampled_evenly() -> None:
    fresh_kernel()
    groups = {"PT": poisson_population("PT", 100, 50.0), "CC": poisson_population("CC", 5, 50.0)}
    tap = SpikeTap(nest, groups, groups, min_delay_ms=MIN_DELAY_MS, per_population=10)
    chunks = run_tapped(tap, 50)
    assert {name: ids.size for name, ids in tap.recorded.items()} == {"PT": 10, "CC": 5}
    assert set(np.diff(tap.recorded["PT"])) == {10}
    assert set(chunks[-1].sender) <= set(np.concatenate(list(tap.recorded.values())).tolist())


def test_a_flush_takes_all_spikes_and_may_find_none() -> None:
    fresh_kernel()
    groups = {"PT": poisson_population("PT", 10, 50.0)}
    tap = SpikeTap(nest, groups, groups, min_delay_ms=MIN_DELAY_MS)
    nest.Prepare()
    nest.Run(100.0)
    assert tap.flush().t_ms.size > 10
    empty = tap.flush()
    assert (empty.t_ms.size, empty.sender.size) == (0, 0)


@pytest.mark.parametrize("bad", [{"chunk_ms": 0.0}, {"per_population": 0}, {"chunk_ms": float("nan")}])
def test_bad_settings_are_refused(bad: dict[str, float]) -> None:
    fresh_kernel()
    with pytest.raises(ConfigurationError):
        SpikeTap(nest, {}, [], min_delay_ms=MIN_DELAY_MS, **bad)  # type: ignore[arg-type]


FORK = """
import os, pickle, sys
sys.path.insert(0, sys.argv[1])
import nest
from devices_brain import EXCHANGE_MS, MIN_DELAY_MS, build, fresh_kernel, population, rate_source
from robobrain.brain.spike_tap import SpikeTap

fresh_kernel()
groups = {"target": population("target", 20)}
panel = build(list(groups.values()), [rate_source()], [])
tap = SpikeTap(nest, groups, groups, min_delay_ms=MIN_DELAY_MS, chunk_ms=30.0)
nest.Prepare()

def go_on(first, last):
    found = []
    for step in range(first, last):
        panel.write([step % 7], step * EXCHANGE_MS)
        nest.Run(EXCHANGE_MS)
        chunk = tap.advance(EXCHANGE_MS)
        if chunk is not None:
            found += zip(chunk.t_ms, chunk.sender)
    return found + list(zip(*tap.flush()))

def in_child(task):
    read, write = os.pipe()
    if os.fork() == 0:
        with os.fdopen(write, "wb") as pipe:
            pickle.dump(task(), pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        return pickle.load(pipe)

go_on(0, 10)
panel.write([5.0], 100.0)
nest.Run(EXCHANGE_MS)
child = in_child(lambda: go_on(11, 20))
parent = go_on(11, 20)
nest.Cleanup()

def prepared_again():
    nest.Prepare()
    return go_on(20, 30)

cleaned_child = in_child(prepared_again)
cleaned_parent = prepared_again()
assert len(parent) > 100 and len(cleaned_parent) > 100
assert min(parent)[0] < 110.0 + MIN_DELAY_MS
assert child == parent
assert cleaned_child == cleaned_parent
print("same")
"""


def test_a_fork_continues_the_tap_whether_prepared_or_cleaned_up() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(Path(__file__).parent)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("same")
