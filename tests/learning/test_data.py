"""What may be learned from: no lesion, no patient on both sides, and every scan known again."""

import numpy as np
import pytest

from flairline.errors import InputError
from flairline.learning.data import TrainingData, source_of
from flairline.types import Case


@pytest.fixture
def cases(make_head, save, tmp_path):
    """Five patients, the last with two visits; heads whose truth has lesions on slices 8 to 10."""

    def write(number: int, subject: str, session: str = "") -> Case:
        head, folder = make_head(number), tmp_path / f"{number}"
        images = {"flair": head.flair, "brain": head.brain.astype(np.uint8), "truth": head.truth.astype(np.uint8)}
        files = {name: save(folder / f"{name}.nii.gz", array) for name, array in images.items()}
        return Case("set", subject, session=session, **files)

    return [write(i, f"s{i}") for i in range(4)] + [write(4, "s4", "1"), write(5, "s4", "2")]


def test_a_scan_with_lesions_is_refused(cases):
    with pytest.raises(InputError, match=r"has lesions by its truth.*--lesion-free-slices"):
        list(TrainingData(cases))


def test_slices_with_lesions_are_left_out_and_nothing_else(cases):
    for healthy in TrainingData(cases, lesion_free_slices=True):
        assert np.flatnonzero(~healthy.usable).tolist() == [8, 9, 10]


def test_slices_cannot_be_left_out_by_a_truth_that_is_not_there(cases):
    from dataclasses import replace

    with pytest.raises(InputError, match=r"Wanted a truth .*flair\.nii\.gz has none.*--lesion-free-slices"):
        list(TrainingData([replace(case, truth=None) for case in cases], lesion_free_slices=True))


def test_without_truths_every_slice_is_usable(cases):
    from dataclasses import replace

    for healthy in TrainingData([replace(case, truth=None) for case in cases]):
        assert healthy.usable.all()


def test_no_patient_trains_and_validates(cases):
    training, validation = TrainingData(cases, lesion_free_slices=True).split()
    assert [case.subject for case in validation.cases] == ["s4", "s4"]
    assert [case.subject for case in training.cases] == ["s0", "s1", "s2", "s3"]
    assert training.lesion_free_slices and validation.lesion_free_slices


def test_one_patient_is_too_few(cases):
    with pytest.raises(InputError, match="at least 2 patients"):
        TrainingData(cases[4:]).split()


def test_a_scan_is_known_again_when_it_was_compressed_or_turned_anew(cases, make_head, save, tmp_path):
    from dataclasses import replace

    original = source_of(cases[0])
    copy = save(tmp_path / "copy.nii", make_head(0).flair, "LPS")  # other file, other order on disk, same voxels
    again, other = source_of(replace(cases[0], flair=copy)), source_of(cases[1])
    assert again.sha256 != original.sha256 and again.voxels_sha256 == original.voxels_sha256
    assert other.voxels_sha256 != original.voxels_sha256
