"""Reward as named terms, each already weighted; their sum is the reward of a step."""

from __future__ import annotations

from robobrain.tasks.joystick.specification import RewardWeights
from robobrain.tasks.joystick.trial import Outcome, TrialResult

REWARD_TERMS = ("success", "progress", "effort", "miss")
"""Names of the terms, in the order of recordings."""


def reward_terms(
    weights: RewardWeights,
    *,
    gained_progress: float,
    mean_squared_excitation: float,
    duration_s: float,
    result: TrialResult | None,
) -> dict[str, float]:
    """Return the weighted terms of one step.

    Args:
        weights: Weight of each term.
        gained_progress: Part of the way from rest to the target that was newly covered (0..1).
        mean_squared_excitation: Mean over muscles of the squared excitation (0..1).
        duration_s: Length of the step.
        result: The trial that ended in this step, if one did.
    """
    rewarded = result is not None and result.outcome is Outcome.REWARDED
    failed = result is not None and not rewarded
    return {
        "success": weights.success * rewarded,
        "progress": weights.progress * max(gained_progress, 0.0),
        "effort": -weights.effort * mean_squared_excitation * duration_s,
        "miss": -weights.miss * failed,
    }
