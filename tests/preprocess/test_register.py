from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray

from flairline.errors import InputError, UnknownNameError
from flairline.imaging.points import PointMap, carry_mask, carry_volume, identity
from flairline.imaging.resample import resample_volume
from flairline.preprocess import register
from flairline.types import Mask, Space, Volume

SHAPE = (7, 8, 9)
GRIDS = {
    "RAS": np.diag([2.0, 3.0, 4.0]),
    "LAS": np.diag([-2.0, 3.0, 4.0]),
    "LPS": np.diag([-2.0, -3.0, 4.0]),
    "oblique": np.array([[0.96, -0.28, 0.0], [0.28, 0.96, 0.0], [0.0, 0.0, 1.0]]) @ np.diag([2.0, 3.0, 4.0]),
}
TO_NATIVE = np.array([[1.1, 0.1, 0.0, 5.0], [-0.1, 0.9, 0.05, -7.0], [0.0, 0.02, 1.05, 11.0], [0.0, 0.0, 0.0, 1.0]])


def grid(name: str) -> Space:
    vox_to_ras = np.eye(4)
    vox_to_ras[:3, :3] = GRIDS[name]
    vox_to_ras[:3, 3] = np.array([3.0, -5.0, 8.0]) - GRIDS[name] @ (np.array(SHAPE) - 1) / 2  # centred, not at 0
    return Space(SHAPE, vox_to_ras)


def test_itk_file_takes_a_known_point_on_the_right_to_where_it_belongs(tmp_path):
    points = PointMap("mni", "native", TO_NATIVE)
    register.write_itk(tmp_path / "from-native_to-mni_xfm.tfm", points)
    transform = sitk.ReadTransform(str(tmp_path / "from-native_to-mni_xfm.tfm"))

    right_ras = np.array([40.0, 20.0, 10.0])  # x > 0: the patient's right
    wanted_ras = (TO_NATIVE @ [*right_ras, 1.0])[:3]
    found_lps = np.array(transform.TransformPoint((-right_ras[0], -right_ras[1], right_ras[2])))

    np.testing.assert_allclose(found_lps * [-1, -1, 1], wanted_ras, atol=1e-9)
    assert found_lps[0] < 0  # right, in LPS


def test_a_transform_is_read_back_as_it_was_written_also_one_about_a_centre(tmp_path):
    register.write_itk(tmp_path / "xfm.tfm", PointMap("mni", "native", TO_NATIVE))
    back = register.read_itk(tmp_path / "xfm.tfm", "mni", "native")
    np.testing.assert_allclose(back.ras_to_ras, TO_NATIVE, atol=1e-9)
    theirs = sitk.AffineTransform(sitk.ReadTransform(str(tmp_path / "xfm.tfm")))
    theirs.SetCenter((3.0, -4.0, 5.0))
    sitk.WriteTransform(theirs, str(tmp_path / "centred.tfm"))
    point = np.array([40.0, 20.0, 10.0])
    wanted = np.array(theirs.TransformPoint((-40.0, -20.0, 10.0))) * [-1, -1, 1]
    found = register.read_itk(tmp_path / "centred.tfm", "a", "b").ras_to_ras @ [*point, 1.0]
    np.testing.assert_allclose(found[:3], wanted, atol=1e-9)
    (tmp_path / "broken.tfm").write_text("nothing")
    with pytest.raises(InputError, match=r"broken\.tfm"):
        register.read_itk(tmp_path / "broken.tfm", "a", "b")


@pytest.mark.parametrize("name", GRIDS)
def test_simpleitk_carries_an_image_as_we_do(name, tmp_path):
    random = np.random.default_rng(0)
    native = Volume(random.random(SHAPE).astype(np.float32), grid(name))
    onto = Space(
        (9, 7, 8), np.diag([2.2, 2.6, 3.0, 1.0]) + np.array([[0, 0, 0, -9], [0] * 3 + [-8], [0] * 3 + [-9], [0] * 4])
    )
    points = PointMap("atlas", "native", TO_NATIVE)
    register.write_itk(tmp_path / "xfm.tfm", points)
    theirs = sitk.Resample(
        register.to_sitk(native),
        register.to_sitk(Volume(np.zeros(onto.shape, np.float32), onto)),
        sitk.ReadTransform(str(tmp_path / "xfm.tfm")),
        sitk.sitkLinear,
        0.0,
    )
    ours = carry_volume(native, onto, points).array
    inside = np.isin(ours, [0.0], invert=True) & (sitk.GetArrayFromImage(theirs).T != 0)
    assert np.count_nonzero(inside) > 20
    np.testing.assert_allclose(ours[inside], sitk.GetArrayFromImage(theirs).T[inside], atol=1e-5)


def test_a_map_and_its_inverse_lead_back():
    points = PointMap("atlas", "native", TO_NATIVE)
    back = points.then(points.inverse())
    assert (back.source, back.target) == ("atlas", "atlas")
    np.testing.assert_allclose(back.ras_to_ras, np.eye(4), atol=1e-12)


def test_maps_that_do_not_meet_cannot_be_joined():
    with pytest.raises(ValueError, match="cannot be followed"):
        PointMap("a", "b", np.eye(4)).then(PointMap("c", "d", np.eye(4)))


def test_identity_carries_as_plain_resampling():
    image = Volume(np.random.default_rng(1).random(SHAPE).astype(np.float32), grid("oblique"))
    onto = grid("RAS")
    np.testing.assert_array_equal(
        carry_volume(image, onto, identity("a", "b")).array, resample_volume(image, onto).array
    )


def test_a_mask_is_set_where_its_partial_volume_reaches_the_threshold():
    space = Space((4, 1, 1), np.eye(4))
    mask = Mask(np.array([True, True, False, False]).reshape(4, 1, 1), space)
    half_a_voxel = PointMap("a", "b", np.eye(4) + np.array([[0, 0, 0, 0.5], [0] * 4, [0] * 4, [0] * 4]))
    assert carry_mask(mask, space, half_a_voxel, 0.4).array.ravel().tolist() == [True, True, False, False]
    assert carry_mask(mask, space, half_a_voxel, 0.9).array.ravel().tolist() == [True, False, False, False]


def test_isotropic_grid_lies_around_the_brain():
    brain = np.zeros((20, 30, 12), bool)
    brain[8:12, 10:20, 4:8] = True
    space = Space(brain.shape, np.diag([2.0, 2.0, 5.0, 1.0]))
    cubes = register.isotropic_space(space, Mask(brain, space), 2.0)
    assert cubes.spacing_mm == pytest.approx((2.0, 2.0, 2.0))
    np.testing.assert_allclose(cubes.vox_to_ras[:3, 3], [(8 - 5) * 2, (10 - 5) * 2, (4 - 2) * 5])
    assert cubes.shape == (14, 20, 20)


@pytest.mark.parametrize("rounding", [-2e-7, 0.0, 2e-7])
def test_a_headers_rounding_makes_no_other_grid(rounding):
    """One voxel more laid a head elsewhere: brains of a stored and a rewritten file had a Dice of .975."""
    brain = np.zeros((20, 30, 12), bool)
    brain[8:12, 10:20, 4:8] = True
    space = Space(brain.shape, np.diag([2.0 * (1 + rounding), 2.0 * (1 - rounding), 2.5 * (1 + rounding), 1.0]))
    cubes = register.isotropic_space(space, Mask(brain, space), 2.0)
    assert cubes.shape == (14, 20, 15)
    np.testing.assert_allclose(cubes.vox_to_ras[:3, 3], [(8 - 5) * 2, (10 - 5) * 2, 0], atol=1e-5)


def test_the_turned_grid_holds_the_brain_and_its_margin_on_no_axis_of_the_image():
    brain = np.zeros((20, 30, 12), bool)
    brain[8:12, 10:20, 4:8] = True
    vox_to_ras = np.eye(4)
    vox_to_ras[:3, :3] = GRIDS["oblique"] @ np.diag([1.0, 2 / 3, 5 / 4])  # sides of 2, 2 and 5 mm
    space = Space(brain.shape, vox_to_ras)
    cubes = register.turned_space(space, Mask(brain, space), 2.0)
    assert cubes.spacing_mm == pytest.approx((2.0, 2.0, 2.0))
    assert np.linalg.det(cubes.vox_to_ras[:3, :3]) > 0
    places = np.c_[np.argwhere(brain), np.ones(brain.sum())] @ (np.linalg.inv(cubes.vox_to_ras) @ vox_to_ras).T
    assert places[:, :3].min(axis=0) == pytest.approx(register.MARGIN_MM / 2)
    room = np.array(cubes.shape) - 1 - places[:, :3].max(axis=0)
    assert (room >= register.MARGIN_MM / 2 - 0.01).all() and (room <= register.MARGIN_MM / 2 + 1).all()
    cosines = np.abs((cubes.vox_to_ras[:3, :3] / 2).T @ (vox_to_ras[:3, :3] / [2.0, 2.0, 5.0]))
    assert cosines.max() < 0.98


@pytest.mark.parametrize("shift_mm", [(1.0, 0.0, 1.0), (0.7, -0.8, 0.3)])
def test_like_grids_do_not_hold_a_head_at_whole_voxels(shift_mm):
    """Noisy images on cubes of 2 mm that lie along each other: the shift was found at whole voxels."""
    rng = np.random.default_rng(0)
    x, y, z = np.mgrid[-24:24, -28:28, -20:20] * 2.0
    inside = (x / 36) ** 2 + (y / 46) ** 2 + (z / 30) ** 2 < 1

    def head(x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.sin(x / 4 + y / 9) + np.sin(y / 5 - z / 7) + np.cos(z / 4 + x / 11)

    space = Space(x.shape, np.array([[2.0, 0, 0, -48], [0, 2.0, 0, -56], [0, 0, 2.0, -40], [0, 0, 0, 1]]))
    fixed = 100 + 20 * head(x, y, z) + rng.normal(0, 15, x.shape)
    moving = 100 - 15 * head(x - shift_mm[0], y - shift_mm[1], z - shift_mm[2]) + rng.normal(0, 15, x.shape)
    images = [Volume(array.astype(np.float32), space) for array in (fixed, moving)]
    found = register.register_rigid(images[0], Mask(inside, space), images[1], None, "greedy")
    assert found[:3, 3] == pytest.approx(shift_mm, abs=0.5)  # a quarter of a voxel


def test_greedy_finds_the_way_and_gives_the_same_bytes_twice(head, coarse_registration, capfd):
    from flairline.preprocess.atlas import load_atlas

    atlas = load_atlas(str(head.atlas_file))
    found = [register.register_affine(atlas.t1, atlas.brain, head.flair, head.brain, "greedy") for _ in range(2)]
    assert found[0].tobytes() == found[1].tobytes()
    corners = np.array([[x, y, z, 1.0] for x in (-50, 50) for y in (-80, 50) for z in (-30, 60)])
    apart = np.linalg.norm((corners @ (found[0] - head.atlas_to_native.ras_to_ras).T)[:, :3], axis=1)
    assert apart.max() < 4.0  # one voxel
    assert capfd.readouterr() == ("", "")  # greedy prints; nothing of it may reach our stdout


def test_greedy_aligns_a_whole_head_to_a_brain(head, coarse_registration):
    matrix = register.register_rigid(head.flair, head.brain, head.t1, None, "greedy")
    assert np.abs(matrix - np.eye(4))[:3, 3].max() < 2.5
    assert np.abs(matrix - np.eye(4))[:3, :3].max() < 0.03


def test_dipy_finds_the_same_way(head, coarse_registration):
    pytest.importorskip("dipy")
    from flairline.preprocess.atlas import load_atlas

    atlas = load_atlas(str(head.atlas_file))
    found = register.register_affine(atlas.t1, atlas.brain, head.flair, head.brain, "dipy")
    corners = np.array([[x, y, z, 1.0] for x in (-50, 50) for y in (-80, 50) for z in (-30, 60)])
    apart = np.linalg.norm((corners @ (found - head.atlas_to_native.ras_to_ras).T)[:, :3], axis=1)
    assert apart.max() < 8.0


def test_an_unknown_engine_is_named(head):
    with pytest.raises(UnknownNameError, match="greedy"):
        register.register_rigid(head.flair, head.brain, head.t1, None, "gredy")
