"""Is one method better than another? The corrected resampled t-test (Nadeau & Bengio, 2003).

The results of a cross validation share training images and are not independent: the plain t-test
takes their variance for too small and finds differences that are none. The correction adds to
1 / results the ratio of test to training images. Ours is that of all images, 70 / 60 on head CT,
although the abnormal ones of a test train nothing: of two readings the more cautious one.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats


class Verdict(NamedTuple):
    """A mean difference, and how surprising it would be between equals."""

    difference: float
    t: float
    p: float  # two-sided


def corrected_t_test(
    first: Sequence[float], second: Sequence[float], *, test_to_train: float
) -> Verdict:
    """Compare two methods by their results on the same folds, in the same order.

    Raises:
        ValueError: they are not paired, or fewer than two.
    """
    if len(first) != len(second) or len(first) < 2:
        raise ValueError(f"{len(first)} and {len(second)} results: need two or more pairs")
    differences = np.asarray(first, float) - np.asarray(second, float)
    mean, count = float(differences.mean()), len(differences)
    variance = float(differences.var(ddof=1)) * (1 / count + test_to_train)
    if variance == 0:
        return Verdict(mean, 0.0 if mean == 0 else math.copysign(math.inf, mean), float(mean == 0))
    t = mean / math.sqrt(variance)
    return Verdict(mean, t, float(2 * stats.t.sf(abs(t), count - 1)))
