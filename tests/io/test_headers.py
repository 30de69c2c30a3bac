from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from flairline.errors import ImageError
from flairline.io.nifti import read_mask, read_volume, write_mask
from flairline.types import Mask

SHAPE = (7, 8, 9)
LAS = np.diag([-2.0, 3.0, 4.0, 1.0])
SHIFTED = LAS + np.array([[0, 0, 0, 11.0], [0] * 4, [0] * 4, [0] * 4])


def write(path, qform=None, sform=None, qcode=1, scode=1, change=lambda header: None):
    image = nib.Nifti1Image(np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE), np.eye(4))
    image.set_qform(qform, qcode if qform is not None else 0)
    image.set_sform(sform, scode if sform is not None else 0)
    change(image.header)
    path.write_bytes(image.to_bytes())
    return path


def stored(path) -> np.ndarray:
    return read_volume(path).space.stored.vox_to_ras


def test_both_agree(tmp_path):
    volume = read_volume(write(tmp_path / "a.nii", LAS, LAS))
    np.testing.assert_allclose(volume.space.stored.vox_to_ras, LAS, atol=1e-5)
    assert volume.space.stored.note == ""


def test_only_the_qform_is_set(tmp_path):
    np.testing.assert_allclose(stored(write(tmp_path / "a.nii", qform=SHIFTED)), SHIFTED, atol=1e-5)


def test_only_the_sform_is_set(tmp_path):
    np.testing.assert_allclose(stored(write(tmp_path / "a.nii", sform=SHIFTED)), SHIFTED, atol=1e-5)


def test_where_they_disagree_the_qform_holds_and_it_is_said(tmp_path):
    volume = read_volume(write(tmp_path / "a.nii", qform=LAS, sform=SHIFTED))
    np.testing.assert_allclose(volume.space.stored.vox_to_ras, LAS, atol=1e-5)
    assert "qform holds" in volume.space.stored.note and "11 mm" in volume.space.stored.note


def test_an_invalid_qform_gives_way_to_the_sform(tmp_path):
    def broken(header):
        header["quatern_b"], header["quatern_c"], header["quatern_d"] = 2.0, 2.0, 2.0

    volume = read_volume(write(tmp_path / "a.nii", qform=LAS, sform=SHIFTED, change=broken))
    np.testing.assert_allclose(volume.space.stored.vox_to_ras, SHIFTED, atol=1e-5)
    assert "sform holds" in volume.space.stored.note


def test_neither_is_set_and_the_side_is_not_known(tmp_path):
    assert "LEFT AND RIGHT ARE NOT KNOWN" in read_volume(write(tmp_path / "a.nii")).space.stored.note


def test_opposite_handedness_is_refused_with_the_figures(tmp_path):
    path = write(tmp_path / "a.nii", qform=LAS, sform=LAS @ np.diag([-1.0, 1, 1, 1]))
    with pytest.raises(ImageError, match=r"left and right \(determinants -24 and 24\)"):
        read_volume(path)


def test_rounding_is_no_disagreement(tmp_path):
    nudged = LAS + np.array([[0, 0, 0, 1e-3], [0] * 4, [0] * 4, [0] * 4])
    assert read_volume(write(tmp_path / "a.nii", qform=LAS, sform=nudged)).space.stored.note == ""


def test_a_sheared_sform_without_a_qform_is_refused(tmp_path):
    sheared = LAS.copy()
    sheared[0, 1] = 0.7
    with pytest.raises(ImageError, match="sheared"):
        read_volume(write(tmp_path / "a.nii", sform=sheared))


def test_zero_voxel_sizes_are_refused(tmp_path):
    flat = LAS.copy()
    flat[2, 2] = 0.0
    with pytest.raises(ImageError, match="singular"):
        read_volume(write(tmp_path / "a.nii", sform=flat))


def test_absurd_voxel_sizes_are_refused_with_the_figures(tmp_path):
    with pytest.raises(ImageError, match="2000 x 3000 x 4000 mm"):
        read_volume(write(tmp_path / "a.nii", sform=np.diag([2000.0, 3000.0, 4000.0, 1.0])))


def test_oblique_and_left_handed_grids_come_back_as_they_were(tmp_path):
    angle = np.radians(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    oblique = np.eye(4)
    oblique[:3, :3] = turn @ np.diag([-2.0, 3.0, 4.0])  # a negative determinant is normal
    source = read_volume(write(tmp_path / "a.nii", qform=oblique, sform=oblique))
    write_mask(tmp_path / "b.nii.gz", Mask(source.array > 100, source.space))
    np.testing.assert_allclose(nib.load(tmp_path / "b.nii.gz").affine, oblique, atol=1e-5)
    np.testing.assert_array_equal(read_mask(tmp_path / "b.nii.gz").array, source.array > 100)
