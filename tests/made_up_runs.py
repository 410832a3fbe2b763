"""Runs that look like sessions but were never simulated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from robobrain import recording
from robobrain.seeding import generator

MUSCLES = ("Foot1", "Foot2", "Radius1", "Radius2", "Humerus1", "Humerus2", "Humerus3", "Humerus4")
RATES_HZ = {
    "S1": dict.fromkeys(
        [f"L{k}_{c}" for k in ("23", "4", "5A", "5B", "6") for c in ("Pyr", "PV", "SST", "VIP")], 4.0
    )
    | {"L1_ENGC": 6.0, "L1_SBC": 5.0},
    "M1": dict.fromkeys(
        [f"L{k}_{c}" for k in ("23", "5A", "5B", "6") for c in ("CC", "PV", "SST", "VIP")], 3.0
    )
    | {"L5B_PT": 2.5, "L1_ENGC": 6.0, "L1_SBC": 5.0},
    "VM": {
        f"{z}_{c}": r for z in ("EZ", "IZ") for c, r in {"TC": 9.0, "IN": 6.0, "RE": 8.0, "TCm": 5.0}.items()
    },
    "VL": {
        f"{z}_{c}": r for z in ("EZ", "IZ") for c, r in {"TC": 9.0, "IN": 6.0, "RE": 8.0, "TCm": 5.0}.items()
    },
    "BG": {
        "MSN": 0.3,
        "FSI": 8.0,
        "STN": 17.0,
        "GPe": 55.0,
        "GPi": 70.0,
        "CSN": 2.0,
        "PTN": 15.0,
        "CMPf": 4.0,
    },
    "CB_S1": {"pons": 4.0, "GR": 1.2, "GO": 8.0, "BS": 15.0, "PKJ": 47.0, "VN": 37.0},
    "CB_M1": {"pons": 4.0, "GR": 1.2, "GO": 8.0, "BS": 15.0, "PKJ": 47.0, "VN": 37.0},
}
ZONES = {
    "home": {"radius_mm": 1.5},
    "start": {"pull_mm": 4.0},
    "target": {"lateral_mm": [-1.0, 1.0], "pull_mm": [7.0, 10.0]},
}
CYCLE_MS = 2500.0
BLOCKS = (("baseline", 0.0), ("perturbation", 20.0), ("washout", 0.0))

TWO_POPULATIONS: dict[str, Any] = {
    "seed": 7,
    "brain": {
        "populations": [
            {"name": "M1_L5B_PT", "region": "M1", "first_id": 1, "size": 40},
            {"name": "S1_L4_Pyr", "region": "S1", "first_id": 41, "size": 60},
        ]
    },
}


def made_up_populations() -> list[dict[str, Any]]:
    populations, first = [], 1
    for region, rates in RATES_HZ.items():
        for name, _ in rates.items():
            size = 40 + 13 * (len(populations) % 7)
            populations.append(
                {"name": f"{region}_{name}", "region": region, "first_id": first, "size": size}
            )
            first += size
    return populations


def made_up_trials(trials: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    records = []
    for index in range(trials):
        block, force_mN = BLOCKS[index % len(BLOCKS)] if trials < 3 else BLOCKS[index * len(BLOCKS) // trials]
        start = 300.0 + CYCLE_MS * index
        peak = float(rng.normal(8.0, 1.2))
        outcome = "timeout" if peak < 7 else "missed" if rng.random() < 0.25 else "rewarded"
        go = None if peak < 4 else start + 500 + float(rng.normal(110, 15))
        end = start + (1500 if outcome == "timeout" else 500 + float(rng.normal(420, 40)))
        records.append(
            {"index": index, "begin_ms": start, "cue_ms": start + 500, "start_ms": go, "end_ms": end,
             "outcome": outcome, "peak_pull_mm": peak, "reward": float(outcome == "rewarded"),
             "block": block, "lateral_force_mN": force_mN, "catch": False,
             "peak_speed_mm_s": 20 * peak, "deviation_before_mm": float(rng.normal(0, 0.3)),
             "deviation_after_mm": float(rng.normal(0.1 * force_mN, 0.5)) if peak >= 6 else None}
        )  # fmt: skip
    return records


def drive(t_ms: np.ndarray, trials: list[dict[str, Any]]) -> np.ndarray:
    """Return a smooth 0..1 pulse after each cue."""
    pulse = np.zeros(len(t_ms))
    for trial in trials:
        x = (t_ms - trial["cue_ms"] - 50) / 150
        pulse += np.where((x > 0) & (x < 12), x * np.exp(1 - x), 0.0)
    return pulse


def make_run(
    path: Path, *, trials: int, seconds: float, status: str = "complete", seed: int = 3
) -> recording.Run:
    """Record what looks like a session: pulls after cues, rates that follow them, forces on some trials."""
    rng = generator(seed, "made-up run")
    records = made_up_trials(trials, rng)
    populations = made_up_populations()
    manifest = {
        "seed": seed,
        "command": ["robobrain", "run"],
        "brain": {"size": "tiny", "exchange_ms": 10.0,
                  "neurons": populations[-1]["first_id"] + populations[-1]["size"] - 1,
                  "populations": populations,
                  "histories": [{"name": "V_m_M1_L5B_PT", "unit": "mV", "columns": ["700", "703"],
                                 "interval_ms": 1.0, "description": ""}]},
        "protocol": "pull",
        "task": {"name": "made up", "zones": ZONES, "force_field": {"onset_mm": 4.0}},
    }  # fmt: skip
    writer = recording.create(path, manifest)
    t = np.arange(0.0, 1e3 * seconds)
    pulse = drive(t, records)
    scale = np.interp(t, [r["cue_ms"] for r in records] or [0], [r["peak_pull_mm"] for r in records] or [0])
    force = np.zeros(len(t))
    for record in records:
        if record["start_ms"] is not None and record["lateral_force_mN"]:
            force[(t > record["start_ms"]) & (t < record["start_ms"] + 400)] = 20.0
    smooth = np.exp(-np.arange(300) / 80) / 80
    wander = np.convolve(rng.normal(0, 1, len(t)), smooth)[: len(t)]
    lateral = np.convolve(force, smooth)[: len(t)] * 0.06 + wander * 1.5 * (0.3 + pulse)
    joystick = np.stack([lateral, pulse * scale + 0.1 * wander], axis=1)
    writer.declare("joystick_mm", "mm", ("lateral", "pull"))
    writer.append("joystick_mm", t, joystick)
    writer.declare("paw_mm", "mm", ("lateral", "pull", "vertical"))
    writer.append("paw_mm", t, np.column_stack([0.8 * lateral + 0.2, 0.9 * joystick[:, 1], 0.2 * pulse]))
    record_exchanges(writer, t[::10], pulse[::10], force[::10], rng)
    writer.declare("V_m_M1_L5B_PT", "mV", ("700", "703"))
    writer.append("V_m_M1_L5B_PT", t[1:], rng.normal(-62.0, 3.0, (len(t) - 1, 2)))
    record_spikes(writer, populations, pulse, rng)
    for record in records:
        writer.event(record["cue_ms"], "cue")
        writer.event(record["end_ms"], "end", {"trial": record["index"], "outcome": record["outcome"]})
        writer.trial(record)
    writer.close(status)
    return recording.open(path)


def record_exchanges(
    writer: recording.RunWriter, t: np.ndarray, pulse: np.ndarray, force: np.ndarray, rng: np.random.Generator
) -> None:
    gains = np.array([0.9, 0.2, 0.7, 0.15, 0.8, 0.1, 0.5, 0.3])
    noise = rng.normal(0, 0.05, (len(t), 8))
    activation = np.clip(0.05 + gains * pulse[:, np.newaxis] + noise, 0, 1)
    for name, unit, values in (
        ("stimulation", "1", (pulse[:, np.newaxis] > 0.3) * gains),
        ("motor_rate_hz", "Hz", 60 * activation + rng.normal(0, 3, (len(t), 8)).clip(0)),
        ("activation", "1", activation),
    ):
        writer.declare(name, unit, MUSCLES)
        writer.append(name, t, values)
    writer.declare("lateral_force_mN", "mN", ("force",))
    writer.append("lateral_force_mN", t, force)
    writer.declare("region_rate_hz", "Hz", ("M1", "S1", "VL", "VM", "BG", "CB_M1", "CB_S1"))
    base = np.array([2.5, 3.0, 7.0, 8.0, 4.0, 3.5, 3.0])
    writer.append("region_rate_hz", t, rng.normal(base * (1 + 0.8 * pulse[:, np.newaxis]), 0.3).clip(0))
    writer.declare("phase_time_ms", "ms", ("brain", "body", "exchange", "task"))
    writer.append("phase_time_ms", t, rng.gamma(20, np.array([2.6, 0.4, 0.3, 0.05]) / 20, (len(t), 4)))


def record_spikes(
    writer: recording.RunWriter,
    populations: list[dict[str, Any]],
    pulse: np.ndarray,
    rng: np.random.Generator,
) -> None:
    ids = np.concatenate([p["first_id"] + np.arange(p["size"]) for p in populations]).astype(np.uint32)
    rates = [r for region in RATES_HZ.values() for r in region.values()]
    rate = np.repeat(rates, [p["size"] for p in populations])
    for start in range(0, len(pulse), 10):
        expected = rate * 0.01 * (1 + 1.5 * pulse[start])
        sender = np.repeat(ids, rng.poisson(expected))
        writer.spikes(start + np.sort(rng.integers(1, 21, len(sender))) * 0.5, rng.permutation(sender))
        writer.commit()


def small_run(path: Path, **options: Any) -> recording.RunWriter:
    """Create a run with two streams and nothing in them."""
    writer = recording.create(path, TWO_POPULATIONS, **options)
    writer.declare("joystick_mm", "mm", ("lateral", "pull"))
    writer.declare("reward", "1", ("reward",), dtype="int64")
    return writer
