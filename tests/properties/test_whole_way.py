"""What must hold for any head: flips and exchanged axes move results alike, merged counts are the whole cohort."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flairline import recipes, registry
from flairline.evaluation.counts import Counts
from flairline.evaluation.judged_scan import JudgedScan
from flairline.io.nifti import read_volume, write_volume
from flairline.postprocess.threshold import BrainQuantile
from flairline.types import Mask, Scan, Space, Volume

seeds = st.integers(0, 2**32 - 1)


def small_scan(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Score, truth and brain (x, y, z) of unequal sides; the score is zero outside the brain."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.permutation([5, 6, 7]))
    brain, truth = rng.random(shape) < 0.7, rng.random(shape) < rng.choice([0.0, 0.1, 0.4])
    score = rng.choice([rng.normal(size=shape), np.round(rng.normal(size=shape)), rng.random(shape)], axis=0)
    return np.where(brain, score, 0).astype(np.float32), truth, brain


def counted(scans, smallest: int, connectivity: int, brain_only: bool) -> Counts:
    counts = Counts.empty()
    for patient, scan in scans:
        counts.update(JudgedScan.from_arrays(*scan, brain_only), patient, smallest, connectivity)
    return counts


@settings(max_examples=15)
@given(st.lists(seeds, max_size=4), st.lists(seeds, max_size=4), st.sampled_from([6, 18, 26]), st.booleans())
def test_merged_counts_are_the_whole_cohort(one, two, connectivity, brain_only):
    scans = [(f"patient {number % 3}", small_scan(seed)) for number, seed in enumerate([*one, *two])]
    parts = [counted(part, 4, connectivity, brain_only) for part in (scans[: len(one)], scans[len(one) :])]
    whole, merged = counted(scans, 4, connectivity, brain_only), parts[1] + parts[0]
    for name in ("gained", "outside", "replicates"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(merged, name))
    assert (whole.n_scans, whole.minimum, whole.maximum) == (merged.n_scans, merged.minimum, merged.maximum)


@settings(max_examples=15)
@given(seeds, st.permutations([0, 1, 2]), st.integers(0, 2), st.sampled_from([6, 18, 26]), st.booleans())
def test_counts_do_not_know_how_a_head_lies(seed, axes, flipped, connectivity, brain_only):
    scan = small_scan(seed)
    moved = tuple(np.ascontiguousarray(np.flip(array.transpose(axes), flipped)) for array in scan)
    one, two = (counted([("a", arrays)], 4, connectivity, brain_only) for arrays in (scan, moved))
    np.testing.assert_array_equal(one.gained, two.gained)
    np.testing.assert_array_equal(one.outside, two.outside)


@settings(max_examples=20)
@given(seeds, st.booleans())
def test_every_metric_lies_within_its_bounds(seed, brain_only):
    counts = counted([("a", small_scan(seed)), ("b", small_scan(seed // 2))], 4, 26, brain_only)
    for name, (low, high) in counts.bounds().items():
        value = registry.load("metrics", name)(counts=counts)
        assert np.isnan([value, low, high]).all() or low - 1e-9 <= value <= high + 1e-9, name
        if name != "threshold_oracle" and not np.isnan(value):
            assert -1e-9 <= value <= 1 + 1e-9, name


@given(seeds, st.permutations([0, 1, 2]), st.integers(0, 2), st.sampled_from(["histeq", "intensity"]))
def test_a_mask_moves_with_the_scan(seed, axes, flipped, method):
    score, _, brain = small_scan(seed)
    if np.unique(score[brain]).size < 2:
        return
    recipe = recipes.load(method)

    def mask_of(image: np.ndarray, inside: np.ndarray) -> np.ndarray:
        space = Space(image.shape, np.eye(4))
        scan = Scan.of("1", Volume(image, space), Mask(inside, space))
        return recipe.mask(recipe.scorer()(scan), scan.brain, BrainQuantile(0.6))[0].array

    def moved(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.flip(array.transpose(axes), flipped))

    np.testing.assert_array_equal(mask_of(moved(score), moved(brain)), moved(mask_of(score, brain)))


@given(seeds, st.permutations([0, 1, 2]), st.tuples(*[st.sampled_from([-1, 1])] * 3), st.floats(-0.6, 0.6))
def test_writing_and_reading_gives_the_same_back(tmp_path_factory, seed, axes, signs, turn):
    """Any right-angled grid: read what was written, write what was read."""
    import nibabel as nib

    rng = np.random.default_rng(seed)
    array = rng.normal(size=(5, 6, 7)).astype(np.float32)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.eye(3)[:, axes] * signs * (1.0, 1.5, 2.0)
    affine[:3, 3] = rng.normal(0, 50, 3)
    folder = tmp_path_factory.mktemp("grid")
    nib.save(nib.Nifti1Image(array, affine), folder / "in.nii")
    volume = read_volume(folder / "in.nii")
    assert (np.diag(volume.space.vox_to_ras)[:3] > 0).all()
    write_volume(folder / "out.nii", volume)
    written = nib.load(folder / "out.nii")
    np.testing.assert_array_equal(np.asarray(written.dataobj), array)
    np.testing.assert_allclose(written.affine, affine, atol=1e-4)
    # The same place has the same value: a corner of the file's array, found through both affines.
    corner = np.array([0, 5, 2, 1.0])
    place = np.rint(np.linalg.solve(volume.space.vox_to_ras, affine @ corner)).astype(int)
    assert volume.array[tuple(place[:3])] == array[0, 5, 2]
