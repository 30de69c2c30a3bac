import numpy as np
import pytest
from scipy import ndimage
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score

from flairline import registry
from flairline.evaluation.binning import RELATIVE_WIDTH, bin_starts
from flairline.evaluation.counts import N_REPLICATES, Counts, poisson_weights
from flairline.evaluation.judged_scan import JudgedScan
from flairline.imaging.components import ComponentRule, remove_small_components

SHAPE = (11, 12, 13)
COHORT_METRICS = (
    "auprc",
    "auroc",
    "auroc_brain",
    "average_precision",
    "dice_oracle",
    "dice_oracle_before_filter",
    "threshold_oracle",
)


def metric(name: str, counts: Counts) -> float:
    return registry.load("metrics", name)(counts=counts)


def cohort(kind: str = "equalised", n: int = 3, shape=SHAPE, rate: float = 0.1):
    """Scores, truths and brains of a few scans; scores are zero outside the brain."""
    rng = np.random.default_rng(len(kind) + n)
    for _ in range(n):
        brain = np.zeros(shape, bool)
        brain[1:-1, 2:-1, 1:-2] = rng.random((shape[0] - 2, shape[1] - 3, shape[2] - 3)) < 0.95
        field = ndimage.gaussian_filter(rng.normal(size=shape), 1)
        truth = field > np.quantile(field, 1 - rate)
        raw = rng.normal(size=shape) + 2 * truth
        raw = {
            "equalised": raw.argsort(axis=None).argsort().reshape(shape) / raw.size,
            "signed": raw,
            "large": np.exp(4 * raw),
            "negative": raw - 20,
            "ties": np.round(raw),
            "binary": raw > 1,
        }[kind]
        yield np.where(brain, raw, 0).astype(np.float32), truth, brain


KINDS = ("equalised", "signed", "large", "negative", "ties", "binary")


def count(scans, brain_only: bool = False, smallest: int = 1, connectivity: int = 26, into: Counts | None = None):
    counts = Counts.empty() if into is None else into
    for number, (score, truth, brain) in enumerate(scans):
        scan_map = JudgedScan.from_arrays(score, truth, brain, brain_only)
        counts.update(scan_map, f"patient {number}", smallest, connectivity)
    return counts


def flat(scans, brain_only: bool = False):
    """All judged scores and truths, one after the other."""
    scores, truths = [], []
    for score, truth, brain in scans:
        judged = brain if brain_only else np.ones(score.shape, bool)
        scores.append(score[judged])
        truths.append(truth[judged])
    return np.concatenate(scores), np.concatenate(truths)


def dice(marked, truth) -> float:
    return 2 * np.count_nonzero(marked & truth) / (np.count_nonzero(marked) + np.count_nonzero(truth))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("brain_only", [False, True])
def test_areas_agree_with_scikit_learn_within_the_stated_bounds(kind, brain_only):
    counts = count(cohort(kind), brain_only)
    scores, truths = flat(cohort(kind), brain_only)
    precision, recall, _ = precision_recall_curve(truths, scores)
    known = {
        "auroc": roc_auc_score(truths, scores),
        "auprc": auc(recall, precision),
        "average_precision": average_precision_score(truths, scores),
    }
    bounds = counts.bounds()
    for name, value in known.items():
        low, high = bounds[name]
        assert low - 1e-9 <= value <= high + 1e-9, name
        assert low - 1e-9 <= metric(name, counts) <= high + 1e-9, name
        # Two of the five thousand voxels share a bin now and then; a thousandth is more than that ever costs.
        assert metric(name, counts) == pytest.approx(value, abs=1e-3), name


def test_a_cohort_with_distinct_bins_has_no_error_at_all():
    scans = list(cohort("ties"))
    counts = count(scans)
    scores, truths = flat(scans)
    assert metric("auroc", counts) == pytest.approx(roc_auc_score(truths, scores), abs=1e-12)
    assert metric("average_precision", counts) == pytest.approx(average_precision_score(truths, scores), abs=1e-12)


def test_auroc_of_the_brain_is_that_of_the_brain_alone():
    for kind in KINDS:
        of_all, of_brain = count(cohort(kind)), count(cohort(kind), brain_only=True)
        assert metric("auroc_brain", of_all) == pytest.approx(metric("auroc", of_brain), abs=1e-12)
        scores, truths = flat(cohort(kind), brain_only=True)
        low, high = of_all.bounds()["auroc_brain"]
        assert low - 1e-9 <= roc_auc_score(truths, scores) <= high + 1e-9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("smallest", [1, 6])
def test_the_oracle_dice_is_bounded_by_what_every_threshold_gives(kind, smallest):
    scans = list(cohort(kind, 2, (7, 8, 9)))
    counts = count(scans, smallest=smallest)
    rule = ComponentRule(smallest)
    best = {"dice_oracle": 0.0, "dice_oracle_before_filter": 0.0}
    for threshold in np.unique(flat(scans)[0]):
        masks = [score >= threshold for score, _, _ in scans]
        truth = np.concatenate([truth.ravel() for _, truth, _ in scans])
        kept = np.concatenate([remove_small_components(mask, rule).ravel() for mask in masks])
        marked = np.concatenate([mask.ravel() for mask in masks])
        if dice(kept, truth) >= best["dice_oracle"]:  # thresholds ascend: the highest of equals stays
            best["dice_oracle"], best_threshold = dice(kept, truth), threshold
        best["dice_oracle_before_filter"] = max(best["dice_oracle_before_filter"], dice(marked, truth))
    for name, value in best.items():
        low, high = counts.bounds()[name]
        assert low == metric(name, counts)
        assert low - 1e-12 <= value <= high + 1e-12
        assert high - low < 0.05
    low, high = counts.bounds()["threshold_oracle"]
    assert low <= best_threshold <= high and low <= metric("threshold_oracle", counts) <= high


@pytest.mark.parametrize("kind", KINDS)
def test_an_oracle_chosen_before_the_filter_is_bounded_too(kind):
    scans = list(cohort(kind, 2, (7, 8, 9)))
    counts = count(scans, smallest=6)
    counts.chosen_before_filter = True
    scores, truths = flat(scans)
    tried = np.unique(scores)
    best = tried[np.argmax([dice(scores >= threshold, truths) for threshold in tried])]
    kept = [remove_small_components(score >= best, ComponentRule(6)).ravel() for score, _, _ in scans]
    truth = np.concatenate([truth.ravel() for _, truth, _ in scans])
    known = {"threshold_oracle": best, "dice_oracle": dice(np.concatenate(kept), truth)}
    for name, value in known.items():
        low, high = counts.bounds()[name]
        assert low - 1e-12 <= value <= high + 1e-12, name
        assert low <= metric(name, counts) <= high, name


def test_bounds_hold_where_many_scores_share_a_bin():
    """Scores so close together that the bins tell few of them apart: the bounds are wide and hold."""
    rng = np.random.default_rng(8)
    truth = rng.random(SHAPE) < 0.2
    score = (1 + 6 * RELATIVE_WIDTH * rng.random(SHAPE) + 2 * RELATIVE_WIDTH * truth).astype(np.float32)
    scans = [(score, truth, np.ones(SHAPE, bool))]
    bounds = count(scans).bounds()
    precision, recall, _ = precision_recall_curve(truth.ravel(), score.ravel())
    dices = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    known = {
        "auroc": roc_auc_score(truth.ravel(), score.ravel()),
        "auprc": auc(recall, precision),
        "average_precision": average_precision_score(truth.ravel(), score.ravel()),
        "dice_oracle": dices.max(),
    }
    for name, value in known.items():
        low, high = bounds[name]
        assert low <= value <= high, name
        assert high - low > 1e-3, "this cohort should need the bounds"


@pytest.mark.parametrize("connectivity", [6, 18, 26])
@pytest.mark.parametrize("brain_only", [False, True])
@pytest.mark.parametrize("kind", ["equalised", "signed", "negative", "ties"])
def test_after_filter_curve_agrees_with_the_filter_run_at_each_threshold(kind, brain_only, connectivity):
    scans = list(cohort(kind, 2))
    rule = ComponentRule(6, connectivity)
    counts = count(scans, brain_only, rule.smallest_kept_voxels, connectivity)
    true, false, true_after, false_after = counts.cumulated()[:, ::-1]
    starts = bin_starts()
    scores = flat(scans, brain_only)[0]
    tried = np.unique(np.quantile(scores, np.linspace(0, 1, 9), method="nearest"))
    for threshold in [*tried, 0.0]:
        level = np.searchsorted(starts, np.float32(threshold), side="right") - 1
        kept_true = kept_false = marked_true = marked_false = 0
        for score, truth, brain in scans:
            marked = (score >= starts[level]) & (brain if brain_only else True)
            kept = remove_small_components(marked, rule)
            marked_true += np.count_nonzero(marked & truth)
            marked_false += np.count_nonzero(marked & ~truth)
            kept_true += np.count_nonzero(kept & truth)
            kept_false += np.count_nonzero(kept & ~truth)
        assert (true[level], false[level]) == (marked_true, marked_false)
        assert (true_after[level], false_after[level]) == (kept_true, kept_false)


def test_lesion_in_a_small_hole_of_the_brain_is_filtered_like_any_other():
    """The brain's scores are negative, so at threshold zero the background and a hole in the brain are marked."""
    score, brain = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, bool)
    brain[2:9, 2:9, 2:9] = True
    brain[5, 5, 5] = False
    score[brain] = -1
    truth = np.zeros(SHAPE, bool)
    truth[5, 5, 5] = truth[3, 3, 3] = True
    counts = count([(score, truth, brain)], smallest=20)
    at_zero = np.searchsorted(bin_starts(), 0.0)
    true, _, true_after, false_after = counts.cumulated()[:, ::-1][:, at_zero]
    assert (true, true_after) == (1, 0)
    assert false_after == SHAPE[0] * SHAPE[1] * SHAPE[2] - 7**3


def test_published_thresholds_are_counted_exactly():
    scans = list(cohort("equalised", 3))
    scores, truths = flat(scans)
    thresholds = np.linspace(scores.min(), scores.max(), 100)
    counts = count(scans, smallest=21, into=Counts.at_thresholds(thresholds))
    tried, before, after = counts.dice_curves()
    np.testing.assert_array_equal(tried[:-1][::-1], thresholds)
    rule = ComponentRule(20, 26, legacy_filled_area=True)
    for threshold, value, filtered in list(zip(tried, before, after, strict=True))[:-1][::9]:
        kept = [remove_small_components(score > threshold, rule).ravel() for score, _, _ in scans]
        assert value == pytest.approx(dice(scores > threshold, truths), abs=1e-12)
        assert filtered == pytest.approx(dice(np.concatenate(kept), np.concatenate([t.ravel() for _, t, _ in scans])))


def test_a_score_at_a_published_threshold_is_not_marked():
    """`score > t` in float64, not after rounding t to float32."""
    score = np.zeros((3, 4, 5), np.float32)
    score[0, 0, 0], score[1, 1, 1] = 0.1, 0.5
    truth = score > 0
    counts = count([(score, truth, truth)], into=Counts.at_thresholds(np.array([0.0, 0.1, 0.5])))
    true = counts.cumulated()[0][::-1]
    # float32's 0.1 is a little more than 0.1
    np.testing.assert_array_equal(true, [2, 2, 2, 0])


@pytest.mark.parametrize("grid", [False, True])
def test_merged_shards_are_the_whole_cohort(grid):
    scans = list(cohort("signed", 5))
    thresholds = np.linspace(-3, 5, 100)

    def some(numbers):
        counts = Counts.empty(seed=4)
        counts.tried = Counts.at_thresholds(thresholds, seed=4) if grid else None
        for number in numbers:
            for one, smallest in ((counts, 20), (counts.tried, 21)):
                if one is not None:
                    one.update(JudgedScan.from_arrays(*scans[number], False), f"patient {number}", smallest)
        return counts

    whole, merged = some(range(5)), some([4, 1]) + some([]) + some([0, 2, 3])
    for name in ("gained", "outside", "replicates"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(merged, name))
    assert (whole.minimum, whole.maximum, whole.n_scans) == (merged.minimum, merged.maximum, 5)
    for name in COHORT_METRICS:
        assert metric(name, whole) == metric(name, merged)
        assert metric(name, whole.resampled(7)) == pytest.approx(metric(name, merged.resampled(7)), nan_ok=True)


def test_shards_of_other_seeds_or_thresholds_do_not_add_up():
    for other in (Counts.empty(seed=1), Counts.at_thresholds(np.linspace(0, 1, 100))):
        with pytest.raises(ValueError, match="add up"):
            Counts.empty() + other


def test_size_is_fixed_and_at_most_32_megabytes():
    few, many = Counts.empty(), Counts.empty()
    for counts, n in ((few, 1), (many, 30)):
        counts.tried = Counts.at_thresholds(np.linspace(0, 1, 100))
        count(cohort("signed", n, (5, 6, 7)), into=counts)
        count(cohort("signed", n, (5, 6, 7)), into=counts.tried)
    assert few.nbytes == many.nbytes <= 32e6
    assert (few + many).nbytes == few.nbytes

    def all_bytes(counts: Counts) -> int:
        arrays = [value for value in vars(counts).values() if isinstance(value, np.ndarray)]
        return sum(array.nbytes for array in arrays) + (all_bytes(counts.tried) if counts.tried else 0)

    assert all_bytes(many) == many.nbytes


def test_a_cohort_without_lesions_is_undefined():
    counts = Counts.empty()
    counts.update(
        JudgedScan.from_arrays(np.ones(SHAPE, np.float32), np.zeros(SHAPE, bool), np.ones(SHAPE, bool), False), "a"
    )
    for one in (counts, Counts.empty()):
        assert all(np.isnan(metric(name, one)) for name in COHORT_METRICS)
        assert all(np.isnan(value).all() for value in one.bounds().values())


def test_a_cohort_that_is_all_lesion_has_no_roc_curve():
    counts = Counts.empty()
    whole = np.ones(SHAPE, bool)
    counts.update(JudgedScan.from_arrays(np.ones(SHAPE, np.float32), whole, whole, False), "a")
    assert np.isnan(metric("auroc", counts)) and np.isnan(metric("auroc_brain", counts))
    assert metric("dice_oracle", counts) == metric("auprc", counts) == 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_refused(bad):
    score = np.zeros(SHAPE, np.float32)
    score[3, 3, 3] = bad
    with pytest.raises(ValueError, match="finite"):
        JudgedScan.from_arrays(score, score > 1, score == 0, False)


def test_a_score_outside_the_brain_does_not_touch_the_figures_of_the_brain():
    """Another program's map may be above zero anywhere; the brain's own curve must not know."""
    scans = list(cohort("equalised", 2))
    spilled = [(np.where(brain, score, np.float32(0.7)), truth, brain) for score, truth, brain in scans]
    assert metric("auroc_brain", count(spilled)) == pytest.approx(metric("auroc_brain", count(scans)), abs=1e-12)
    assert metric("auroc", count(spilled)) != pytest.approx(metric("auroc", count(scans)), abs=1e-3)


def test_bootstrap_weights_are_those_of_the_patient_and_the_seed():
    one = poisson_weights("a/sub-1", 0)
    assert one.shape == (N_REPLICATES,)
    np.testing.assert_array_equal(one, poisson_weights("a/sub-1", 0))
    assert (one != poisson_weights("a/sub-2", 0)).any() and (one != poisson_weights("a/sub-1", 1)).any()
    drawn = np.concatenate([poisson_weights(str(number), 0) for number in range(200)])
    assert drawn.mean() == pytest.approx(1, abs=0.02) and drawn.var() == pytest.approx(1, abs=0.04)


def test_a_replicate_is_the_cohort_with_each_scan_so_many_times():
    scans = list(cohort("ties", 3))
    counts = count(scans)
    for number in (0, 11):
        weights = [poisson_weights(f"patient {k}", 0)[number] for k in range(3)]
        repeated = Counts.empty()
        for scan, weight in zip(scans, weights, strict=True):
            for _ in range(weight):
                repeated.update(JudgedScan.from_arrays(*scan, False), "any", 1)
        for name in ("auroc", "average_precision", "dice_oracle", "auroc_brain"):
            expected = metric(name, repeated.coarsened())
            assert metric(name, counts.resampled(number)) == pytest.approx(expected, nan_ok=True), name
