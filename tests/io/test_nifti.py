import gzip
import os
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from flairline.errors import ImageError, OutputError
from flairline.io.nifti import read_mask, read_space, read_volume, write_labels, write_mask, write_volume
from flairline.types import Mask, Space, Volume

ORIENTATIONS = ("RAS", "LAS", "LPS", "oblique")
SHAPE = (7, 8, 9)


@pytest.fixture
def array() -> np.ndarray:
    return np.random.default_rng(1).normal(50, 20, SHAPE).astype(np.float32)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_orientation_is_read_as_the_same_array(tmp_path, save, array, orientation):
    volume = read_volume(save(tmp_path / "a.nii.gz", array, orientation))
    np.testing.assert_array_equal(volume.array, array)
    np.testing.assert_allclose(volume.space.spacing_mm, (1, 1.5, 2), rtol=1e-6)
    assert np.linalg.det(volume.space.vox_to_ras[:3, :3]) > 0
    assert volume.array.dtype == np.float32 and volume.array.flags.c_contiguous


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_what_is_written_lies_on_the_input_grid(tmp_path, save, array, orientation):
    path = save(tmp_path / "a.nii.gz", array, orientation)
    volume = read_volume(path)
    write_volume(tmp_path / "score.nii.gz", volume)
    write_mask(tmp_path / "mask.nii.gz", Mask(volume.array > 60, volume.space))
    before, score, mask = (nib.load(tmp_path / name) for name in ("a.nii.gz", "score.nii.gz", "mask.nii.gz"))
    for image in (score, mask):
        assert image.shape == before.shape
        for form in (image.get_sform(coded=True), image.get_qform(coded=True)):
            assert form[1] > 0
            np.testing.assert_allclose(form[0], before.affine, atol=1e-4)
        assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (1, 2)
        assert image.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_array_equal(np.asarray(score.dataobj), np.asarray(before.dataobj))
    np.testing.assert_array_equal(np.asarray(mask.dataobj), np.asarray(before.dataobj) > 60)


def test_masks_are_uint8_and_scores_float32_without_scaling(tmp_path, array):
    space = Space(SHAPE, np.diag([1, 1.5, 2, 1.0]))
    write_mask(tmp_path / "mask.nii.gz", Mask(array > 50, space))
    write_volume(tmp_path / "score.nii.gz", Volume(array, space))
    write_labels(tmp_path / "labels.nii.gz", np.arange(array.size).reshape(SHAPE), space)
    for name, dtype in (("mask", np.uint8), ("score", np.float32), ("labels", np.int32)):
        image = nib.load(tmp_path / f"{name}.nii.gz")
        assert image.get_data_dtype() == dtype
        assert np.isnan(image.dataobj.slope) or (image.dataobj.slope, image.dataobj.inter) == (1, 0)
    np.testing.assert_array_equal(
        np.asarray(nib.load(tmp_path / "labels.nii.gz").dataobj).ravel(), np.arange(array.size)
    )


def test_the_same_array_gives_the_same_bytes(tmp_path, array, monkeypatch):
    space = Space(SHAPE, np.eye(4))
    write_volume(tmp_path / "one.nii.gz", Volume(array, space))
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    write_volume(tmp_path / "two.nii.gz", Volume(array, space))
    content = (tmp_path / "one.nii.gz").read_bytes()
    assert content == (tmp_path / "two.nii.gz").read_bytes()
    assert content[4:8] == b"\0\0\0\0"  # gzip's time stamp
    assert gzip.decompress(content)[:4] == struct.pack("<i", 348)


def test_an_uncompressed_file_is_written_as_such(tmp_path, array):
    write_volume(tmp_path / "a.nii", Volume(array, Space(SHAPE, np.eye(4))))
    assert (tmp_path / "a.nii").read_bytes()[:4] == struct.pack("<i", 348)
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii").array, array)


def test_scl_slope_and_inter_are_applied(tmp_path):
    stored = np.arange(504, dtype=np.int16).reshape(SHAPE)
    image = nib.Nifti1Image(stored, np.eye(4))
    content = bytearray(image.to_bytes())
    struct.pack_into("<ff", content, 112, 0.5, -3.0)  # scl_slope, scl_inter
    (tmp_path / "a.nii").write_bytes(content)
    np.testing.assert_allclose(read_volume(tmp_path / "a.nii").array, stored * 0.5 - 3)


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_both_byte_orders_and_versions_are_read(tmp_path, dtype, order, kind):
    stored = np.arange(504).reshape(SHAPE) % 200
    header = kind.header_class(endianness=order)
    header.set_data_dtype(np.dtype(dtype))
    image = kind(stored.astype(np.dtype(dtype).newbyteorder(order)), np.diag([1, 1.5, 2, 1.0]), header)
    content = image.to_bytes()
    assert content[:4] == struct.pack(f"{order}i", 348 if kind is nib.Nifti1Image else 540)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(content))
    volume = read_volume(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(volume.array, stored)
    assert volume.array.dtype == np.dtype("=f4")
    assert read_mask(tmp_path / "a.nii.gz").array.sum() == np.count_nonzero(stored)


def test_a_fourth_axis_of_length_one_is_dropped(tmp_path, array):
    nib.save(nib.Nifti1Image(array[..., None], np.diag([-1, 1, 1, 1.0])), tmp_path / "a.nii.gz")
    volume = read_volume(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(volume.array, array[::-1])
    write_volume(tmp_path / "b.nii.gz", volume)
    assert nib.load(tmp_path / "b.nii.gz").shape == SHAPE


def test_further_axes_of_length_one_are_dropped(tmp_path):
    (tmp_path / "a.nii").write_bytes(nib.Nifti1Image(VOXELS[..., None, None, None], np.eye(4)).to_bytes())
    assert np.array_equal(read_volume(tmp_path / "a.nii").array, VOXELS)


def test_values_that_float32_does_not_hold_are_refused_as_such(tmp_path):
    (tmp_path / "a.nii").write_bytes(nib.Nifti1Image(VOXELS.astype(np.float64) * 1e300, np.eye(4)).to_bytes())
    with pytest.raises(ImageError, match=r"values up to .*e\+30\d; wanted them below 3e38"):
        read_volume(tmp_path / "a.nii")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.nii")
    with pytest.raises(ImageError, match="is a pipe or a device"):
        read_volume(tmp_path / "a.nii")


def test_a_mask_is_what_is_above_zero(tmp_path):
    array = np.array([-1.0, 0.0, 2.0, 1.0, 5.0, np.nan, 0, 0]).reshape(2, 2, 2)
    nib.save(nib.Nifti1Image(array.astype(np.float32), np.eye(4)), tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_mask(tmp_path / "a.nii.gz").array.ravel(), [0, 0, 1, 1, 1, 0, 0, 0])


def test_only_a_qform_is_enough(tmp_path, array):
    image = nib.Nifti1Image(array, None)
    image.set_qform(np.diag([-1, 1, 2, 1.0]), 1)
    image.set_sform(None, 0)
    nib.save(image, tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii.gz").array, array[::-1])
    assert read_space(tmp_path / "a.nii.gz").spacing_mm == (1, 1, 2)


def bad_image(array: np.ndarray, affine: np.ndarray | None = None) -> bytes:
    """Bytes of a file with the affine in its sform alone, however wrong it is."""
    image = nib.Nifti1Image(array, np.eye(4))
    image.header["srow_x"], image.header["srow_y"], image.header["srow_z"] = (np.eye(4) if affine is None else affine)[
        :3
    ]
    image.header["sform_code"] = 1
    content = bytearray(image.to_bytes())
    for row in range(3):  # nibabel writes the affine it was given; put ours there
        values = (np.eye(4) if affine is None else affine)[row]
        struct.pack_into("<4f", content, 280 + 16 * row, *values)
    return bytes(content)


VOXELS = np.ones(SHAPE, np.float32)
SHEARED = np.array([[1, 0.3, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
COLOURS = np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")])
HUGE = bytearray(bad_image(VOXELS))
struct.pack_into("<8h", HUGE, 40, 3, 32767, 32767, 32767, 1, 1, 1, 1)

BAD = {
    "empty file": (b"", "empty"),
    "text": (b"no image at all" * 40, "none"),
    "short": (b"\x5c\x01\0\0", "damaged"),
    "cut off gzip": (gzip.compress(bad_image(VOXELS))[:-40], "cut off"),
    "half a gzip": (gzip.compress(np.random.default_rng(0).bytes(9999))[:3000], "cut off"),
    "cut off": (bad_image(VOXELS)[:-40], "cut off"),
    "header promises terabytes": (bytes(HUGE), "cut off"),
    "2-D": (bad_image(VOXELS[0]), "2-dimensional"),
    "5-D": (bad_image(VOXELS[..., None, None].repeat(2, 4)), "5-dimensional"),
    "many volumes": (bad_image(VOXELS[..., None].repeat(3, 3)), "has 3"),
    "colours": (bad_image(COLOURS), "colours"),
    "complex": (bad_image(VOXELS.astype(np.complex64)), "complex"),
    "one voxel": (bad_image(VOXELS[:1, :1, :1]), "single voxel"),
    "sheared": (bad_image(VOXELS, SHEARED), "sheared"),
    "singular": (bad_image(VOXELS, np.diag([1, 1, 0, 1.0])), "singular"),
    "flat": (bad_image(VOXELS, np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])), "singular"),
    "NaN affine": (bad_image(VOXELS, np.diag([1, np.nan, 1, 1.0])), "singular"),
    "voxels of a metre": (bad_image(VOXELS, np.diag([1000, 1, 1, 1.0])), "voxels of"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("read", [read_volume, read_mask, read_space])
def test_a_bad_file_is_refused_in_one_line_that_names_it(tmp_path, case, read):
    content, reason = BAD[case]
    path = tmp_path / ("a.nii.gz" if content[:2] == b"\x1f\x8b" else "a.nii")
    path.write_bytes(content)
    with pytest.raises(ImageError, match=reason) as refused:
        read(path)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(ImageError, match="No such file"):
        read_volume(tmp_path / "a.nii.gz")
    with pytest.raises(ImageError, match="is a folder"):
        read_volume(tmp_path)


def test_a_header_of_a_pair_is_refused(tmp_path):
    nib.save(nib.Nifti1Pair(VOXELS, np.eye(4)), tmp_path / "a.img")
    with pytest.raises(ImageError, match="pair"):
        read_volume(tmp_path / "a.hdr")


def test_a_damaged_header_never_ends_in_a_traceback(tmp_path):
    """Any single byte of the header may be wrong: the file is read or refused, nothing else."""
    sound, rng, path = bad_image(VOXELS), np.random.default_rng(3), tmp_path / "a.nii"
    refused = 0
    for place in range(352):
        content = bytearray(sound)
        content[place] = rng.integers(256)
        path.write_bytes(content)
        try:
            read_volume(path)
        except ImageError:
            refused += 1
    assert 10 < refused < 352


def test_writing_where_nothing_can_be_written_is_refused(tmp_path, array):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match="Cannot write"):
        write_volume(tmp_path / "file" / "a.nii.gz", Volume(array, Space(SHAPE, np.eye(4))))


def test_text_paths_are_taken(tmp_path, save, array):
    path: Path = save(tmp_path / "a.nii.gz", array)
    assert read_volume(str(path)).space.shape == SHAPE


def test_a_link_without_its_content_is_named_as_such(tmp_path):
    (tmp_path / "a.nii.gz").symlink_to(tmp_path / ".git" / "annex" / "objects" / "x" / "a.nii.gz")
    with pytest.raises(ImageError, match="is a link whose content is not there"):
        read_volume(tmp_path / "a.nii.gz")
    (tmp_path / "b.nii.gz").write_text("/annex/objects/SHA256E-s123--0a1b.nii.gz\n")
    with pytest.raises(ImageError, match="pointer of git annex without its content"):
        read_mask(tmp_path / "b.nii.gz")


@pytest.mark.parametrize("name", ["a" * 300 + ".nii", "a\0b.nii", "."])
def test_what_is_no_file_is_one_line(name, tmp_path):
    with pytest.raises(ImageError):
        read_volume(tmp_path / name)
