from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from flairline.errors import BrainError, GridError, InputError
from flairline.preprocess.prepared import Prepared
from flairline.preprocess.read import read_scan
from flairline.preprocess.settings import PreprocessSettings
from flairline.types import Case


@pytest.fixture
def head(make_head):
    """The small stripped head, not the raw ones of this folder."""
    return make_head()


@pytest.fixture
def folder(tmp_path, save, head):
    """FLAIR, T1, brain and truth of one head."""
    for name, array in (("flair", head.flair), ("t1", head.flair * 2), ("brain", head.brain), ("truth", head.truth)):
        save(tmp_path / f"{name}.nii.gz", array.astype(np.float32))
    return tmp_path


def judged(case: Case) -> Prepared:
    """The scan where it and its truth lie."""
    return read_scan(case, PreprocessSettings().for_judging(None))


def case(folder, *names: str) -> Case:
    return Case("a", "1", **{name: folder / f"{name}.nii.gz" for name in names})


def test_everything_on_one_grid(folder, head):
    labelled = judged(case(folder, "flair", "t1", "brain", "truth")).labelled(merge=False)
    scan = labelled.scan
    np.testing.assert_array_equal(scan.flair.array, head.flair)
    np.testing.assert_array_equal(scan.t1.array, head.flair * 2)
    np.testing.assert_array_equal(scan.brain.array, head.brain)
    np.testing.assert_array_equal(labelled.labels > 0, head.truth)
    assert scan.t2 is None and set(scan.sources) == {"flair", "t1", "brain", "truth"}


def test_without_a_brain_it_is_found(folder, head):
    np.testing.assert_array_equal(judged(case(folder, "flair")).scan.brain.array, head.brain)
    assert judged(case(folder, "flair")).labelled(merge=True).labels is None


@pytest.mark.parametrize("orientation", ["RAS", "LAS", "LPS"])
def test_files_of_one_grid_may_be_stored_in_several_orientations(folder, save, head, orientation):
    save(folder / "truth.nii.gz", head.truth.astype(np.uint8), orientation)
    labelled = judged(case(folder, "flair", "truth")).labelled(merge=False)
    np.testing.assert_array_equal(labelled.labels > 0, head.truth)


@pytest.fixture
def thick(folder, head):
    """The same FLAIR with slices of twice the thickness: truth and brain lie on a finer grid."""
    affine = np.diag([1, 1.5, 4, 1.0])
    affine[:3, 3] = -11, 7, 23
    nib.save(nib.Nifti1Image(head.flair[:, :, ::2], affine), folder / "flair.nii.gz")
    return folder


@pytest.mark.parametrize("with_brain", [False, True])
def test_a_truth_on_another_grid_decides(thick, head, with_brain):
    labelled = judged(case(thick, "flair", "truth", *["brain"] * with_brain)).labelled(merge=False)
    scan = labelled.scan
    assert scan.flair.array.shape == scan.brain.array.shape == head.truth.shape
    np.testing.assert_array_equal(labelled.labels > 0, head.truth)
    np.testing.assert_allclose(scan.flair.array[:, :, ::2], head.flair[:, :, ::2], atol=1e-3)
    between = (head.flair[:, :, :-2:2] + head.flair[:, :, 2::2]) / 2
    np.testing.assert_allclose(scan.flair.array[:, :, 1:-1:2], between, atol=1e-3)
    if with_brain:
        np.testing.assert_array_equal(scan.brain.array, head.brain)


def test_what_the_flair_does_not_cover_is_left_out_of_the_brain(thick, head):
    affine = np.diag([1, 1.5, 4, 1.0])
    affine[:3, 3] = -11, 7, 23 + 8 * 2  # the lowest eight fine slices are missing
    nib.save(nib.Nifti1Image(head.flair[:, :, 8::2], affine), thick / "flair.nii.gz")
    brain = judged(case(thick, "flair", "truth", "brain")).scan.brain.array
    assert head.brain[:, :, 4:8].any() and not brain[:, :, :8].any()
    np.testing.assert_array_equal(brain[:, :, 8:], head.brain[:, :, 8:])


def test_the_flairs_own_grid_can_be_kept(thick, head):
    """Then its own brain stays voxel by voxel: a way to the truth's grid and back would blur it."""
    found = read_scan(case(thick, "flair", "truth"))
    np.testing.assert_array_equal(found.scan.flair.array, head.flair[:, :, ::2])
    np.testing.assert_array_equal(found.scan.brain.array, head.brain[:, :, ::2])
    np.testing.assert_array_equal(found.truth_mask().array, head.truth[:, :, ::2])
    with_brain = read_scan(case(thick, "flair", "truth", "brain"))
    np.testing.assert_array_equal(with_brain.scan.brain.array, head.brain[:, :, ::2])


def test_nan_around_the_brain_does_not_creep_into_it(thick, head):
    stored = nib.load(thick / "flair.nii.gz")
    array = np.where(head.brain[:, :, ::2], head.flair[:, :, ::2], np.nan)
    nib.save(nib.Nifti1Image(array, stored.affine), thick / "flair.nii.gz")
    for names in (("flair",), ("flair", "truth"), ("flair", "truth", "brain")):
        scan = judged(case(thick, *names)).scan
        assert np.isfinite(scan.flair.array).all() and scan.brain.array.any()


@pytest.mark.parametrize("other", ["t2", "brain"])
def test_grids_that_do_not_match_are_named_with_both_shapes_and_affines(folder, save, head, other):
    save(folder / f"{other}.nii.gz", head.flair[:-1])
    with pytest.raises(GridError) as refused:
        judged(case(folder, "flair", other))
    message = str(refused.value)
    assert "15x17x19" in message and "14x17x19" in message and message.count("affine [") == 2
    assert str(folder / f"{other}.nii.gz") in message


def test_a_shift_of_the_affine_is_another_grid(folder, save, head):
    image = nib.load(folder / "t1.nii.gz")  # any image of that grid
    affine = image.affine.copy()
    affine[2, 3] += 0.2
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), affine), folder / "t2.nii.gz")
    with pytest.raises(GridError):
        judged(case(folder, "flair", "t2"))


def test_without_a_flair(folder):
    with pytest.raises(InputError, match="no FLAIR"):
        judged(case(folder, "truth"))


def test_a_brain_with_nan_in_it_is_refused(folder, save, head):
    flair = head.flair.copy()
    flair[7, 8, 9] = np.nan
    save(folder / "flair.nii.gz", flair)
    for names in (("flair",), ("flair", "brain"), ("flair", "truth")):
        with pytest.raises(BrainError, match="1 NaN"):
            judged(case(folder, *names))


@pytest.mark.parametrize("with_brain", [False, True])
def test_where_the_brain_came_from_is_a_value(folder, with_brain):
    source = read_scan(case(folder, "flair", *["brain"] * with_brain)).brain_source
    assert (source.origin, source.image) == ("given" if with_brain else "background", "flair")
    assert source.file == (folder / "brain.nii.gz" if with_brain else None)


def test_a_stripped_scan_on_one_grid_is_taken_as_it_lies_unless_more_is_asked_for(folder):
    stripped = case(folder, "flair", "t1")
    assert read_scan(stripped).as_it_lies
    assert not read_scan(stripped, PreprocessSettings(strip_on="flair")).as_it_lies
    assert not read_scan(stripped, PreprocessSettings(stripped="prepare")).as_it_lies
    asked = PreprocessSettings(strip_on="flair", bias=True).for_judging(None)
    assert read_scan(stripped, asked).as_it_lies


def test_truth_mask_and_labels_of_one_grid_agree(folder, head):
    found = read_scan(case(folder, "flair", "truth"))
    np.testing.assert_array_equal(found.truth_mask().array, found.labelled(merge=True).labels > 0)
    assert read_scan(case(folder, "flair")).truth_mask() is None


def test_a_truth_mask_has_the_labels_that_are_lesion(folder, save, head):
    """Label 2 is another pathology, which the data set says is to be ignored."""
    labels = head.truth.astype(np.uint8)
    labels[10:12, 7:9, 8:10] = 2
    save(folder / "truth.nii.gz", labels)
    named = replace(case(folder, "flair", "truth"), extra={"lesion_labels": "1", "ignored_labels": "2"})
    np.testing.assert_array_equal(read_scan(named).truth_mask().array, head.truth)
    prepared = read_scan(named, PreprocessSettings(stripped="prepare", brain="none", to_atlas="never"))
    assert not prepared.as_it_lies
    np.testing.assert_array_equal(prepared.truth_mask().array, head.truth)
    plain = read_scan(case(folder, "flair", "truth"))
    np.testing.assert_array_equal(plain.truth_mask().array, labels > 0)
