"""What a run is, in a few facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from robobrain.recording.reader import SPIKES, Run

EXCHANGE_MS = 10.0
"""Period of the exchange where the manifest names none."""
MEANINGS = {
    "interrupted": "it was asked to end, and all up to then is there",
    "failed": "a fault ended it; what was committed before is there",
}
KILLED = "its writer was killed, so that its manifest says running; what was committed before is there"


def overview(run: Run) -> dict[str, object]:
    """Return what a run is in a few facts, for pages and terminals."""
    manifest, trials = run.manifest, run.trials
    brain: Mapping[str, Any] = manifest.get("brain") or {}
    first, last = run.span_ms
    seconds = (last - first) / 1e3
    size = sum(path.stat().st_size for path in run.path.glob("store-*"))
    outcomes = Counter(str(trial.get("outcome")).replace("_", " ") for trial in trials)
    return {
        "started": f"{str(manifest.get('started', ''))[:16].replace('T', ' ')} UTC",
        "session": f"{seconds:.2f} s",
        "brain": brain.get("size"),
        "neurons": f"{brain['neurons']:,}" if brain.get("neurons") else None,
        "neuron models": brain.get("neuron_models"),
        "synapses": f"{brain['synapses']:,}" if brain.get("synapses") else None,
        "identity": brain.get("identity"),
        "seed": manifest.get("seed"),
        "task": (manifest.get("task") or {}).get("name"),
        "protocol": manifest.get("protocol"),
        "trials": len(trials),
        "outcomes": ", ".join(f"{name} {count}" for name, count in outcomes.most_common()),
        "spikes": f"{run.spike_count:,}",
        "store": f"{size / 1e6:.1f} MB",
        "segments": len(run.segments),
        "size per hour": f"{size / seconds * 3600 / 1e9:.2f} GB" if seconds else None,
        "waited for the disk": (
            f"{manifest['backpressure_ms']:.1f} ms" if "backpressure_ms" in manifest else None
        ),
    }


def status_in_words(run: Run) -> str:
    """Return the status of a run with what it means, where it did not end as planned."""
    meaning = KILLED if run.was_killed else MEANINGS.get(run.status)
    return f"{run.status}: {meaning}" if meaning else run.status


def ragged_end(run: Run) -> str | None:
    """Return in one line how far spikes and signals reach where that differs by more than one exchange.

    The brain hands spikes and the samples of monitors out now and then, so that of a run that broke off, or
    goes on, they end before the other signals. None where all end together, and for a run that was ended in
    order: there a last spike says nothing about the end of the record.
    """
    if run.status == "complete" or (run.status == "interrupted" and not run.was_killed):
        return None
    ends_ms = run.ends_ms
    last_ms = max(ends_ms.values(), default=0.0)
    brain: Mapping[str, Any] = run.manifest.get("brain") or {}
    exchange_ms = brain.get("exchange_ms") or EXCHANGE_MS
    interval_ms = {one["name"]: one["interval_ms"] for one in brain.get("histories") or []}
    early = {
        name: end_ms
        for name, end_ms in ends_ms.items()
        if last_ms - end_ms > exchange_ms + interval_ms.get(name, 0.0)
    }
    if not early:
        return None
    order = sorted(early, key=lambda name: (early[name], name != SPIKES))
    parts = [
        f"{_listed(list(names))} at {end_ms:,.10g} ms"
        for end_ms, names in groupby(order, key=early.__getitem__)
    ]
    return f"{'; '.join(parts)}; all other signals at {last_ms:,.10g} ms"


def _listed(names: list[str]) -> str:
    return " and ".join(names) if len(names) <= 2 else f"{names[0]} and {len(names) - 1} more"
