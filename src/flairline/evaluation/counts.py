"""Voxel counts at every threshold, of fixed size, that add up from scans to cohorts.

Error of each metric
    Counts at the start of a bin are exact; the order inside a bin is not known, other than in that of zero, where all
    scores are equal. What a finer binning could change is bounded by the counts themselves (`Counts.bounds`): between
    the order inside each bin that is best for the metric (lesion voxels first) and the one that is worst.

Bootstrap
    Poisson(1) replicates on a coarser binning. The weights are drawn from the seed and the patient's name, so scans of
    one patient share them, and the sum of shards that never met is the whole cohort.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flairline.evaluation.binning import bin_starts, bins_of, coarse_starts, levels_of
from flairline.evaluation.growth import filtered_gains
from flairline.evaluation.judged_scan import JudgedScan
from flairline.types import BoolArray, FloatArray

Int64Array = NDArray[np.int64]

N_REPLICATES = 200


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
        (2, bins): what each bin adds outside the brain: true and false voxels, before the filter.
    coarse
        First bin of each coarse bin of the replicates.
    replicates
        (replicates, 6, coarse bins): bootstrap replicates of `gained` and `outside`.
    minimum, maximum
        Of all scores.
    tried
        Counts at the thresholds that a protocol tries, where it tries some of its own; the oracle threshold is then one
        of these and is chosen before the filter.
    chosen_before_filter
        Overrules that: whether the oracle threshold is the best one before the filter or after it.
    """

    starts: NDArray[np.floating]
    gained: Int64Array
    outside: Int64Array
    coarse: NDArray[np.int64]
    replicates: Int64Array
    inclusive: bool = True
    minimum: float = np.inf
    maximum: float = -np.inf
    n_scans: int = 0
    seed: int = 0
    tried: Counts | None = None
    chosen_before_filter: bool | None = None

    @classmethod
    def empty(cls, seed: int = 0) -> Counts:
        """Counts of no scan, at all thresholds."""
        return cls._zeros(bin_starts(), coarse_starts(), True, seed)

    @classmethod
    def at_thresholds(cls, thresholds: NDArray[np.floating], seed: int = 0) -> Counts:
        """Counts of no scan, exact at ascending thresholds where `mask = score > threshold`, as published."""
        starts = np.append(-np.inf, thresholds)  # the first bin holds what no threshold marks
        return cls._zeros(starts, np.arange(starts.size), False, seed)

    @classmethod
    def _zeros(cls, starts: NDArray[np.floating], coarse: Int64Array, inclusive: bool, seed: int) -> Counts:
        gained, outside = np.zeros((4, starts.size), np.int64), np.zeros((2, starts.size), np.int64)
        replicates = np.zeros((N_REPLICATES, 6, coarse.size), np.int64)
        return cls(starts, gained, outside, coarse, replicates, inclusive, seed=seed)

    @property
    def nbytes(self) -> int:
        """Memory of all arrays; the same for every cohort."""
        own = (self.starts, self.gained, self.outside, self.coarse, self.replicates)
        return sum(array.nbytes for array in own) + (self.tried.nbytes if self.tried else 0)

    @property
    def positives(self) -> int:
        """Lesion voxels."""
        return int(self.gained[0].sum())

    @property
    def negatives(self) -> int:
        """All other voxels."""
        return int(self.gained[1].sum())

    def update(self, scan: JudgedScan, patient: str, smallest_kept_voxels: int = 20, connectivity: int = 26) -> None:
        """Add one scan, with what a filter leaves of it (1 or 0: no filter). Scans of one `patient` share weights."""
        bins, rest_bin = self._bins(scan.score), int(self._bins(np.zeros(1, np.float32))[0])
        before, outside = (
            np.stack(
                [np.bincount(bins[which & there], minlength=self.starts.size) for which in (scan.truth, ~scan.truth)]
            )
            for there in (np.True_, ~scan.brain)
        )
        before[:, rest_bin] += scan.rest
        outside[:, rest_bin] += scan.rest
        after = _after_filter(scan, bins, rest_bin, before, smallest_kept_voxels, connectivity)
        rows = np.concatenate([before, after, outside])
        used = np.flatnonzero(rows.any(axis=0))
        self.add(patient, used, rows[:, used], scan.extremes)

    def add(self, patient: str, bins: NDArray[np.int64], rows: Int64Array, extremes: tuple[float, float]) -> None:
        """Add one scan that was counted elsewhere by the same thresholds.

        Parameters
        ----------
        bins
            Ascending numbers of the bins that hold something.
        rows
            (6, bins): what they hold, those of `gained` before those of `outside`.
        extremes
            The scan's lowest and highest score.
        """
        self.gained[:, bins] += rows[:4]
        self.outside[:, bins] += rows[4:]
        used, first = np.unique(np.searchsorted(self.coarse, bins, side="right") - 1, return_index=True)
        if used.size:
            coarse = np.add.reduceat(rows, first, axis=1)
            self.replicates[:, :, used] += poisson_weights(patient, self.seed)[:, None, None] * coarse
        low, high = extremes
        self.minimum, self.maximum = min(self.minimum, low), max(self.maximum, high)
        self.n_scans += 1

    def __add__(self, other: Counts) -> Counts:
        """Counts of both cohorts. The shards must not share scans."""
        if (
            self.seed != other.seed
            or not np.array_equal(self.starts, other.starts)
            or bool(self.tried) != bool(other.tried)
        ):
            msg = "only counts of one seed and the same thresholds add up"
            raise ValueError(msg)
        return replace(
            self,
            gained=self.gained + other.gained,
            replicates=self.replicates + other.replicates,
            outside=self.outside + other.outside,
            minimum=min(self.minimum, other.minimum),
            maximum=max(self.maximum, other.maximum),
            n_scans=self.n_scans + other.n_scans,
            tried=self.tried + other.tried if self.tried and other.tried else None,
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
        thresholds, before, after = (self.tried or self).dice_curves()
        finite = np.isfinite(thresholds)
        by_before = bool(self.tried) if self.chosen_before_filter is None else self.chosen_before_filter
        best = int(np.where(finite, before if by_before else after, -1.0).argmax())
        best_before = float(before[finite].max())
        return OraclePoint(float(thresholds[best]), best_before, float(after[best]))

    def brain_only(self) -> Counts:
        """The same counts (before the filter) without what lies outside the brain."""
        gained = self.gained.copy()
        gained[:2] -= self.outside
        return replace(self, gained=gained, outside=np.zeros_like(self.outside))

    def coarsened(self) -> Counts:
        """The same counts on the replicates' binning: what an interval is centred against."""
        return self._on_coarse(np.add.reduceat(np.concatenate([self.gained, self.outside]), self.coarse, axis=1))

    def resampled(self, number: int) -> Counts:
        """Bootstrap replicate `number` (0 to N_REPLICATES - 1), on the replicates' binning."""
        resampled = self._on_coarse(self.replicates[number])
        return replace(resampled, tried=self.tried.resampled(number) if self.tried else None)

    def bounds(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest value that each metric could have on the unbinned scores, by name; NaN if undefined.

        The best threshold lies in some bin whose scores could reach the best Dice found, not always in the one found.
        """
        auprc, average_precision = self._precision_bounds()
        auroc, auroc_brain = _roc_bounds(self), _roc_bounds(self.brain_only())
        found = self.oracle()
        bounds = {"auroc": auroc, "auroc_brain": auroc_brain, "auprc": auprc, "average_precision": average_precision}
        if self.tried is not None or self.positives == 0:  # thresholds of its own are counted exactly
            exact = {"dice_oracle": found.dice, "dice_oracle_before_filter": found.dice_before_filter}
            exact["threshold_oracle"] = found.threshold
            return {**bounds, **{name: (value, value) for name, value in exact.items()}}
        before, after = self._best_dice()
        if self.chosen_before_filter:
            could_win = np.flatnonzero(before >= found.dice_before_filter)
            least_after = float(self._worst_dice_after()[could_win].min())
        else:
            could_win, least_after = np.flatnonzero(after >= found.dice), found.dice
        highest, lowest = self.starts.size - 1 - could_win[[0, -1]]
        return {
            **bounds,
            "dice_oracle": (least_after, float(after[could_win].max())),
            "dice_oracle_before_filter": (found.dice_before_filter, float(before.max())),
            "threshold_oracle": (
                float(self.starts[lowest]),
                float(min(np.append(self.starts, np.inf)[highest + 1], self.maximum)),
            ),
        }

    def _precision_bounds(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Lowest and highest area under the precision-recall curve, by the trapezoid rule and by steps."""
        if self.positives == 0:
            return (np.nan, np.nan), (np.nan, np.nan)
        true, false = self.cumulated()[:2].astype(np.float64)
        new_true, new_false = self.gained[:2, ::-1].astype(np.float64)
        earlier_true, earlier_false = true - new_true, false - new_false
        # Every point of the curve inside a bin lies between these two.
        lowest, highest = _ratio(earlier_true, earlier_true + false), _ratio(true, true + earlier_false)
        steps_low, steps_high = lowest.copy(), highest.copy()
        tied = self.starts[::-1] == 0
        start = np.where(earlier_true + earlier_false > 0, _ratio(earlier_true, earlier_true + earlier_false), 1.0)
        end = _ratio(true, true + false)
        lowest[tied] = highest[tied] = (start + end)[tied] / 2
        steps_low[tied] = steps_high[tied] = end[tied]
        recall_gained = new_true / self.positives
        areas = [float((recall_gained * precision).sum()) for precision in (lowest, highest, steps_low, steps_high)]
        return (areas[0], areas[1]), (areas[2], areas[3])

    def _best_dice(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Highest Dice that any threshold inside each bin could have, before and after the filter, from the top."""
        true, false, true_after, false_after = self.cumulated()
        tied = self.starts[::-1] == 0

        def best(marked_true: Int64Array, marked_false: Int64Array) -> NDArray[np.float64]:
            fewest_false = np.where(tied, marked_false, np.append(0, marked_false[:-1]))
            return _dice(marked_true, fewest_false, self.positives)

        return best(true, false), best(true_after, false_after)

    def _worst_dice_after(self) -> NDArray[np.float64]:
        """Lowest Dice after the filter that any threshold inside each bin could have, from the top."""
        true_after, false_after = self.cumulated()[2:]
        tied = self.starts[::-1] == 0
        return _dice(np.where(tied, true_after, np.append(0, true_after[:-1])), false_after, self.positives)

    def _bins(self, scores: FloatArray) -> NDArray[np.int32]:
        if self.inclusive:
            return bins_of(scores)
        return levels_of(scores.astype(np.float32), self.starts[1:].astype(np.float64))

    def _on_coarse(self, rows: Int64Array) -> Counts:
        nothing = np.zeros((0, *rows.shape), np.int64)
        on_coarse = Counts(self.starts[self.coarse], rows[:4], rows[4:], self.coarse, nothing, self.inclusive)
        return replace(on_coarse, tried=self.tried, chosen_before_filter=self.chosen_before_filter)


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


def _roc_bounds(counts: Counts) -> tuple[float, float]:
    """Lowest and highest area under the ROC curve; only in the bin of zero are equal scores known to be equal."""
    area = roc_area(counts)
    if np.isnan(area):
        return area, area
    of_bins = counts.gained[0] / counts.positives * (counts.gained[1] / counts.negatives)
    unknown = float(of_bins[counts.starts != 0].sum()) / 2
    return area - unknown, area + unknown


def _after_filter(
    scan: JudgedScan,
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
    if rest_bin > lowest and scan.n_rest:
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
    scan: JudgedScan, bins: NDArray[np.int32], rest_bin: int
) -> tuple[NDArray[np.int32], BoolArray, NDArray[np.int64]]:
    """Bins, truth and places of every voxel of the box, the implicit zeros included."""
    size = int(np.prod(scan.shape))
    all_bins, truth = np.full(size, rest_bin, np.int32), np.zeros(size, np.bool_)
    all_bins[scan.places], truth[scan.places] = bins, scan.truth
    truth[scan.rest_true_places] = True
    return all_bins, truth, np.arange(size)


def _dice(true: NDArray, false: NDArray, positives: int) -> NDArray[np.float64]:
    """2 TP / (TP + FP + P); NaN without lesion voxels."""
    if positives == 0:
        return np.full(true.shape, np.nan)
    return 2.0 * true / (true + false + positives)


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """part / whole, 0 where both are."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
