"""What a network's numbers mean, learned on synthetic scans that it was not trained on.

Voxels: slope and offset (Platt 1999) that turn logits into frequencies. Mask: the probability that gives the best mean
Dice, and whether a scan that expects a higher Dice may raise it. Lesions: how often a connected component with this
mean logit, volume and, where that tells more, largest logit and place touches a drawn lesion.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.imaging.boxes import extent_without_strays

THRESHOLDS = np.round(np.arange(0.05, 0.96, 0.05), 2)
MIN_VOXELS = 4
"""Smaller components are neither counted nor rated (1 mm voxels)."""
VOXELS_PER_SCAN = 20000
BINS = 10
EXPECTED_BINS = 1000
"""Steps of probability in which the largest expected Dice is looked for."""
BOTH = np.ones((3, 3, 3), dtype=bool)
SIMPLE = ("mean logit", "log10 ml")
PEAKED = (*SIMPLE, "largest logit")
PLACED = (*PEAKED, "from the midline", "from the back", "height", "height squared")
"""What a component's probability may be told from. Places are shares of the brain's box, that from the midline of its
half: a box is no registration, but it needs none."""
FOLDS = 5
"""Parts of the scans of which each is rated by what was learned from the others, to choose among these."""


@dataclass(frozen=True)
class Judged:
    """One synthetic scan's logits inside its brain box, its truth, and its brain, each (x, y, z)."""

    logits: NDArray[np.float32]
    truth: NDArray[np.bool_]
    brain: NDArray[np.bool_]


def calibrate(scans: Sequence[Judged], rng: np.random.Generator) -> dict[str, Any]:
    """Everything that config.json's ``calibration`` holds: plain values only."""
    slope, offset = _platt(*_sampled_voxels(scans, rng))
    sick, free = ([scan for scan in scans if scan.truth.any() == there] for there in (True, False))
    fixed, raised = (np.array([_dices(scan, slope, offset, raising) for scan in sick]) for raising in (False, True))
    false_ml = np.array([[_volumes_ml(scan, slope, offset, raising) for scan in free] for raising in (False, True)])
    chosen, raises = _choose(fixed, raised, false_ml)
    dice = raised if raises else fixed
    cuts = [_thresholds(scan, slope, offset, raises)[chosen] for scan in scans]
    features, hits, of_scan = components_of(scans, cuts, slope, offset)
    names, weights = lesion_model(features, hits, of_scan)
    return {
        "slope": slope,
        "offset": offset,
        "threshold": float(THRESHOLDS[chosen]),
        "scans": len(scans),
        "mean_dice": float(dice[:, chosen].mean()) if sick else float("nan"),
        "raises": raises,
        "dice_by_threshold": _by_threshold(fixed),
        "dice_by_threshold_raised": _by_threshold(raised),
        "false_positive_ml_lesion_free": [float(ml[chosen]) for ml in false_ml[int(raises)]],
        "lesion_features": list(names),
        "lesion_weights": list(map(float, weights)),
        "voxel_reliability": _voxel_reliability(scans, slope, offset),
        "lesion_reliability": reliability(probability(features[:, : len(names)], weights), hits),
    }


def best_expected_dice(probabilities: NDArray[np.floating]) -> float:
    """The largest Dice that a mask of this scan can expect, if its voxels are lesion with these probabilities.

    The mask with the largest expected Dice is that of all voxels above half of it (Lipton et al. 2014,
    https://doi.org/10.1007/978-3-662-44851-9_15; for segmentation Dai & Li 2023,
    https://arxiv.org/abs/2206.13086). Expectations are taken of intersection and sizes apart, which is
    exact for many voxels.

    Parameters
    ----------
    probabilities
        Of the brain's voxels, any shape. NaN is returned where all are 0.
    """
    counts, edges = np.histogram(probabilities, bins=EXPECTED_BINS, range=(0, 1))
    marked = np.cumsum(counts[::-1])
    hit = np.cumsum((counts * (edges[:-1] + edges[1:]) / 2)[::-1])
    lesion = float(np.sum(probabilities, dtype=np.float64))
    return float((2 * hit / (marked + lesion)).max()) if lesion > 0 else float("nan")


def component_features(
    labels: NDArray[np.integer],
    logits: NDArray[np.floating],
    voxel_ml: float,
    brain: NDArray[np.bool_],
    names: Sequence[str] = SIMPLE,
) -> NDArray[np.float64]:
    """What is known of each numbered component, one row a component; (components, names).

    Parameters
    ----------
    labels, logits, brain
        (x, y, z) on one grid, logits calibrated.
    names
        `SIMPLE`, `PEAKED` or `PLACED`.
    """
    count = int(labels.max())
    if count == 0:
        return np.zeros((0, len(names)))
    # Components are a hundredth of a volume: what they have is summed over their own voxels.
    inside = labels > 0
    numbers, bounded = labels[inside] - 1, np.clip(logits[inside], -10, 10)
    sizes = np.bincount(numbers, minlength=count)
    columns = [np.bincount(numbers, bounded, count) / sizes, np.log10(sizes * voxel_ml)]
    if len(names) > len(SIMPLE):
        largest = np.full(count, -np.inf)
        np.maximum.at(largest, numbers, bounded)
        columns.append(largest)
    if len(names) > len(PEAKED):
        low, high = extent_without_strays(brain)
        places = np.argwhere(inside)
        middles = np.stack([np.bincount(numbers, along, count) / sizes for along in places.T], axis=1)
        x, y, z = ((middles - low) / (high - low)).T
        columns += [np.abs(2 * x - 1), y, z, z**2]
    return np.stack(columns, axis=1)


def lesion_model(
    features: NDArray[np.floating], hits: NDArray[np.floating], of_scan: NDArray[np.integer]
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Which features tell best whether a component is a lesion, and the weights of their logistic function.

    The fewest are taken that nothing beats on scans that the weights were not learned from.

    Parameters
    ----------
    features
        `PLACED` of each component.
    hits
        1 where it touches a lesion.
    of_scan
        The number of the scan that each lies in.
    """
    if len(hits) < 20 or not 0 < hits.mean() < 1:
        return SIMPLE, np.array([0.0, 1.0, 0.0])
    chosen = min((SIMPLE, PEAKED, PLACED), key=lambda names: _loss_elsewhere(features[:, : len(names)], hits, of_scan))
    return chosen, logistic(features[:, : len(chosen)], hits)


def _loss_elsewhere(features: NDArray, hits: NDArray, of_scan: NDArray) -> float:
    """Mean logarithmic loss on scans that the weights were not learned from."""
    losses = np.zeros(len(hits))
    for fold in range(FOLDS):
        left = of_scan % FOLDS == fold
        if left.any() and not left.all():
            chance = np.clip(probability(features[left], logistic(features[~left], hits[~left])), 1e-9, 1 - 1e-9)
            losses[left] = -(hits[left] * np.log(chance) + (1 - hits[left]) * np.log(1 - chance))
    return float(losses.mean())


def probability(features: NDArray[np.floating], weights: Sequence[float] | NDArray) -> NDArray[np.float64]:
    """Logistic function of offset + weights times features; (components,)."""
    offset, *slopes = weights
    return 1 / (1 + np.exp(-(offset + np.asarray(features, dtype=float).reshape(-1, len(slopes)) @ np.array(slopes))))


def components_of(
    scans: Iterable[Judged], thresholds: Iterable[float], slope: float, offset: float
) -> tuple[NDArray, NDArray, NDArray]:
    """Features (`PLACED`) of every component of every scan at its threshold, whether it touches a drawn lesion, and the
    number of its scan.

    A tenth of its voxels must touch.
    """
    features, hits, of_scan = [np.zeros((0, len(PLACED)))], [np.zeros(0)], [np.zeros(0, np.int64)]
    for number, (scan, threshold) in enumerate(zip(scans, thresholds, strict=True)):
        found = _marked(scan, slope, offset, threshold)
        labels, count = ndimage.label(found, structure=BOTH)
        if count == 0:
            continue
        sizes = np.bincount(labels.ravel())[1:]
        rows = component_features(labels, slope * scan.logits + offset, 0.001, scan.brain, PLACED)
        touched = ndimage.mean(scan.truth.astype(float), labels, np.arange(1, count + 1)) >= 0.1
        kept = sizes >= MIN_VOXELS
        features.append(rows[kept])
        hits.append(np.asarray(touched, dtype=float)[kept])
        of_scan.append(np.full(int(kept.sum()), number))
    return np.concatenate(features), np.concatenate(hits), np.concatenate(of_scan)


def logistic(features: NDArray[np.floating], hits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Maximum-likelihood offset and weights, with a weak pull towards zero."""
    from scipy import optimize  # .2 s to load, and who scores a scan fits nothing

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
    from scipy import optimize

    def loss(pair: NDArray) -> float:
        z = pair[0] * logits + pair[1]
        return float((np.logaddexp(0, z) - truth * z).mean())

    slope, offset = optimize.minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead").x
    return (float(slope), float(offset)) if slope > 0 else (1.0, 0.0)


def _thresholds(scan: Judged, slope: float, offset: float, raising: bool) -> NDArray[np.floating]:
    """`THRESHOLDS`, each at least half of the scan's largest expected Dice if the rule is `raising`."""
    if not raising:
        return THRESHOLDS
    return np.fmax(THRESHOLDS, best_expected_dice(_shares(scan, slope, offset)) / 2)


def _marked(scan: Judged, slope: float, offset: float, threshold: float) -> NDArray[np.bool_]:
    return (scan.logits * slope + offset >= np.log(threshold / (1 - threshold))) & scan.brain


def _dices(scan: Judged, slope: float, offset: float, raising: bool) -> list[float]:
    """Dice at each threshold."""
    masks = (_marked(scan, slope, offset, threshold) for threshold in _thresholds(scan, slope, offset, raising))
    return [float(2 * (mask & scan.truth).sum() / (mask.sum() + scan.truth.sum())) for mask in masks]


def _volumes_ml(scan: Judged, slope: float, offset: float, raising: bool) -> list[float]:
    """Marked ml (voxels of 1 mm) at each threshold."""
    thresholds = _thresholds(scan, slope, offset, raising)
    return [float(_marked(scan, slope, offset, threshold).sum()) / 1000 for threshold in thresholds]


def _choose(fixed: NDArray, raised: NDArray, false_ml: NDArray) -> tuple[int, bool]:
    """Index of the threshold, and whether a scan may raise it.

    The fixed threshold of the best mean Dice; or, where raising gains, the best threshold to raise from that marks no
    more in scans without lesions, in the mean, than that one does.

    Parameters
    ----------
    fixed, raised
        Dice (scans with lesions, thresholds).
    false_ml
        ml in scans without lesions, fixed and raised (2, scans without lesions, thresholds).
    """
    if not len(fixed):
        return int(np.argmin(np.abs(THRESHOLDS - 0.5))), False
    best = int(fixed.mean(axis=0).argmax())
    gain = raised.mean(axis=0)
    if false_ml.shape[1]:
        false_fixed, false_raised = false_ml.mean(axis=1)
        gain = np.where(false_raised <= false_fixed[best], gain, 0.0)
    chosen = int(gain.argmax())
    return (chosen, True) if gain[chosen] > fixed.mean(axis=0)[best] else (best, False)


def _by_threshold(dice: NDArray) -> dict[str, float]:
    """Mean Dice by threshold; empty where there is no scan with lesions."""
    if not len(dice):
        return {}
    return {str(t): float(d) for t, d in zip(THRESHOLDS, dice.mean(axis=0), strict=True)}


def _shares(scan: Judged, slope: float, offset: float) -> NDArray[np.floating]:
    """Probabilities of the brain's voxels (voxels,)."""
    return np.asarray(1 / (1 + np.exp(-np.clip(slope * scan.logits[scan.brain] + offset, -30, 30))))


def _voxel_reliability(scans: Sequence[Judged], slope: float, offset: float) -> list[dict[str, float]]:
    logits = np.concatenate([scan.logits[scan.brain][::7] for scan in scans])
    truth = np.concatenate([scan.truth[scan.brain][::7] for scan in scans]).astype(float)
    return reliability(1 / (1 + np.exp(-np.clip(slope * logits + offset, -30, 30))), truth)
