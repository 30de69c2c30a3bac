"""Asymmetry in atlas space: where the mirrored place is, in every orientation, and when the atlas cannot be had."""

import dataclasses
import logging

import nibabel as nib
import numpy as np
import pytest

from flairline.errors import InputError
from flairline.io.nifti import read_volume
from flairline.methods.asymmetry import Method
from flairline.preprocess import register
from flairline.preprocess import symmetry as _symmetry
from flairline.preprocess.atlas import load_atlas
from flairline.preprocess.read import read_scan
from flairline.preprocess.settings import PreprocessSettings
from flairline.synthesis.phantom import Lesion, phantom
from flairline.types import Case, Mask, Scan

ORIENTATIONS = ("RAS", "LAS", "LPS", "oblique")
SIDES_MM = (4.0, 5.0, 6.0)


def turned(degrees: float = 8.0) -> np.ndarray:
    """From MNI points to a head that lies askew, off centre, and is larger."""
    turn = np.radians(degrees)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    matrix[:3, :3] *= 1.1
    matrix[:3, 3] = 13.0, -7.0, 21.0
    return matrix


def no_registration(*_):
    pytest.fail("a scan that brings its map along was registered again")


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_mirrored_place_is_that_across_the_atlas_plane(orientation, save, tmp_path, monkeypatch):
    monkeypatch.setattr(_symmetry, "register_affine", no_registration)
    volume = read_volume(save(tmp_path / "flair.nii.gz", np.ones((11, 13, 17)), orientation))
    brain = Mask(np.ones(volume.array.shape, bool), volume.space)
    matrix, offset = _symmetry.atlas_mirror(Scan.of("s", volume, brain, atlas_to_native=turned()))
    for place in ([30.0, -20.0, 10.0], [-5.0, 40.0, -25.0]):
        voxels = [
            np.linalg.solve(volume.space.vox_to_ras, turned() @ [sign * place[0], *place[1:], 1.0])[:3]
            for sign in (1, -1)
        ]
        np.testing.assert_allclose(matrix @ voxels[0] + offset, voxels[1], atol=1e-9)
        np.testing.assert_allclose(matrix @ voxels[1] + offset, voxels[0], atol=1e-9)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_registered_here_it_sees_a_tumour_and_not_a_pair(orientation):
    one, truth, _ = phantom(5, SIDES_MM, [Lesion("tumour", (32.0, -20.0, 22.0), 18.0)], orientation)
    place = truth.array
    one = dataclasses.replace(one, atlas_to_native=_symmetry._registered(one))
    matrix, offset = _symmetry.atlas_mirror(one)
    centre = np.argwhere(place).mean(axis=0)
    across = matrix @ centre + offset
    apart_mm = (across - centre) * one.spacing_mm
    assert apart_mm[0] == pytest.approx(-64.0, abs=12.0)  # the phantom's own tilt and scale are in it
    assert np.abs(apart_mm[1:]).max() < 12.0

    found = Method().fit(())(one).array
    assert np.median(found[place]) > np.quantile(found[one.brain.array & ~place], 0.95)


def test_every_orientation_gives_the_same_score():
    scores = []
    for orientation in ("RAS", "LPS"):
        scan, _, _ = phantom(5, SIDES_MM, [Lesion("tumour", (32.0, -20.0, 22.0), 18.0)], orientation)
        scan = dataclasses.replace(scan, atlas_to_native=turned(3.0))
        scores.append(Method().fit(())(scan).array)
    np.testing.assert_allclose(scores[1], scores[0], atol=1e-5)


def test_the_atlas_is_its_own_mirror_image():
    atlas = load_atlas("mni")
    np.testing.assert_array_equal(atlas.t1.array, atlas.t1.array[::-1])
    first, last = atlas.space.vox_to_ras[0, 3], atlas.space.vox_to_ras[0, 3] + atlas.t1.array.shape[0] - 1
    assert first == -last


def test_less_than_a_brain_is_laid_onto_its_own_mirror_image(monkeypatch, caplog):
    monkeypatch.setattr(_symmetry, "register_affine", no_registration)
    scan, _, _ = phantom(6, 6.0, [])
    part = scan.brain.array.copy()
    part[:, :, part.shape[2] // 3 :] = False
    scan = dataclasses.replace(scan, brain=Mask(part, scan.space))
    with pytest.raises(InputError, match="Wanted a whole brain"):
        _symmetry.atlas_mirror(scan)
    with caplog.at_level(logging.INFO, "flairline"):
        by_default = Method().fit(())(scan).array
    assert "own mirror image" in caplog.text
    np.testing.assert_array_equal(by_default, Method(on_atlas=False).fit(())(scan).array)


def test_a_map_that_misses_the_atlas_is_refused(monkeypatch):
    monkeypatch.setattr(_symmetry, "register_affine", lambda *_: turned(90.0))
    scan, _, _ = phantom(6, 6.0, [])
    with pytest.raises(InputError, match="overlaps the atlas's by a Dice of 0"):
        _symmetry.atlas_mirror(scan)


@pytest.mark.parametrize(("named", "kept"), [("mni", True), ("file", False)])
def test_a_registered_scan_brings_its_map_along(named, kept, tmp_path, monkeypatch):
    monkeypatch.setattr(register, "_greedy", lambda *_, **__: turned(4.0))
    scan, _, _ = phantom(6, 6.0, [])
    nib.save(nib.Nifti1Image(scan.flair.array, scan.space.vox_to_ras), tmp_path / "flair.nii.gz")
    atlas = named
    if named == "file":  # no one knows whether a user's atlas is symmetric, whatever it is called
        t1 = load_atlas("mni").t1
        nib.save(
            nib.Nifti1Image(t1.array[::4, ::4, ::4], t1.space.vox_to_ras @ np.diag([4, 4, 4, 1])), tmp_path / "mni.nii"
        )
        atlas = str(tmp_path / "mni.nii")
    case = Case("", "s", tmp_path / "flair.nii.gz")
    found = read_scan(case, PreprocessSettings(atlas=atlas, to_atlas="always"), None)
    assert found.atlas_to_native is not None
    if not kept:
        assert found.scan.atlas_to_native is None
        assert found.atlas_scan().atlas_to_native is None
        return
    np.testing.assert_array_equal(found.scan.atlas_to_native, found.atlas_to_native.ras_to_ras)
    np.testing.assert_array_equal(found.atlas_scan().atlas_to_native, np.eye(4))
