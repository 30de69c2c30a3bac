"""The phantom is what it says: seeded, oriented, FLAIR-like, and its lesions are where and what the truth says."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from flairline import registry
from flairline.cases import table as case_table
from flairline.datasets.phantom import Dataset
from flairline.errors import InputError, OutputError
from flairline.io.nifti import read_mask, read_volume, write_mask, write_volume
from flairline.preprocess.read import read_scan
from flairline.synthesis import phantom as module
from flairline.synthesis.evaluate import anatomy_mm
from flairline.synthesis.fields import rotation
from flairline.synthesis.phantom import BRIGHT_KINDS, KINDS, Lesion, phantom
from flairline.synthesis.render_numpy import NumpyArrays

ORIENTATIONS = ("RAS", "LAS", "LPS", "oblique", "PSR")
SPACING = (3.0, 2.0, 4.0)  # coarse for speed, unequal on purpose


def test_same_seed_gives_the_same_bytes_and_another_seed_another_subject():
    one, two, other = phantom(3, SPACING), phantom(np.random.default_rng(3), SPACING), phantom(4, SPACING)
    for images in ((one[0].flair, two[0].flair), (one[0].t1, two[0].t1), (one[0].brain, two[0].brain)):
        assert images[0].array.tobytes() == images[1].array.tobytes()
    assert one[2].labels.tobytes() == two[2].labels.tobytes()
    assert not np.array_equal(one[0].brain.array, other[0].brain.array)
    assert not np.array_equal(one[1].array, other[1].array)


def test_background_is_exactly_zero_and_the_brain_never_is():
    scan, truth, _ = phantom(1, SPACING)
    for image in (scan.flair.array, scan.t1.array):
        assert np.array_equal(image > 0, scan.brain.array)
        assert np.array_equal(image, np.rint(image))
    assert not (truth.array & ~scan.brain.array).any()
    assert 1200 < scan.brain.volume_ml < 2300


def test_contrast_is_that_of_flair():
    """White matter, grey matter and fluid, told apart on the noise-free T1: bright, middle, dark."""
    scan, _, _ = phantom(5, 2.0, (), noise=0.0, bias=0.0)
    t1, flair = scan.t1.array[scan.brain.array] / 600, scan.flair.array[scan.brain.array] / 600
    fluid, grey, white = (np.median(flair[part]) for part in (t1 < 0.35, (t1 > 0.62) & (t1 < 0.78), t1 > 0.97))
    assert fluid < 0.4
    assert 1.02 < grey / white < 1.25
    assert white == pytest.approx(1.0, abs=0.02)


def test_noise_and_bias_have_the_size_asked_for():
    clean, noisy = (phantom(2, SPACING, (), noise=noise, bias=0.0)[0] for noise in (0.0, 0.05))
    inside = clean.flair.array > 500  # far from zero Rician noise is normal
    difference = (noisy.flair.array - clean.flair.array)[inside]
    assert difference.std() == pytest.approx(0.05 * 600, rel=0.03)
    biased = [phantom(seed, SPACING, (), noise=0.0, bias=0.05)[0].flair.array for seed in range(2, 8)]
    plain = [phantom(seed, SPACING, (), noise=0.0, bias=0.0)[0].flair.array for seed in range(2, 8)]
    logarithms = [np.log(one[two > 500] / two[two > 500]) for one, two in zip(biased, plain, strict=True)]
    assert np.sqrt(np.mean(np.square(np.concatenate(logarithms)))) == pytest.approx(0.05, rel=0.35)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_left_stays_left_in_every_orientation(orientation, tmp_path):
    """A tumour on the left is at negative x by the file's own affine, read by nibabel alone."""
    scan, truth, _ = phantom(7, SPACING, [Lesion("tumour", (-38.0, 15.0, 22.0))], orientation)
    write_volume(tmp_path / "flair.nii.gz", scan.flair)
    write_mask(tmp_path / "truth.nii.gz", truth)
    stored = nib.load(tmp_path / "truth.nii.gz")
    centre = nib.affines.apply_affine(stored.affine, np.argwhere(np.asarray(stored.dataobj) > 0)).mean(axis=0)
    expected = np.array([-38.0, 15.0, 22.0])
    if orientation == "oblique":
        expected = rotation(np.radians(module.OBLIQUE_DEGREES)) @ expected
    assert np.linalg.norm(centre - expected) < 14  # the deformation moves it by some mm
    assert centre[0] < -20
    codes = "LPS" if orientation == "oblique" else orientation
    assert nib.aff2axcodes(stored.affine) == tuple(codes)
    back = read_volume(tmp_path / "flair.nii.gz")
    assert np.array_equal(back.array, scan.flair.array)
    assert back.space.same_grid(scan.space)
    assert np.array_equal(read_mask(tmp_path / "truth.nii.gz").array, truth.array)


def test_orientation_changes_the_file_and_not_the_subject():
    arrays = [phantom(8, SPACING, orientation=orientation)[0].flair.array for orientation in ORIENTATIONS]
    assert all(np.array_equal(array, arrays[0]) for array in arrays)


@pytest.mark.parametrize("kind", KINDS)
def test_a_lesion_is_what_its_kind_says(kind):
    """Against the same seed without lesions: the same anatomy, the same noise."""
    scan, truth, kinds = phantom(11, 2.0, [kind], bias=0.0)
    healthy, nothing, _ = phantom(11, 2.0, (), bias=0.0)
    assert not nothing.array.any()
    assert kinds.names == (kind,)
    assert np.array_equal(kinds.of_kind(kind), truth.array)
    assert truth.array.sum() > 3
    change = scan.flair.array - healthy.flair.array
    highest = np.percentile(healthy.flair.array[healthy.brain.array], 99)
    share_bright = (scan.flair.array[truth.array] > highest).mean()
    if kind in BRIGHT_KINDS:
        assert share_bright > 0.5
        assert np.median(change[truth.array]) > 60
    else:
        assert share_bright < 0.15
    if kind == "dark":
        assert np.median(change[truth.array]) < -200
    if kind == "displaced":
        assert np.abs(change[truth.array]).mean() > 20  # other tissue than before stands there
    if kind not in ("tumour", "displaced"):
        far = np.linalg.norm(np.argwhere(~truth.array) - np.argwhere(truth.array).mean(axis=0), axis=1) * 2 > 40
        assert not change[~truth.array][far].any()


def test_every_number_has_voxels_and_a_covered_lesion_has_no_number():
    place = (-30.0, -20.0, 28.0)
    wanted = [Lesion("tumour", place, 20.0), Lesion("punctate", place, 2.0), Lesion("dark", (30.0, -20.0, 28.0), 8.0)]
    _, truth, kinds = phantom(13, SPACING, wanted)
    assert kinds.names == ("tumour", "dark")
    assert np.unique(kinds.labels).tolist() == [0, 1, 2]
    assert np.array_equal(truth.array, kinds.labels > 0)
    right = np.argwhere(kinds.of_kind("dark"))[:, 0].min()
    assert right > np.argwhere(kinds.of_kind("tumour"))[:, 0].mean()


@pytest.mark.parametrize("radius_mm", [6.0, 14.0])
def test_a_lesion_has_the_size_asked_for(radius_mm):
    """In white and grey matter far from fluid the truth is about a ball; waves and deformation add or take a part."""
    volumes = [
        phantom(seed, 2.0, [Lesion("isointense", (-30.0, -20.0, 28.0), radius_mm)])[1].volume_ml for seed in range(6)
    ]
    assert np.mean(volumes) == pytest.approx(4 / 3 * np.pi * radius_mm**3 / 1000, rel=0.4)


def test_the_seed_fixes_the_subject_at_any_spacing():
    fine, fine_truth, fine_kinds = phantom(9, 1.0)
    coarse, coarse_truth, coarse_kinds = phantom(9, 2.0)
    assert fine.brain.volume_ml == pytest.approx(coarse.brain.volume_ml, rel=0.02)
    assert fine_truth.volume_ml == pytest.approx(coarse_truth.volume_ml, rel=0.1)
    assert fine_kinds.names == coarse_kinds.names
    for number in range(1, 5):
        fine_mm, coarse_mm = (
            nib.affines.apply_affine(scan.space.vox_to_ras, np.argwhere(kinds.labels == number)).mean(axis=0)
            for scan, kinds in ((fine, fine_kinds), (coarse, coarse_kinds))
        )
        assert np.linalg.norm(fine_mm - coarse_mm) < 2


def test_the_deformation_does_not_fold():
    for seed in range(4):
        plan, _ = module.draw(seed, (4, 4, 4), ())
        mm = [anatomy_mm(NumpyArrays(), plan.deformation, plan.axes_mm, axis) for axis in range(3)]
        jacobian = np.stack([np.stack(np.gradient(mm[k], 4.0), axis=-1) for k in range(3)], axis=-2)
        assert np.linalg.det(jacobian).min() > 0.15


def test_skull_goes_around_the_brain_and_leaves_it_alone():
    bare, bare_truth, _ = phantom(12, 2.0, ["tumour"], noise=0.0)
    scan, truth, _ = phantom(12, 2.0, ["tumour"], noise=0.0, with_skull=True)
    inner = (slice(9, -9),) * 3
    assert np.array_equal(scan.brain.array[inner], bare.brain.array)
    assert np.array_equal(truth.array[inner], bare_truth.array)
    assert np.array_equal(scan.flair.array[inner][bare.brain.array], bare.flair.array[bare.brain.array])
    outside = (scan.flair.array > 0) & ~scan.brain.array
    assert 500 < np.count_nonzero(outside) * scan.space.voxel_ml < 2500
    for face in (scan.flair.array[0], scan.flair.array[-1], scan.flair.array[:, 0], scan.flair.array[:, -1]):
        assert not face.any()
    _, y, z = np.argwhere(scan.brain.array).mean(axis=0).round().astype(int)
    profile = scan.flair.array[:, y, z] > 0  # fluid, bone and scalp close up to the brain on either side
    assert profile[np.flatnonzero(profile)[0] : np.flatnonzero(profile)[-1] + 1].all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lesions": ["stroke"]}, "stroke"),
        ({"spacing_mm": 1.5}, "1.5"),
        ({"spacing_mm": 0.0}, "0.0"),
        ({"orientation": "RAL"}, "RAL"),
        ({"orientation": "up"}, "up"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(arguments, message):
    with pytest.raises(InputError, match=message) as caught:
        phantom(0, **{"spacing_mm": SPACING, **arguments})
    assert "\n" not in str(caught.value)


def test_the_cohort_is_a_data_set(tmp_path):
    made = registry.load("datasets", "phantom")(tmp_path / "a", subjects=3, spacing_mm=SPACING, orientation="LAS")
    cases = made.cases(("flair", "truth"))
    assert [case.subject for case in cases] == ["sub-001", "sub-002", "sub-003"]
    read = case_table.CaseTable(tmp_path / "a" / "cases.csv").cases(("flair", "t1", "brain", "truth"))
    for case, row in zip(cases, read, strict=True):
        assert (case.flair, case.t1, case.brain, case.truth) == (row.flair, row.t1, row.brain, row.truth)
        assert case.extra["kinds"] == row.extra["kinds"]
        labelled = read_scan(case).labelled(merge=False)
        labels = read_volume(Path(case.extra["lesions"])).array
        assert np.array_equal(labels > 0, labelled.labels > 0)
        assert labels.max() <= len(case.extra["kinds"].split())
        assert np.array_equal(labelled.scan.flair.array > 0, labelled.scan.brain.array)
    again = Dataset(tmp_path / "b", subjects=1, spacing_mm=SPACING, orientation="LAS").cases()[0]
    for name in ("flair", "t1", "brain", "truth"):
        assert getattr(again, name).read_bytes() == getattr(cases[0], name).read_bytes()


def test_healthy_subjects_have_no_lesion_and_are_none_of_the_patients(tmp_path):
    dataset = Dataset(tmp_path, subjects=1, spacing_mm=SPACING)
    healthy = dataset.healthy(2)
    assert not any(read_mask(case.truth).array.any() for case in healthy)
    brains = [read_mask(case.brain).array for case in [*healthy, *dataset.cases()]]
    assert not np.array_equal(brains[0], brains[1])
    assert not np.array_equal(brains[0], brains[2])


def test_what_a_phantom_has_not_or_a_bad_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="t2"):
        Dataset(tmp_path).cases(("flair", "t2"))
    (tmp_path / "file").write_text("here")
    with pytest.raises(OutputError, match="file"):
        Dataset(tmp_path / "file", spacing_mm=SPACING).cases()
