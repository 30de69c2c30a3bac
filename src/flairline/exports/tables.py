"""What the numbers of a label image mean, in the words of the programs that show one: one small text file each."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flairline.io.files import write_text

GOLDEN_SHARE = 0.6180339887498949
"""Hues that lie this share of the circle apart stay apart, however many there are."""
STRENGTHS = ((0.75, 1.0), (1.0, 0.75), (0.5, 0.95))
"""Saturation and value, in turn."""

FSLEYES_ROWS = 2
"""The fewest rows of a table that FSLeyes reads."""


@dataclass(frozen=True)
class Label:
    """One number of a label image: its name for people, and its colour (red, green, blue from 0 to 255)."""

    number: int
    name: str
    rgb: tuple[int, int, int]

    @property
    def word(self) -> str:
        """The name without blanks, for formats whose columns are divided by them."""
        return re.sub(r"\W+", "_", self.name).strip("_")


def numbered_labels(names: Sequence[str]) -> list[Label]:
    """Labels from 1 on, in the order of their names, each in a colour of its own."""
    return [Label(number, name, _colour(number)) for number, name in enumerate(names, start=1)]


def itk_snap(labels: Sequence[Label]) -> str:
    """A label description of ITK-SNAP: number, red, green, blue, opacity, visible in slices and in 3-D, name."""
    lines = ["# ITK-SNAP label description file", "# IDX -R- -G- -B- -A- VIS MSH LABEL", '0 0 0 0 0 0 0 "Clear Label"']
    lines += [f'{label.number} {_bytes(label)} 1 1 1 "{label.name}"' for label in labels]
    return _text(lines)


def freesurfer(labels: Sequence[Label]) -> str:
    """A colour table of FreeSurfer: number, name, red, green, blue, and transparency, which it wants as 0."""
    lines = ["#No. Label_Name R G B A", "0 Unknown 0 0 0 0"]
    lines += [f"{label.number} {label.word} {_bytes(label)} 0" for label in labels]
    return _text(lines)


def fsleyes(labels: Sequence[Label]) -> str:
    """A lookup table of FSLeyes: number, red, green and blue from 0 to 1, name; the background is not in it.

    FSLeyes (1.20) tells the kind of a file by its second line and refuses one without: a table of fewer labels gets
    some that no voxel has.
    """
    unused = [Label(number, "unused", (0, 0, 0)) for number in range(len(labels) + 1, FSLEYES_ROWS + 1)]
    return _text(
        f"{label.number} {' '.join(f'{share / 255:.6f}' for share in label.rgb)} {label.name}"
        for label in (*labels, *unused)
    )


def slicer(labels: Sequence[Label]) -> str:
    """A colour table of 3-D Slicer: number, name, red, green, blue, opacity from 0 to 255."""
    lines = ["# Color table file, written by flairline", f"# {len(labels) + 1} values", "0 Background 0 0 0 0"]
    lines += [f"{label.number} {label.word} {_bytes(label)} 255" for label in labels]
    return _text(lines)


TABLES: Mapping[str, Callable[[Sequence[Label]], str]] = {
    "_itksnap.txt": itk_snap,
    "_LUT.txt": freesurfer,
    "_fsleyes.lut": fsleyes,
    ".ctbl": slicer,
}
"""What a table's name ends with, behind that of its image -> what writes it."""


def write_tables(folder: Path, stem: str, labels: Sequence[Label]) -> list[Path]:
    """Write the table of each program beside the image STEM.nii.gz, and return their paths. Raises `OutputError`."""
    paths = []
    for ending, table in TABLES.items():
        paths.append(folder / f"{stem}{ending}")
        write_text(paths[-1], table(labels))
    return paths


def _colour(number: int) -> tuple[int, int, int]:
    hue = number * GOLDEN_SHARE % 1
    red, green, blue = (round(255 * share) for share in colorsys.hsv_to_rgb(hue, *STRENGTHS[number % len(STRENGTHS)]))
    return red, green, blue


def _bytes(label: Label) -> str:
    return " ".join(map(str, label.rgb))


def _text(lines: Iterable[str]) -> str:
    return "\n".join([*lines, ""])
