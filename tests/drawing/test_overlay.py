"""The overlay shows the right voxels, on the right side, in the right proportions."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from flairline.drawing.overlay import choose_slices, write_overlay
from flairline.drawing.palette import FALSE, FOUND, MARKS, MISSED
from flairline.errors import GridError, OutputError
from flairline.io.nifti import read_mask, read_volume, write_mask, write_volume
from flairline.synthesis.phantom import Lesion, phantom
from flairline.types import Mask, Scan, Space, Volume


def box_scan(spacing_mm=(1.0, 1.0, 1.0), shape=(47, 58, 39)) -> Scan:
    """A brain that is a box of constant grey, with one darker voxel so that it is not constant."""
    space = Space(shape, np.diag([*spacing_mm, 1.0]))
    brain = np.zeros(shape, dtype=bool)
    brain[5:-5, 6:-6, 3:-3] = True
    flair = np.where(brain, 100, 0).astype(np.float32)
    flair[23, 29, 19] = 50
    return Scan.of("box", Volume(flair, space), Mask(brain, space))


def ball(scan: Scan, *voxels: tuple[int, int, int], side: int = 2) -> Mask:
    array = np.zeros(scan.space.shape, dtype=bool)
    for x, y, z in voxels:
        array[x - side : x + side + 1, y - side : y + side + 1, z - side : z + side + 1] = True
    return Mask(array, scan.space)


def score_of(scan: Scan) -> Volume:
    return Volume(np.where(scan.brain.array, scan.flair.array / 100, 0).astype(np.float32), scan.space)


def pixels_like(picture: np.ndarray, colour: str, tolerance: float = 0.12) -> np.ndarray:
    """Rows and columns (n, 2) of the contour's pixels above the legend."""
    near = np.abs(picture[:, :, :3] - np.array(to_rgb(colour))).max(axis=2) < tolerance
    return np.argwhere(near[: int(0.9 * len(picture))])


def last_panel(picture: np.ndarray) -> tuple[int, int]:
    """First and last column of the dark panels."""
    dark = (picture[:, :, :3].max(axis=2) < 0.05).sum(axis=0) > 0.3 * len(picture)
    return int(np.flatnonzero(dark)[0]), int(np.flatnonzero(dark)[-1])


def test_slices_go_through_the_largest_lesions_top_first():
    scan = box_scan(shape=(47, 58, 60))
    truth = Mask(ball(scan, (12, 30, 10), side=3).array | ball(scan, (30, 30, 40), side=2).array, scan.space)
    truth.array[12, 30, 10:19] = True  # a tail that must not draw the slice away from the widest place
    mask = ball(scan, (30, 40, 25), (30, 20, 44))  # the second lies too near the truth's
    chosen = choose_slices(scan, mask, truth, 4)
    assert chosen == sorted(chosen, reverse=True)
    assert 7 <= min(chosen) <= 13
    assert [z for z in chosen if 38 <= z <= 42]
    assert [z for z in chosen if 23 <= z <= 27]
    assert len(chosen) == 3
    assert choose_slices(scan, mask, truth, 1) == [min(chosen)]


def test_without_lesions_slices_are_spread_over_the_brain():
    scan = box_scan(shape=(47, 58, 60))
    nothing = ball(scan)
    chosen = choose_slices(scan, nothing, nothing, 4)
    assert len(chosen) == 4
    assert scan.brain.array[:, :, chosen].any(axis=(0, 1)).all()


@pytest.mark.parametrize("orientation", ["RAS", "LAS", "LPS", "oblique", "PSR"])
@pytest.mark.parametrize(("x_mm", "right_of_picture"), [(-38.0, True), (38.0, False)])
def test_the_left_is_on_the_right_of_the_picture(orientation, x_mm, right_of_picture, tmp_path):
    """From files of every orientation: a lesion of the patient's left is drawn on the right half."""
    scan, truth, _ = phantom(7, (3.0, 2.0, 4.0), [Lesion("tumour", (x_mm, 15.0, 22.0))], orientation)
    for name, image, write in (("flair", scan.flair, write_volume), ("truth", truth, write_mask)):
        write(tmp_path / f"{name}.nii.gz", image)
    flair, truth = read_volume(tmp_path / "flair.nii.gz"), read_mask(tmp_path / "truth.nii.gz")
    scan = Scan.of("left", flair, Mask(flair.array > 0, flair.space))
    score = Volume(flair.array / flair.array.max(), flair.space)
    write_overlay(tmp_path / "o.png", scan, score, truth, truth, slices=1)
    picture = imread(tmp_path / "o.png")
    first, last = last_panel(picture)
    drawn = pixels_like(picture, MARKS[FOUND].colour)[:, 1]
    drawn = drawn[(drawn >= first) & (drawn <= last)]
    assert drawn.size > 50
    middle = (first + last) / 2
    assert np.mean((drawn > middle) == right_of_picture) > 0.97


def test_found_missed_and_false_are_drawn_in_their_colours_in_their_places(tmp_path):
    """Missed at the back, false at the front, found in the middle: lower, higher and between in the picture."""
    scan = box_scan()
    truth, mask = ball(scan, (23, 14, 20), (23, 28, 20)), ball(scan, (23, 42, 20), (23, 28, 20))
    write_overlay(tmp_path / "o.png", scan, score_of(scan), mask, truth, slices=1)
    picture = imread(tmp_path / "o.png")
    third = picture[len(picture) * 6 // 10 :]
    rows = [pixels_like(third, MARKS[name].colour)[:, 0] for name in (FALSE, FOUND, MISSED)]
    assert all(row.size > 5 for row in rows)
    assert np.median(rows[0]) < np.median(rows[1]) < np.median(rows[2])


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (1.0, 3.0, 2.0), (2.5, 1.0, 1.0)])
def test_proportions_follow_the_spacing(spacing_mm, tmp_path):
    scan = box_scan(spacing_mm)
    nothing = ball(scan)
    write_overlay(tmp_path / "o.png", scan, score_of(scan), nothing, nothing, slices=1)
    picture = imread(tmp_path / "o.png")[:, :, :3]
    lit = (
        np.abs(picture - np.array(colormaps["magma"](1.0)[:3])).max(axis=2) < 0.05
    )  # only the score's row has this colour
    lit = lit[: int(0.85 * len(picture))]
    rows, columns = (np.flatnonzero(lit.any(axis=axis)) for axis in (1, 0))
    expected = (46 * spacing_mm[1]) / (37 * spacing_mm[0])
    assert (rows[-1] - rows[0] + 1) / (columns[-1] - columns[0] + 1) == pytest.approx(expected, rel=0.06)


def test_the_same_input_gives_the_same_bytes(tmp_path):
    scan = box_scan()
    truth, mask = ball(scan, (12, 30, 20)), ball(scan, (14, 30, 20))
    for name in ("a.png", "b.png"):
        write_overlay(tmp_path / name, scan, score_of(scan), mask, truth, "title")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_nothing_found_nothing_true_and_a_zero_score_still_make_a_picture(tmp_path):
    scan = box_scan()
    nothing = ball(scan)
    zero = Volume(np.zeros(scan.space.shape, dtype=np.float32), scan.space)
    for truth in (None, nothing):
        write_overlay(tmp_path / "o.png", scan, zero, nothing, truth)
        assert imread(tmp_path / "o.png").std() > 0.1


def test_another_grid_is_refused_and_nothing_is_written(tmp_path):
    scan, other = box_scan(), box_scan(shape=(46, 58, 39))
    for images in (
        {"score": score_of(other), "mask": ball(scan)},
        {"score": score_of(scan), "mask": ball(other)},
        {"score": score_of(scan), "mask": ball(scan), "truth": ball(other)},
    ):
        with pytest.raises(GridError, match=r"46x58x39.*47x58x39"):
            write_overlay(tmp_path / "o.png", scan, **images)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    scan = box_scan()
    (tmp_path / "file").write_text("here")
    with pytest.raises(OutputError):
        write_overlay(tmp_path / "file" / "o.png", scan, score_of(scan), ball(scan))


def test_importing_the_module_imports_no_matplotlib_and_drawing_no_pyplot(tmp_path):
    program = """
import sys
import numpy as np
from pathlib import Path
from flairline.drawing.overlay import write_overlay
from flairline.types import Mask, Scan, Space, Volume
assert "matplotlib" not in sys.modules
space = Space((7, 8, 9), np.eye(4))
brain = Mask(np.ones((7, 8, 9), bool), space)
flair = Volume(np.arange(504, dtype=np.float32).reshape(7, 8, 9), space)
write_overlay(Path(sys.argv[1]), Scan.of("s", flair, brain), flair, brain, brain)
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "o.png")], check=True)
    assert (tmp_path / "o.png").stat().st_size > 1000
