"""What a run is, in a few facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from robobrain.recording.reader import Run


def overview(run: Run) -> dict[str, object]:
    """Return what a run is in a few facts, for pages and terminals."""
    manifest, trials = run.manifest, run.trials
    brain: Mapping[str, Any] = manifest.get("brain") or {}
    first, last = run.span_ms
    seconds = (last - first) / 1e3
    size = sum(path.stat().st_size for path in run.path.glob("store-*"))
    outcomes = Counter(str(trial.get("outcome")).replace("_", " ") for trial in trials)
    return {
        "started": str(manifest.get("started", ""))[:16].replace("T", " "),
        "session": f"{seconds:.2f} s",
        "brain": brain.get("size"),
        "neurons": f"{brain['neurons']:,}" if brain.get("neurons") else None,
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
