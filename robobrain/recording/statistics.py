"""Statistics of conditions side by side. Needs SciPy (the extra ``analysis``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from robobrain.errors import RecordingError

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Group:
    """One measure in one condition."""

    label: str
    n: int
    median: float
    q25: float
    q75: float
    mean: float


@dataclass(frozen=True, kw_only=True)
class Test:
    """A test of one measure between conditions.

    Attributes:
        measure: What was measured.
        labels: The conditions.
        name: The test.
        statistic: Its statistic.
        p: Its p-value, two-sided.
        p_holm: Adjusted over all tests of a table (Holm).
        effect: Cliff's delta for two samples (1: all of the second are larger), difference of the shares
            for two shares; None for more conditions.
    """

    __test__ = False  # no test case, whatever pytest thinks of the name

    measure: str
    labels: tuple[str, ...]
    name: str
    statistic: float
    p: float
    p_holm: float = np.nan
    effect: float | None = None


def describe(label: str, values: Values) -> Group:
    """Return count, median, quartiles and mean of a sample; NaN where it is empty."""
    if not len(values):
        return Group(label=label, n=0, median=np.nan, q25=np.nan, q75=np.nan, mean=np.nan)
    q25, median, q75 = (float(q) for q in np.percentile(values, [25, 50, 75]))
    return Group(label=label, n=len(values), median=median, q25=q25, q75=q75, mean=float(values.mean()))


def compare_samples(measure: str, samples: Mapping[str, Values]) -> list[Test]:
    """Test numbers between conditions by ranks, which assumes no distribution.

    Two conditions: Mann and Whitney's U. More: Kruskal and Wallis's H over all, then U of each pair.
    Conditions with fewer than two values are left out; without two conditions there is no test.
    """
    stats = _scipy_stats()
    known = {label: values for label, values in samples.items() if len(values) >= 2}
    tests = []
    if len(known) > 2 and len(np.unique(np.concatenate(list(known.values())))) > 1:
        statistic, p = stats.kruskal(*known.values())
        tests.append(
            Test(measure=measure, labels=tuple(known), name="Kruskal-Wallis", statistic=statistic, p=p)
        )
    for (first, a), (second, b) in combinations(known.items(), 2):
        statistic, p = stats.mannwhitneyu(a, b, alternative="two-sided")
        delta = 1.0 - 2.0 * float(statistic) / (len(a) * len(b))
        tests.append(
            Test(measure=measure, labels=(first, second), name="Mann-Whitney U", statistic=float(statistic),
                 p=float(p), effect=delta)
        )  # fmt: skip
    return tests


def compare_shares(measure: str, counts: Mapping[str, tuple[int, int]]) -> list[Test]:
    """Test shares between each pair of conditions by Fisher's exact test.

    Args:
        measure: What is counted.
        counts: Per condition, how many of how many.
    """
    stats = _scipy_stats()
    known = {label: count for label, count in counts.items() if count[1]}
    tests = []
    for (first, (a, n)), (second, (b, m)) in combinations(known.items(), 2):
        odds, p = stats.fisher_exact([[a, n - a], [b, m - b]])
        tests.append(
            Test(measure=measure, labels=(first, second), name="Fisher exact", statistic=float(odds),
                 p=float(p), effect=b / m - a / n)
        )  # fmt: skip
    return tests


def adjust(tests: Sequence[Test]) -> list[Test]:
    """Return the tests with p-values adjusted for their number (Holm's step-down method)."""
    order = np.argsort([test.p for test in tests], kind="stable")
    adjusted, worst = [np.nan] * len(tests), 0.0
    for rank, index in enumerate(order):
        worst = max(worst, min(1.0, (len(tests) - rank) * tests[index].p))
        adjusted[index] = worst
    return [replace(test, p_holm=p) for test, p in zip(tests, adjusted, strict=True)]


def _scipy_stats() -> Any:
    try:
        from scipy import stats  # noqa: PLC0415 - only comparisons need it
    except ImportError as error:
        raise RecordingError("Comparing runs needs SciPy. Fix: pip install 'robobrain[analysis]'.") from error
    return stats
