"""The colours: the same everywhere, told apart by everyone; and which voxel is found, missed or false."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from flairline.drawing.palette import FALSE, FOUND, MARKS, MASK, MISSED, PRINT_COLOURS, PRINT_DASHES, compared

SRC = Path(__file__).parents[2] / "src" / "flairline"
STYLE = (SRC / "report" / "static" / "style.css").read_text(encoding="utf-8")

COLOUR_BLINDNESS = {  # Machado et al. 2009, severity 1.0, on linear RGB
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
    "none": np.eye(3),
    "grey print": [[0.2126, 0.7152, 0.0722]] * 3,
}


@pytest.mark.parametrize("name", MARKS)
def test_the_style_sheet_has_the_palettes_colours(name):
    assert re.findall(rf"--{name}: (#\w+);", STYLE) == [MARKS[name].colour]


def test_no_page_and_no_figure_has_a_colour_of_a_mark_of_its_own():
    marks = {mark.colour for mark in MARKS.values()}
    for path in [*SRC.rglob("*.py"), *SRC.glob("report/viewer/*.js"), *SRC.glob("report/static/*")]:
        if path.name not in {"palette.py", "style.css"}:
            assert not marks & {colour.lower() for colour in re.findall(r"#[0-9a-fA-F]{6}\b", path.read_text())}, path


@pytest.mark.parametrize("sight", COLOUR_BLINDNESS)
def test_found_missed_and_false_are_told_apart_with_any_sight(sight):
    """Pairwise distance in CIELAB; 2.3 is just noticeable, a tenth of the scale is plain to see."""
    color = pytest.importorskip("skimage.color")
    colours = np.array([to_rgb(MARKS[name].colour) for name in (FOUND, MISSED, FALSE)])
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(COLOUR_BLINDNESS[sight]).T, 0, 1)
    seen = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab = color.rgb2lab(seen[None])[0]
    distances = [np.linalg.norm(lab[i] - lab[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert min(distances) > (12 if sight == "grey print" else 25)


def test_marks_and_printed_lines_differ_in_their_dashes_too():
    assert len({MARKS[name].dashes for name in (FOUND, MISSED, FALSE)}) == 3
    assert len(set(PRINT_DASHES)) == len(PRINT_DASHES) == len(PRINT_COLOURS) == len(set(PRINT_COLOURS))


def test_a_colour_as_numbers_is_the_same_colour():
    assert [round(255 * part) for part in to_rgb(MARKS[FALSE].colour)] == list(MARKS[FALSE].rgb)


def test_every_voxel_of_mask_and_truth_is_of_one_kind():
    mask, truth = np.zeros((3, 4, 5), bool), np.zeros((3, 4, 5), bool)
    mask[0, :2], truth[0, 1:] = True, True
    kinds = compared(mask, truth)
    assert {name: int(array.sum()) for name, array in kinds.items()} == {FOUND: 5, MISSED: 10, FALSE: 5}
    np.testing.assert_array_equal(sum(array.astype(int) for array in kinds.values()), mask | truth)


def test_without_a_truth_all_that_is_marked_is_of_one_kind():
    mask = np.ones((3, 4, 5), bool)
    ((name, marked),) = compared(mask, None).items()
    assert name == MASK
    np.testing.assert_array_equal(marked, mask)
