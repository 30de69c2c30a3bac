from __future__ import annotations

import struct

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


def unscaled(path, offset=352.0, magic=b"n+1\0", tail=b"", at=352):
    """A single file of 7x8x9 bytes, its voxels at `at`, whatever its header says of where they begin."""
    array = np.random.default_rng(3).integers(0, 200, SHAPE, dtype=np.uint8)
    image = nib.Nifti1Image(array, LAS)
    image.set_qform(LAS, 1)
    content = bytearray(image.to_bytes())
    voxels = content[352:]
    content = content[:348] + b"\0" * (at - 348) + voxels
    content[108:112] = np.float32(offset).tobytes()
    content[344:348] = magic
    path.write_bytes(bytes(content) + tail)
    return array


@pytest.mark.parametrize("offset", [0.0, 100.0, 348.0, -5.0])
def test_voxels_that_begin_inside_the_header_are_read_behind_it(offset, tmp_path):
    array = unscaled(tmp_path / "a.nii", offset)
    volume = read_volume(tmp_path / "a.nii")
    np.testing.assert_array_equal(volume.array, array[::-1])
    np.testing.assert_allclose(volume.space.stored.vox_to_ras, LAS)


@pytest.mark.parametrize(("tail", "at"), [(b"\0" * 7, 352), (b"", 348)])
def test_where_the_voxels_begin_must_not_be_guessed(tail, at, tmp_path):
    unscaled(tmp_path / "a.nii", 0.0, tail=tail, at=at)
    with pytest.raises(ImageError, match="begin at byte 0, inside its header; wanted 352 or more"):
        read_volume(tmp_path / "a.nii")


@pytest.mark.parametrize(("unit", "mm"), [("meter", 1000.0), ("micron", 0.001)])
@pytest.mark.parametrize("form", ["qform", "sform", "both"])
def test_metres_and_micrometres_are_read_as_millimetres_as_itk_does(unit, mm, form, tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    in_unit = np.diag([1 / mm, 1 / mm, 1 / mm, 1.0]) @ SHIFTED
    forms = {"qform": (in_unit, None), "sform": (None, in_unit), "both": (in_unit, in_unit)}[form]

    def change(header):
        header.set_xyzt_units(unit)
        header.set_zooms(abs(in_unit.diagonal()[:3]))

    path = write(tmp_path / "a.nii", *forms, change=change)
    volume = read_volume(path)
    np.testing.assert_allclose(volume.space.stored.vox_to_ras, SHIFTED, rtol=1e-5)
    assert "brought to mm" in volume.space.stored.note
    itk = sitk.ReadImage(path)
    np.testing.assert_allclose(itk.GetSpacing(), (2, 3, 4), rtol=1e-4)
    write_mask(tmp_path / "b.nii", Mask(volume.array > 100, volume.space))
    np.testing.assert_allclose(nib.load(tmp_path / "b.nii").affine, SHIFTED, rtol=1e-5)


@pytest.mark.parametrize("unit", ["meter", "micron"])
def test_a_unit_that_cannot_be_meant_is_passed_over_and_said(unit, tmp_path):
    volume = read_volume(write(tmp_path / "a.nii", LAS, LAS, change=lambda header: header.set_xyzt_units(unit)))
    np.testing.assert_allclose(volume.space.stored.vox_to_ras, LAS, atol=1e-5)
    assert "read as mm" in volume.space.stored.note


def with_sides(path, *sides):
    """The same file with other bytes for the voxel's sides; nibabel would not write them."""
    content = path.read_bytes()
    path.write_bytes(content[:80] + np.array(sides, "<f4").tobytes() + content[92:])
    return path


@pytest.mark.parametrize("side", [0.0, np.nan, np.inf])
def test_a_qform_whose_voxels_have_no_size_is_not_valid(side, tmp_path, capfd):
    """Zero is not one millimetre: nibabel would shrink these voxels to a third."""
    volume = read_volume(with_sides(write(tmp_path / "a.nii", SHIFTED, SHIFTED), 2.0, side, 4.0))
    np.testing.assert_allclose(volume.space.stored.vox_to_ras, SHIFTED, atol=1e-5)
    assert volume.space.stored.note == "The sform holds: the qform is not valid."
    with pytest.raises(ImageError, match="Repair its qform and sform"):
        read_volume(with_sides(write(tmp_path / "b.nii", SHIFTED), 2.0, side, 4.0))
    assert capfd.readouterr() == ("", "")


def test_a_negative_side_is_taken_as_it_is_meant(tmp_path, capfd):
    volume = read_volume(with_sides(write(tmp_path / "a.nii", SHIFTED), -2.0, 3.0, 4.0))
    np.testing.assert_allclose(volume.space.stored.vox_to_ras, SHIFTED, atol=1e-5)
    assert capfd.readouterr() == ("", "")


def with_quaternion(path, quaternion):
    """The same file with other bytes for b, c and d; nibabel would not write them."""
    content = path.read_bytes()
    path.write_bytes(content[:256] + quaternion.tobytes() + content[268:])
    return path


@pytest.mark.parametrize("too_long", [5e-7, 2e-5])
def test_a_quaternion_a_little_longer_than_one_is_read_as_itk_does(too_long, tmp_path):
    sitk = pytest.importorskip("SimpleITK")

    quaternion = (np.array([0.6, 0.0, 0.8]) * np.sqrt(1 + too_long)).astype("<f4")
    assert (quaternion.astype(float) ** 2).sum() > 1 + too_long / 2
    path = with_quaternion(write(tmp_path / "a.nii", qform=SHIFTED), quaternion)
    volume = read_volume(path)
    itk = sitk.ReadImage(path)
    directions = np.array(itk.GetDirection()).reshape(3, 3) * itk.GetSpacing()
    wanted = np.diag([-1, -1, 1]) @ directions  # ITK's LPS to RAS
    np.testing.assert_allclose(volume.space.stored.vox_to_ras[:3, :3], wanted, atol=1e-4)
    assert volume.space.sides_known


def test_a_quaternion_that_is_none_leaves_the_sides_unknown(tmp_path):
    path = with_quaternion(write(tmp_path / "a.nii", qform=LAS), np.array([2, 2, 2], "<f4"))
    space = read_volume(path).space
    assert not space.sides_known and "qform is not valid and no sform" in space.stored.note


def test_results_know_no_more_of_the_sides_than_their_scan(tmp_path):
    volume = read_volume(write(tmp_path / "a.nii"))
    assert not volume.space.sides_known
    write_mask(tmp_path / "b.nii.gz", Mask(volume.array > 100, volume.space))
    written = read_mask(tmp_path / "b.nii.gz")
    assert not written.space.sides_known and written.space.same_grid(volume.space)


def test_a_turn_of_almost_half_a_circle_keeps_its_small_part(tmp_path):
    """nibabel takes a small real part of a quaternion for zero where its limit is wide."""
    angle = np.radians(179.0)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    turned = np.eye(4)
    turned[:3, :3] = turn @ np.diag([2.0, 3.0, 4.0])
    np.testing.assert_allclose(stored(write(tmp_path / "a.nii", qform=turned)), turned, atol=1e-3)


@pytest.mark.parametrize("qfac", [0.0, np.nan, 5.0, -2.0, -1.0])
def test_a_handedness_that_is_no_sign_is_read_as_itk_does(qfac, tmp_path):
    """pixdim[0]: below zero is -1, all else is 1."""
    image = nib.Nifti1Image(np.random.default_rng(0).random((5, 6, 7), np.float32), np.eye(4))
    image.set_qform(np.diag([2.0, 2.5, 3.0, 1.0]), 1)
    image.set_sform(None, 0)
    content = bytearray(image.to_bytes())
    struct.pack_into("<f", content, 76, qfac)
    (tmp_path / "a.nii").write_bytes(content)
    SimpleITK = pytest.importorskip("SimpleITK")
    itk = SimpleITK.ReadImage(str(tmp_path / "a.nii"))
    upwards = itk.GetDirection()[8] > 0
    array = read_volume(tmp_path / "a.nii").array
    np.testing.assert_array_equal(array, np.asarray(image.dataobj)[:, :, :: 1 if upwards else -1])
    assert upwards == (not qfac < 0)


@pytest.mark.parametrize("order", "<>")
def test_an_extension_where_the_voxels_are_said_to_begin_is_not_read_as_voxels(order, tmp_path):
    array = np.random.default_rng(0).random((5, 6, 7), np.float32)
    image = nib.Nifti1Image(array.astype(f"{order}f4"), np.eye(4), nib.Nifti1Header(endianness=order))
    content = bytearray(image.to_bytes())
    extension = struct.pack(f"{order}2i", 48, 4) + b"<AFNI_attributes/>".ljust(40, b"\0")
    content[348] = 1
    (tmp_path / "a.nii").write_bytes(content[:352] + extension + content[352:])
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii").array, array)
    # What follows is no extension: the voxels begin where the header says.
    (tmp_path / "b.nii").write_bytes(content)
    np.testing.assert_array_equal(read_volume(tmp_path / "b.nii").array, array)
