"""Lobes beside an atlas's file."""

from __future__ import annotations

import nibabel as nib
import numpy as np

from flairline.preprocess.atlas import load_atlas
from flairline.report.lobes import lobes_of
from flairline.report.sections.lesions import nearest_label


def test_lobes_come_from_the_map_beside_the_atlas(tmp_path):
    vox_to_ras = np.diag([2.0, 3.0, 4.0, 1.0])
    atlas = np.zeros((40, 30, 20), np.float32)
    atlas[4:36, 4:26, 3:17] = np.linspace(80, 120, 22)[:, None]
    numbers = np.where(np.arange(40)[:, None, None] < 20, 21, 22) * (atlas > 0)
    numbers[18:22, 4:8, 3:6] = 181
    for name, array in (("spgr", atlas), ("lpba40", numbers.astype(np.uint8))):
        nib.save(nib.Nifti1Image(array, vox_to_ras), tmp_path / f"{name}.nii.gz")
    lobes = lobes_of(load_atlas(str(tmp_path / "spgr.nii.gz")))
    assert nearest_label(lobes, (20.0, 45.0, 40.0)) == "frontal, left"
    assert nearest_label(lobes, (60.0, 45.0, 40.0)) == "frontal, right"
    assert nearest_label(lobes, (39.0, 15.0, 16.0)) == "cerebellum"


def test_an_atlas_without_such_a_map_has_none():
    assert lobes_of(load_atlas("mni")) is None
