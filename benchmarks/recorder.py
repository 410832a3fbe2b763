"""What recording all spikes costs the kernel: the same brain with and without eight recorders of all neurons.

Equal kernels in different processes differ by some percent, more than one recorder costs; eight of them stand
out, and an eighth of the difference is the cost of one. Run: python benchmarks/recorder.py [PAIRS]
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

RECORDERS, EXCHANGES, WARM_UP, CHUNK = 8, 400, 40, 40


def measure(recorders: int) -> tuple[float, float]:
    """Return CPU time per exchange (ms) of `small` on one thread, and the spikes per second of model time."""
    import numpy as np  # noqa: PLC0415 - after OpenMP is told its threads

    from robobrain.brain.model import BrainModel  # noqa: PLC0415
    from robobrain.brain.spike_tap import SpikeTap  # noqa: PLC0415

    config = {"brain": "small", "threads": 1, "exchange_ms": 10.0, "record_spikes": False}
    model = BrainModel(config, lambda phase, fraction: None)
    network = model._network
    network.nest.Cleanup()
    taps = [
        SpikeTap(network.nest, network.populations, network.populations, min_delay_ms=network.min_delay_ms)
        for _ in range(recorders)
    ]
    network.nest.Prepare()
    model.begin(1)
    inputs = np.random.default_rng(1).random(
        (WARM_UP + EXCHANGES, model.description.input_size), dtype=np.float32
    )
    spikes, began = 0, 0.0
    for number, values in enumerate(inputs):
        if number == WARM_UP:
            spikes, began = 0, time.process_time()
        model.exchange(values)
        if number % CHUNK == CHUNK - 1:
            spikes += sum(len(tap.flush().t_ms) for tap in taps)
    cpu_ms = 1e3 * (time.process_time() - began) / EXCHANGES
    return cpu_ms, spikes / max(recorders, 1) / (EXCHANGES * 0.01)


def main() -> None:
    """Measure pairs of processes and print what one recorder adds."""
    if sys.argv[1:2] == ["--in"]:
        print(*measure(int(sys.argv[2])))
        return
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYNEST_QUIET": "1"}
    for _ in range(int(sys.argv[1]) if sys.argv[1:] else 3):
        found = []
        for recorders in (0, RECORDERS):
            command = [sys.executable, __file__, "--in", str(recorders)]
            answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            found.append([float(word) for word in answer.stdout.split()[-2:]])
        (without_ms, _), (with_ms, per_s) = found
        one_ms = (with_ms - without_ms) / RECORDERS
        print(
            f"{without_ms:.2f} ms an exchange; a recorder of all neurons, {per_s:,.0f} spikes/s: "
            f"{one_ms:.3f} ms, {one_ms / without_ms:.1%}"
        )


if __name__ == "__main__":
    main()
