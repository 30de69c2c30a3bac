"""Voxel counts at every threshold, of fixed size, that add up from scans to cohorts.

Error of each metric
    Counts at the start of a bin are exact; the order inside a bin is not known. What a finer binning could change is
    bounded by the counts themselves (`Counts.bounds`): between the order inside each bin that is best for the metric
    (lesion voxels first) and the one that is worst. A threshold found is off by at most the width of its bin.

Bootstrap
    Poisson(1) replicates on a coarser binning. The weights are drawn from the seed and the patient's name, so scans of
    one patient share them, and the sum of shards that never met is the whole cohort.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from flairline.metrics._binning import bin_starts, bins_of, coarse_starts
from flairline.metrics._growth import filtered_gains
from flairline.types import BoolArray, FloatArray

Int64Array = NDArray[np.int64]

N_REPLICATES = 200


@dataclass(frozen=True)
class ScanMap:
    """What evaluation needs of one scan: its explicit voxels, and how many implicit zeros there are besides.

    Explicit are the brain and every voxel whose score is not zero. The rest of the evaluated box has the score zero
    and is only counted; where a protocol looks at the brain alone, there is no rest.

    Attributes
    ----------
    shape
        Of the evaluated box.
    places
        Flat indices (C order) of the explicit voxels.
    score, truth, brain
        Of the explicit voxels.
    rest_true, rest_false
        Lesion and other voxels among the implicit zeros.
    """

    shape: tuple[int, int, int]
    places: NDArray[np.int64]
    score: FloatArray
    truth: BoolArray
    brain: BoolArray
    rest_true: int
    rest_false: int

    @classmethod
    def from_arrays(cls, score: FloatArray, truth: BoolArray, brain: BoolArray, brain_only: bool) -> ScanMap:
        """From whole arrays (x, y, z). With `brain_only`, nothing outside the brain exists, lesions included.

        Raises
        ------
        ValueError
            A score is NaN or infinite: whoever made it broke the contract.
        """
        explicit = brain if brain_only else brain | (score != 0)
        places = np.flatnonzero(explicit)
        values = score.ravel()[places].astype(np.float32)
        if not np.isfinite(values).all():
            msg = "scores must be finite, found NaN or infinity"
            raise ValueError(msg)
        explicit_truth = truth.ravel()[places]
        rest = 0 if brain_only else score.size - places.size
        rest_true = 0 if brain_only else int(np.count_nonzero(truth)) - int(np.count_nonzero(explicit_truth))
        x, y, z = score.shape
        return cls((x, y, z), places, values, explicit_truth, brain.ravel()[places], rest_true, rest - rest_true)

    @property
    def fills_its_box(self) -> bool:
        """Whether every voxel of the box is evaluated."""
        return self.places.size + self.rest_true + self.rest_false == int(np.prod(self.shape))

    @property
    def extremes(self) -> tuple[float, float]:
        """Lowest and highest score, implicit zeros included."""
        values = [0.0] if self.rest_true + self.rest_false else []
        if self.score.size:
            values += [float(self.score.min()), float(self.score.max())]
        return min(values), max(values)

    def dense(self, values: NDArray) -> NDArray:
        """An array (x, y, z) with `values` at the explicit voxels and zero elsewhere."""
        array = np.zeros(self.shape, values.dtype)
        array.ravel()[self.places] = values
        return array


@dataclass(frozen=True)
class OraclePoint:
    """The threshold that is best on the labels it is judged by, and the cohort's Dice there."""

    threshold: float
    dice_before_filter: float
    dice: float


@dataclass
class Counts:
    """True and false voxels by score, before and after the component filter, of any number of scans.

    Make one with `empty` (all thresholds) or `at_thresholds` (exactly the given ones), add scans with `update`, add
    shards with `+`. Memory does not grow with the number of scans.

    Attributes
    ----------
    starts
        Threshold at which each bin is taken in, ascending.
    inclusive
        Whether that means `score >= start` or, as published, `score > start`.
    gained
        (4, bins): what each bin adds: true and false voxels before, true and false voxels after the filter.
    outside
        True and false voxels outside the brain.
    coarse
        First bin of each coarse bin of the replicates.
    replicates, outside_replicates
        (replicates, 4, coarse bins) and (replicates, 2): bootstrap replicates of `gained` and `outside`.
    minimum, maximum
        Of all scores.
    grid
        Counts at a protocol's own thresholds, where it has them; the oracle threshold is then one of these and is
        chosen before the filter.
    """

    starts: NDArray[np.floating]
    gained: Int64Array
    coarse: NDArray[np.int64]
    replicates: Int64Array
    inclusive: bool = True
    outside: Int64Array = field(default_factory=lambda: np.zeros(2, np.int64))
    outside_replicates: Int64Array = field(default_factory=lambda: np.zeros((N_REPLICATES, 2), np.int64))
    minimum: float = np.inf
    maximum: float = -np.inf
    n_scans: int = 0
    seed: int = 0
    grid: Counts | None = None

    @classmethod
    def empty(cls, seed: int = 0) -> Counts:
        """Counts of no scan, at all thresholds."""
        starts, coarse = bin_starts(), coarse_starts()
        replicates = np.zeros((N_REPLICATES, 4, coarse.size), np.int64)
        return cls(starts, np.zeros((4, starts.size), np.int64), coarse, replicates, seed=seed)

    @classmethod
    def at_thresholds(cls, thresholds: NDArray[np.floating], seed: int = 0) -> Counts:
        """Counts of no scan, exact at ascending thresholds where `mask = score > threshold`, as published."""
        starts = np.append(-np.inf, thresholds)  # the first bin holds what no threshold marks
        n_bins = starts.size
        replicates = np.zeros((N_REPLICATES, 4, n_bins), np.int64)
        return cls(starts, np.zeros((4, n_bins), np.int64), np.arange(n_bins), replicates, inclusive=False, seed=seed)

    @property
    def nbytes(self) -> int:
        """Memory of all arrays; the same for every cohort."""
        own = (self.starts, self.gained, self.coarse, self.replicates, self.outside, self.outside_replicates)
        return sum(array.nbytes for array in own) + (self.grid.nbytes if self.grid else 0)

    @property
    def positives(self) -> int:
        """Lesion voxels."""
        return int(self.gained[0].sum())

    @property
    def negatives(self) -> int:
        """All other voxels."""
        return int(self.gained[1].sum())

    def update(self, scan: ScanMap, patient: str, smallest_kept_voxels: int = 20, connectivity: int = 26) -> None:
        """Add one scan, with what a filter leaves of it (1 or 0: no filter). Scans of one `patient` share weights."""
        bins, rest_bin = self._bins(scan.score), int(self._bins(np.zeros(1, np.float32))[0])
        n_bins, rest = self.starts.size, np.array([scan.rest_true, scan.rest_false])
        before = np.stack([np.bincount(bins[which], minlength=n_bins) for which in (scan.truth, ~scan.truth)])
        before[:, rest_bin] += rest
        after = _after_filter(scan, bins, rest_bin, before, smallest_kept_voxels, connectivity)
        gained = np.concatenate([before, after])
        beyond = ~scan.brain
        outside = rest + np.array([np.count_nonzero(scan.truth & beyond), np.count_nonzero(~scan.truth & beyond)])
        coarse = np.add.reduceat(gained, self.coarse, axis=1)
        used = np.flatnonzero(coarse.any(axis=0))
        weights = poisson_weights(patient, self.seed)
        self.replicates[:, :, used] += weights[:, None, None] * coarse[:, used]
        self.outside_replicates += weights[:, None] * outside
        self.gained += gained
        self.outside += outside
        low, high = scan.extremes
        self.minimum, self.maximum = min(self.minimum, low), max(self.maximum, high)
        self.n_scans += 1

    def __add__(self, other: Counts) -> Counts:
        """Counts of both cohorts. The shards must not share scans."""
        if (
            self.seed != other.seed
            or not np.array_equal(self.starts, other.starts)
            or bool(self.grid) != bool(other.grid)
        ):
            msg = "only counts of one seed and the same thresholds add up"
            raise ValueError(msg)
        return replace(
            self,
            gained=self.gained + other.gained,
            replicates=self.replicates + other.replicates,
            outside=self.outside + other.outside,
            outside_replicates=self.outside_replicates + other.outside_replicates,
            minimum=min(self.minimum, other.minimum),
            maximum=max(self.maximum, other.maximum),
            n_scans=self.n_scans + other.n_scans,
            grid=self.grid + other.grid if self.grid and other.grid else None,
        )

    def cumulated(self) -> Int64Array:
        """(4, bins) voxels marked at each threshold, from the highest threshold down."""
        return np.cumsum(self.gained[:, ::-1], axis=1)

    def dice_curves(self) -> tuple[NDArray[np.floating], NDArray[np.float64], NDArray[np.float64]]:
        """Thresholds from the highest down, Dice before and Dice after the filter; NaN without lesion voxels."""
        true, false, true_after, false_after = self.cumulated()
        before, after = (_dice(t, f, self.positives) for t, f in ((true, false), (true_after, false_after)))
        return self.starts[::-1], before, after

    def oracle(self) -> OraclePoint:
        """The best threshold, the highest of equals; NaN without lesion voxels."""
        if self.positives == 0:
            return OraclePoint(float("nan"), float("nan"), float("nan"))
        thresholds, before, after = (self.grid or self).dice_curves()
        tried = np.isfinite(thresholds)
        best = int(np.where(tried, before if self.grid else after, -1.0).argmax())
        best_before = float(before[tried].max())
        return OraclePoint(float(thresholds[best]), best_before, float(after[best]))

    def brain_only(self) -> Counts:
        """The same counts (before the filter) without what lies outside the brain, where every score is zero."""
        gained = self.gained.copy()
        gained[:2, np.searchsorted(self.starts, 0.0)] -= self.outside
        return replace(self, gained=gained, outside=np.zeros(2, np.int64))

    def coarsened(self) -> Counts:
        """The same counts on the replicates' binning: what an interval is centred against."""
        return self._on_coarse(np.add.reduceat(self.gained, self.coarse, axis=1), self.outside)

    def resampled(self, number: int) -> Counts:
        """Bootstrap replicate `number` (0 to N_REPLICATES - 1), on the replicates' binning."""
        resampled = self._on_coarse(self.replicates[number], self.outside_replicates[number])
        return replace(resampled, grid=self.grid.resampled(number) if self.grid else None)

    def bounds(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest value that each metric could have on the unbinned scores, by name; NaN if undefined."""
        nan = float("nan")
        if self.positives == 0 or self.negatives == 0:
            return dict.fromkeys(("auroc", "auprc", "average_precision", "dice_oracle"), (nan, nan))
        true, false, true_after, false_after = self.cumulated().astype(np.float64)
        new_true, new_false = self.gained[:2, ::-1].astype(np.float64)
        recall_gained = new_true / self.positives
        lesions_last = _ratio(true - new_true, true - new_true + false)
        lesions_first = _ratio(true, true + false - new_false)
        precision_area = float((recall_gained * lesions_last).sum()), float((recall_gained * lesions_first).sum())
        ties = float((recall_gained * new_false).sum()) / self.negatives / 2
        area = roc_area(self)
        best_dice = _dice(true_after, np.append(0, false_after[:-1]), self.positives).max()
        dice = self.oracle().dice
        return {
            "auroc": (area - ties, area + ties),
            "auprc": precision_area,
            "average_precision": precision_area,
            "dice_oracle": (dice, dice if self.grid else float(best_dice)),
        }

    def _bins(self, scores: FloatArray) -> NDArray[np.int32]:
        if self.inclusive:
            return bins_of(scores)
        return np.searchsorted(self.starts[1:], scores.astype(self.starts.dtype), side="left").astype(np.int32)

    def _on_coarse(self, gained: Int64Array, outside: Int64Array) -> Counts:
        nothing = np.zeros((0, 4, self.coarse.size), np.int64)
        return Counts(self.starts[self.coarse], gained, self.coarse, nothing, self.inclusive, outside, grid=self.grid)


def poisson_weights(patient: str, seed: int) -> Int64Array:
    """(replicates,) how often each bootstrap replicate draws this patient; the same wherever it is asked."""
    digest = hashlib.sha256(f"{seed}/{patient}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little")).poisson(1.0, N_REPLICATES)


def precision_recall(counts: Counts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and recall at every threshold that marks something, from the highest down; NaN without lesions."""
    true, false = counts.cumulated()[:2]
    marked = (true + false) > 0
    recall = true[marked] / counts.positives if counts.positives else np.full(int(marked.sum()), np.nan)
    return true[marked] / (true + false)[marked], recall


def roc_area(counts: Counts) -> float:
    """Area under the ROC curve, equal scores counting half; NaN if there are no lesion voxels or nothing else."""
    if counts.positives == 0 or counts.negatives == 0:
        return float("nan")
    true, false = counts.gained[0] / counts.positives, counts.gained[1] / counts.negatives
    true_above = 1.0 - np.cumsum(true)
    return float((false * (true_above + true / 2)).sum())


def _after_filter(
    scan: ScanMap,
    bins: NDArray[np.int32],
    rest_bin: int,
    before: Int64Array,
    smallest_kept_voxels: int,
    connectivity: int,
) -> Int64Array:
    """(2, bins) what the component filter leaves of `before`."""
    if smallest_kept_voxels <= 1:
        return before
    n_bins = before.shape[1]
    lowest = int(np.flatnonzero(before.any(axis=0))[0])
    if not scan.fills_its_box:
        return filtered_gains(bins, scan.truth, scan.places, scan.shape, n_bins, smallest_kept_voxels, connectivity)
    # When the last bin is taken in, the whole box is marked: one component, no need to grow it voxel by voxel.
    if rest_bin > lowest and scan.rest_true + scan.rest_false:
        bins, truth, places = _with_rest(scan, bins, rest_bin)
    else:
        truth, places = scan.truth, scan.places
    grown = bins > lowest
    after = filtered_gains(
        bins[grown], truth[grown], places[grown], scan.shape, n_bins, smallest_kept_voxels, connectivity
    )
    if int(np.prod(scan.shape)) >= smallest_kept_voxels:
        after[:, lowest] += before.sum(axis=1) - after.sum(axis=1)
    return after


def _with_rest(
    scan: ScanMap, bins: NDArray[np.int32], rest_bin: int
) -> tuple[NDArray[np.int32], BoolArray, NDArray[np.int64]]:
    """Bins, truth and places of every voxel of the box, the implicit zeros included.

    Which of the implicit zeros are lesion does not matter to the growth of components, only their number in the
    component does; all of them share one bin and, being the surroundings of the brain, one component.
    """
    size = int(np.prod(scan.shape))
    all_bins, truth = np.full(size, rest_bin, np.int32), np.zeros(size, np.bool_)
    all_bins[scan.places], truth[scan.places] = bins, scan.truth
    implicit = np.ones(size, np.bool_)
    implicit[scan.places] = False
    truth[np.flatnonzero(implicit)[: scan.rest_true]] = True
    return all_bins, truth, np.arange(size)


def _dice(true: NDArray, false: NDArray, positives: int) -> NDArray[np.float64]:
    """2 TP / (TP + FP + P); NaN without lesion voxels."""
    if positives == 0:
        return np.full(true.shape, np.nan)
    return 2.0 * true / (true + false + positives)


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """part / whole, 0 where both are."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
