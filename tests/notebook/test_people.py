"""`flairline.synthesise`: cases that the other verbs take."""

import nibabel as nib
import numpy as np
import pytest

import flairline as fl
from flairline.cases import people as making


@pytest.fixture
def label_map(tmp_path):
    x, y, z = np.meshgrid(*(np.arange(n) for n in (46, 50, 42)), indexing="ij")
    r = np.sqrt(((x - 23) / 22) ** 2 + ((y - 25) / 23) ** 2 + ((z - 21) / 20) ** 2)
    labels = np.zeros(r.shape, np.float32)
    for limit, number in ((0.9, 24), (0.8, 3), (0.62, 2), (0.2, 4)):
        labels[r < limit] = number
    path = tmp_path / "labels.nii.gz"
    nib.save(nib.Nifti1Image(labels, np.eye(4)), path)
    return path


def test_its_people_can_be_segmented_and_judged(tmp_path, label_map):
    cases = fl.synthesise(tmp_path / "people", 2, [label_map], seed=3)
    assert [case.subject for case in cases] == ["sub-3p0001", "sub-3p0002"]
    assert fl.segment(cases[0].flair, brain=cases[0].brain, method="brightest").mask.array.any()
    assert fl.benchmark(cases, methods=["intensity"], protocol="sound").failures == {}


def test_a_person_who_cannot_be_made_is_an_error(tmp_path, label_map, monkeypatch):
    monkeypatch.setattr(making, "render", lambda plan: 1 / 0)
    with pytest.raises(fl.FlairlineError, match=r"1 of 1 people could not be made\. sub-0p0001: ZeroDivisionError"):
        fl.synthesise(tmp_path / "people", 1, [label_map])
