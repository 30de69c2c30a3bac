"""What a network's numbers mean, learned on synthetic scans that it was not trained on.

Voxels: slope and offset (Platt 1999) that turn logits into frequencies. Mask: the probability that gives the best mean
Dice. Lesions: how often a connected component with this mean logit and volume touches a drawn lesion.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

THRESHOLDS = np.round(np.arange(0.05, 0.96, 0.05), 2)
MIN_VOXELS = 4
"""Smaller components are neither counted nor rated (1 mm voxels)."""
VOXELS_PER_SCAN = 20000
BINS = 10
BOTH = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True)
class Judged:
    """One synthetic scan's logits inside its brain box, its truth, and its brain, each (x, y, z)."""

    logits: NDArray[np.float32]
    truth: NDArray[np.bool_]
    brain: NDArray[np.bool_]


def calibrate(scans: Sequence[Judged], rng: np.random.Generator) -> dict[str, Any]:
    """Everything that config.json's ``calibration`` holds: plain values only."""
    slope, offset = _platt(*_sampled_voxels(scans, rng))
    dice = np.array([[_dice(scan, slope, offset, t) for t in THRESHOLDS] for scan in scans if scan.truth.any()])
    chosen = int(np.nanmean(dice, axis=0).argmax()) if len(dice) else int(np.argmin(np.abs(THRESHOLDS - 0.5)))
    threshold = float(THRESHOLDS[chosen])
    cut = (np.log(threshold / (1 - threshold)) - offset) / slope
    features, hits = components_of(scans, cut, slope, offset)
    weights = logistic(features, hits) if len(hits) >= 20 and 0 < hits.mean() < 1 else np.array([0.0, 1.0, 0.0])
    free_ml = [float((scan.logits[scan.brain] >= cut).sum()) / 1000 for scan in scans if not scan.truth.any()]
    return {
        "slope": slope,
        "offset": offset,
        "threshold": threshold,
        "scans": len(scans),
        "mean_dice": float(np.nanmean(dice[:, chosen])) if len(dice) else float("nan"),
        "dice_by_threshold": {str(t): float(d) for t, d in zip(THRESHOLDS, np.nanmean(dice, axis=0), strict=True)}
        if len(dice)
        else {},
        "false_positive_ml_lesion_free": free_ml,
        "lesion_weights": list(map(float, weights)),
        "voxel_reliability": _voxel_reliability(scans, slope, offset),
        "lesion_reliability": reliability(probability(features, weights), hits),
    }


def component_features(
    labels: NDArray[np.integer], logits: NDArray[np.floating], voxel_ml: float
) -> NDArray[np.float64]:
    """Mean calibrated logit and log10 of the volume in ml, one row a component; (components, 2)."""
    count = int(labels.max())
    if count == 0:
        return np.zeros((0, 2))
    index = np.arange(1, count + 1)
    volume = ndimage.sum_labels(np.ones_like(labels), labels, index) * voxel_ml
    mean = ndimage.mean(np.clip(logits, -10, 10), labels, index)
    return np.stack([mean, np.log10(volume)], axis=1)


def probability(features: NDArray[np.floating], weights: Sequence[float] | NDArray) -> NDArray[np.float64]:
    """Logistic function of offset + weights times features; (components,)."""
    offset, *slopes = weights
    return 1 / (1 + np.exp(-(offset + np.asarray(features, dtype=float).reshape(-1, len(slopes)) @ np.array(slopes))))


def components_of(scans: Iterable[Judged], cut: float, slope: float, offset: float) -> tuple[NDArray, NDArray]:
    """Features of every component of every scan, and whether it touches a drawn lesion with a tenth of its voxels."""
    features, hits = [np.zeros((0, 2))], [np.zeros(0)]
    for scan in scans:
        found = (scan.logits >= cut) & scan.brain
        labels, count = ndimage.label(found, structure=BOTH)
        if count == 0:
            continue
        sizes = np.bincount(labels.ravel())[1:]
        rows = component_features(labels, slope * scan.logits + offset, 0.001)
        touched = ndimage.mean(scan.truth.astype(float), labels, np.arange(1, count + 1)) >= 0.1
        kept = sizes >= MIN_VOXELS
        features.append(rows[kept])
        hits.append(np.asarray(touched, dtype=float)[kept])
    return np.concatenate(features), np.concatenate(hits)


def logistic(features: NDArray[np.floating], hits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Maximum-likelihood offset and weights, with a weak pull towards zero."""
    matrix = np.column_stack([np.ones(len(features)), features])

    def loss(weights: NDArray) -> float:
        logits = matrix @ weights
        return float(np.logaddexp(0, logits).sum() - hits @ logits + 0.01 * weights @ weights)

    return np.asarray(optimize.minimize(loss, np.zeros(matrix.shape[1]), method="BFGS").x)


def reliability(predicted: NDArray[np.floating], happened: NDArray[np.floating]) -> list[dict[str, float]]:
    """Ten bins of equal width: mean prediction, share that happened, count; empty bins are left out."""
    bins = np.minimum((predicted * BINS).astype(int), BINS - 1)
    return [
        {
            "predicted": float(predicted[bins == b].mean()),
            "observed": float(happened[bins == b].mean()),
            "count": int((bins == b).sum()),
        }
        for b in range(BINS)
        if (bins == b).any()
    ]


def _sampled_voxels(scans: Sequence[Judged], rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    logits, truths = [], []
    for scan in scans:
        inside = np.flatnonzero(scan.brain)
        chosen = rng.choice(inside, min(VOXELS_PER_SCAN, len(inside)), replace=False)
        logits.append(scan.logits.ravel()[chosen])
        truths.append(scan.truth.ravel()[chosen])
    return np.concatenate(logits).astype(np.float64), np.concatenate(truths).astype(np.float64)


def _platt(logits: NDArray, truth: NDArray) -> tuple[float, float]:
    """Slope and offset of a logistic regression on the logits; a slope that is not positive falls back on 1."""

    def loss(pair: NDArray) -> float:
        z = pair[0] * logits + pair[1]
        return float((np.logaddexp(0, z) - truth * z).mean())

    slope, offset = optimize.minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead").x
    return (float(slope), float(offset)) if slope > 0 else (1.0, 0.0)


def _dice(scan: Judged, slope: float, offset: float, threshold: float) -> float:
    found = (scan.logits * slope + offset >= np.log(threshold / (1 - threshold))) & scan.brain
    return float(2 * (found & scan.truth).sum() / (found.sum() + scan.truth.sum()))


def _voxel_reliability(scans: Sequence[Judged], slope: float, offset: float) -> list[dict[str, float]]:
    logits = np.concatenate([scan.logits[scan.brain][::7] for scan in scans])
    truth = np.concatenate([scan.truth[scan.brain][::7] for scan in scans]).astype(float)
    return reliability(1 / (1 + np.exp(-np.clip(slope * logits + offset, -30, 30))), truth)
