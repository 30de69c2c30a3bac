"""Pictures of single places: the right voxels, on the right side, at the right scale."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.image import imread
from tests.conftest import ORIENTATIONS

from flairline.drawing.palette import FALSE, MARKS, MISSED
from flairline.drawing.places import Place, write_places
from flairline.errors import GridError
from flairline.io.nifti import read_mask, read_volume
from flairline.types import Mask, Scan, Space, Volume

from .test_overlay import ball, box_scan, pixels_like

SHAPE = (71, 62, 23)


def drawn(path, scan, mask, truth, *voxels) -> np.ndarray:
    write_places(path, scan, mask, truth, [Place(voxel, f"place {number}") for number, voxel in enumerate(voxels)], "t")
    return imread(path)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize(("x", "right_of_picture"), [(20, True), (50, False)])
def test_the_left_is_on_the_right_of_the_picture(orientation, x, right_of_picture, save, tmp_path):
    """A false block beside a place in the middle, from files of every orientation with unequal sides."""
    brain, block = np.zeros((2, *SHAPE), bool)
    brain[5:-5, 5:-5, 2:-2] = True
    block[x - 6 : x + 6, 25:37, 10:13] = True
    flair = np.where(brain, 100 + np.indices(SHAPE)[1] % 3, 0).astype(np.float32)
    files = {"flair": flair, "brain": brain.astype(np.uint8), "mask": block.astype(np.uint8)}
    paths = {name: save(tmp_path / f"{name}.nii.gz", array, orientation) for name, array in files.items()}
    flair_read, brain_read, mask = read_volume(paths["flair"]), read_mask(paths["brain"]), read_mask(paths["mask"])
    scan = Scan.of("s", flair_read, brain_read)
    nothing = Mask(np.zeros_like(mask.array), mask.space)
    picture = drawn(tmp_path / "p.png", scan, mask, nothing, (35, 31, 11))
    columns = pixels_like(picture, MARKS[FALSE].colour)[:, 1]
    assert columns.size > 30
    assert np.mean((columns > picture.shape[1] / 2) == right_of_picture) > 0.97


def test_a_place_shows_its_own_slice_and_surroundings(tmp_path):
    """Two places far apart: the missed one is in the left column alone, the false one in the right one."""
    scan = box_scan(shape=(171, 172, 39))
    truth, mask = ball(scan, (30, 30, 10), side=4), ball(scan, (140, 140, 30), side=4)
    picture = drawn(tmp_path / "p.png", scan, mask, truth, (30, 30, 10), (140, 140, 30))
    middle = picture.shape[1] / 2
    missed, false = (pixels_like(picture, MARKS[name].colour)[:, 1] for name in (MISSED, FALSE))
    assert missed.size > 30 and false.size > 30
    assert (missed < middle).all() and (false > middle).all()


def test_a_place_at_the_edge_is_still_shown(tmp_path):
    scan = box_scan(shape=(171, 172, 39))
    truth = ball(scan, (3, 168, 20))
    picture = drawn(tmp_path / "p.png", scan, ball(scan), truth, (1, 171, 20))
    assert pixels_like(picture, MARKS[MISSED].colour).size > 30


def test_another_grid_is_refused_and_nothing_is_written(tmp_path):
    scan, other = box_scan(), box_scan(shape=(46, 58, 39))
    for mask, truth in ((ball(scan), ball(other)), (ball(other), ball(scan))):
        with pytest.raises(GridError, match=r"46x58x39.*47x58x39"):
            drawn(tmp_path / "p.png", scan, mask, truth, (3, 3, 3))
    assert not list(tmp_path.iterdir())


def test_the_same_input_gives_the_same_bytes(tmp_path):
    space = Space((15, 16, 17), np.eye(4))
    flair = Volume(np.arange(15 * 16 * 17, dtype=np.float32).reshape(15, 16, 17), space)
    brain = Mask(np.ones(space.shape, bool), space)
    scan = Scan.of("s", flair, brain)
    for name in ("a.png", "b.png"):
        drawn(tmp_path / name, scan, brain, brain, (7, 7, 7))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
