"""A brain that records some of its episodes only, so that recording can be measured in one and the same."""

from __future__ import annotations

from robobrain.brain.model import BrainModel
from robobrain.bridge.messages import Readings, Resets
from robobrain.errors import ConfigurationError

QUIET = 2**32
"""Added to the seed of an episode, which is less, where it is not to be recorded; its course is the same."""


class SometimesQuietBrain(BrainModel):
    """Records the spikes of an episode unless its seed has `QUIET` added; each begins in a copy."""

    def begin(self, seed: int) -> Readings:
        """Begin an episode, and stop recording where it is to be quiet.

        Raises:
            ConfigurationError: Some neurons are NEST's own, whose recorder can't be taken away, or the brain
                returns to its settled state in this process, whose later episodes would be quiet as well.
        """
        quiet, own_seed = divmod(seed, QUIET)
        if quiet and self.description.resets is not Resets.COPY:
            raise ConfigurationError("only a brain that is reset by copies can be quiet for an episode")
        if quiet and self._tap is not None:
            self._tap.stop()
            self._tap = None
        return super().begin(own_seed)
