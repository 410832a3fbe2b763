"""Random streams: one root seed, split by name, so that no part disturbs another's draws."""

from __future__ import annotations

import zlib

import numpy as np

NEST_SEED_MAX = 2**32 - 1
"""Largest ``rng_seed`` that NEST 3.10 accepts (``nest.rng_seed`` documentation)."""


def seed_sequence(root_seed: int, *names: str) -> np.random.SeedSequence:
    """Return the seed sequence that belongs to ``names`` under ``root_seed``.

    The names are hashed with CRC-32, so a stream depends on its own name only and not on the order in
    which streams are asked for.
    """
    return np.random.SeedSequence(root_seed, spawn_key=tuple(zlib.crc32(name.encode()) for name in names))


def generator(root_seed: int, *names: str) -> np.random.Generator:
    """Return a fresh generator for the stream ``names`` of ``root_seed``."""
    return np.random.default_rng(seed_sequence(root_seed, *names))


def nest_seed(root_seed: int, *names: str) -> int:
    """Return the kernel seed in 1 ... 2**32 - 1 for the stream ``names`` of ``root_seed``."""
    return int(seed_sequence(root_seed, *names).generate_state(1)[0]) % NEST_SEED_MAX + 1
