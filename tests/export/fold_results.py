"""Fold results made by hand."""

import numpy as np

from export import fold_result


def half_result(*, protocol="study", half=0, scores, threshold=0.5, other=None, names="scan"):
    """Three normal and three abnormal scans; scores are in that order."""
    scans = tuple(
        fold_result.ScanResult(
            scan=f"{names}{at}.png",
            group=f"{names}{at}",
            abnormal=at >= 3,
            score=score,
            anomalous=score > threshold,
            psnr=20.0 + at if at < 3 else None,
            ssim=None,
        )
        for at, score in enumerate(scores)
    )
    return fold_result.HalfResult(
        protocol=protocol,
        half=half,
        recipe="mean_square",
        record=3,
        validation_auroc=0.9,
        score_threshold=threshold,
        chosen_by="hand",
        scans=scans,
        other_scores=other or {},
    )


def fold(*, method="cae", number=0, tests, trivial=False, seconds=2.0, grouped=False):
    return fold_result.FoldResult(
        schema=fold_result.SCHEMA,
        study="tiny",
        method=method,
        trivial=trivial,
        grouped=grouped,
        fold=number,
        fingerprint="f",
        fit_seconds=seconds,
        history={"loss": ((0, 1.0), (1, 0.5))},
        tests=tuple(tests),
        provenance={"git_commit": "abc", "git_dirty": False, "machine": "Linux, 1 threads"},
    )


def many(method, shift, *, trivial=False):
    """Two folds of two halves each; a `shift` parts the classes."""
    chance = np.random.default_rng(0)
    return [
        fold(
            method=method,
            number=number,
            trivial=trivial,
            seconds=None if trivial else 2.0,
            tests=[
                half_result(
                    half=half,
                    names=f"f{number}h{half}s",
                    scores=[float(it) for it in chance.random(6) + shift * (np.arange(6) >= 3)],
                )
                for half in (0, 1)
            ],
        )
        for number in (0, 1)
    ]
