"""Slices put together to series: one orientation, one grid, one slice at each place; what was decided is noted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np

from flairline.errors import InputError
from flairline.io.dicom.headers import Frame, pixels_digest
from flairline.types import Space

MIN_SLICES = 10
"""Fewer slices are a localiser or a sample."""
GAP_FACTOR = 1.5
"""Two neighbouring slices further apart than this many times the usual distance have one missing between them."""
MAX_DRIFT_VOXELS = 0.5
"""Slices that lie further aside than this share of a voxel make no grid with right angles."""
MAX_UNEVEN, SAID_UNEVEN = 0.15, 0.02
"""Slices may lie this share of their distance from where even ones would, and it is said beyond the second."""
SAME_DIRECTION = 1e-3
"""Directions whose components differ by less are the same: scanners round them."""
OF_COMPLEX = (
    frozenset({"P", "PHASE", "PHASE MAP", "PHASE_MAP"}),
    frozenset({"R", "REAL"}),
    frozenset({"I", "IMAGINARY"}),
)
"""What slices say of themselves that show another part of a complex image than its magnitude."""
MAGNITUDE = len(OF_COMPLEX)
RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

Said = TypeVar("Said")


@dataclass(frozen=True)
class Series:
    """One series: its slices in the order of their positions, and what its headers say. Times in ms, NaN where unsaid.

    `positions_mm` are the slices' places along their normal; `number` is 0 where it is unsaid; `notes` say what had to
    be decided to read it.
    """

    uid: str
    number: int
    description: str
    frames: tuple[Frame, ...]
    positions_mm: tuple[float, ...]
    echo_time_ms: float
    repetition_time_ms: float
    inversion_time_ms: float
    kinds: frozenset[str]
    has_contrast: bool
    is_localizer: bool
    notes: tuple[str, ...] = ()

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files, in the order of their slices."""
        return tuple(dict.fromkeys(frame.header.file for frame in self.frames))

    @property
    def is_multiframe(self) -> bool:
        """Whether its slices are frames of multi-frame files."""
        return any(frame.header.is_multiframe for frame in self.frames)

    @property
    def is_inverted(self) -> bool:
        """Whether its lowest grey value is the brightest."""
        return self.frames[0].header.is_inverted

    @property
    def has_own_scales(self) -> bool:
        """Whether its frames differ in how their stored values are scaled."""
        return len({frame.rescale for frame in self.frames}) > 1

    @cached_property
    def uneven_mm(self) -> float:
        """How far a slice lies at most from where it would lie at even distances."""
        even = np.linspace(self.positions_mm[0], self.positions_mm[-1], len(self.positions_mm))
        return float(np.abs(even - self.positions_mm).max())

    @property
    def is_even(self) -> bool:
        """Whether the slices' distances differ by no more than rounding may do."""
        between_mm = (self.positions_mm[-1] - self.positions_mm[0]) / max(len(self.frames) - 1, 1)
        return self.uneven_mm <= MAX_UNEVEN * between_mm

    @property
    def space(self) -> Space:
        """The grid of the slices in their order: axes (column, row, slice), in RAS mm."""
        first, last = self.frames[0], self.frames[-1]
        along_row, along_column = np.array(first.orientation).reshape(2, 3)
        between_rows, between_columns = first.spacing_mm
        start, end = np.array(first.place_mm), np.array(last.place_mm)
        vox_to_lps = np.eye(4)
        vox_to_lps[:3, 0] = along_row * between_columns  # the column index grows along the row
        vox_to_lps[:3, 1] = along_column * between_rows
        vox_to_lps[:3, 2] = (end - start) / (len(self.frames) - 1) if len(self.frames) > 1 else _normal(first)
        vox_to_lps[:3, 3] = start
        return Space((first.shape[1], first.shape[0], len(self.frames)), RAS_FROM_LPS @ vox_to_lps)

    def describe(self) -> str:
        """Number, description, slices and times in one line."""
        times = (
            ("TE", self.echo_time_ms),
            ("TR", self.repetition_time_ms),
            ("TI", self.inversion_time_ms),
        )
        listed = ", ".join(f"{name} {value:g} ms" for name, value in times if value == value)
        number = f"series {self.number}" if self.number else "series without a number"
        return f"{number} {self.description!r} ({len(self.frames)} slices{', ' if listed else ''}{listed})"


def grouped(frames: Sequence[Frame]) -> list[Series]:
    """The series of a folder, by number."""
    by_uid: dict[str, list[Frame]] = {}
    for frame in frames:
        by_uid.setdefault(frame.header.series_uid, []).append(frame)
    found = [_series(uid, each) for uid, each in _put_together(by_uid).items()]
    return sorted(found, key=lambda series: (series.number, series.uid))


def _put_together(by_uid: Mapping[str, list[Frame]]) -> dict[str, list[Frame]]:
    """The same, but slices that each name a series of their own are one: some anonymisers give each file a new name.

    Taken for one are those of one number and one description, where they have both, if they make a stack.
    """
    alone: dict[tuple[int, str, float], list[Frame]] = {}
    for each in by_uid.values():
        header = each[0].header
        if len(each) == 1 and header.number and header.description and not header.is_multiframe:
            alone.setdefault((header.number, header.description, each[0].echo_time_ms), []).append(each[0])
    joined = {
        frame.header.series_uid: several
        for several in alone.values()
        if len(several) >= MIN_SLICES
        for frame in several
    }
    parts: dict[str, list[Frame]] = {}
    for uid, each in by_uid.items():
        several = joined.get(uid, each)
        parts.setdefault(several[0].header.series_uid, several)
    return parts


def checked(series: Series) -> Series:
    """The series with one slice at each place; what is there twice with the same grey values is left out.

    Raises
    ------
    InputError
        Slices are missing, two differ at one place, or they drift sideways (a tilted gantry, a sheared slab).
    """
    series = _without_same_pixels(series)
    steps = np.diff(series.positions_mm)
    usual = float(np.median(steps)) if steps.size else 0.0
    if usual <= 1e-3 or (steps < usual / 2).any():
        msg = f"Wanted one slice at each place, but {series.describe()} has several in one place. Split the series."
        raise InputError(msg)
    if (steps > GAP_FACTOR * usual).any():
        where = int(np.argmax(steps))
        missing = round(float(steps[where]) / usual) - 1
        msg = (
            f"{series.describe()} has {missing} slice(s) missing between {series.frames[where].name} and"
            f" {series.frames[where + 1].name} ({steps[where]:.2f} mm apart, usually {usual:.2f} mm). Export it again."
        )
        raise InputError(msg)
    _check_drift(series)
    if series.uneven_mm > SAID_UNEVEN * usual:
        note = f"its slices lie up to {series.uneven_mm:.2g} mm off even distances and were taken as even"
        return replace(series, notes=(*series.notes, note))
    return series


def same_image(one: Series, other: Series) -> bool:
    """Whether two series are one exported twice: the same number, the same places and the same grey values."""
    if one.number != other.number or one.space.shape != other.space.shape:
        return False
    return one.space.same_grid(other.space) and all(
        pixels_digest(a) == pixels_digest(b) for a, b in zip(one.frames, other.frames, strict=True)
    )


def _series(uid: str, frames: list[Frame]) -> Series:
    notes: list[str] = []
    frames = _without_copies(frames, notes)
    frames = _of_one_grid(frames, notes)
    normal = _normal(frames[0])
    placed = sorted(
        frames, key=lambda frame: (float(normal @ np.array(frame.place_mm)), frame.header.file, frame.index)
    )
    described = _usual(frames, "SeriesDescription", lambda frame: frame.header.description, notes)
    times = [
        _usual(frames, keyword, reading, notes)
        for keyword, reading in (
            ("EchoTime", lambda frame: frame.echo_time_ms),
            ("RepetitionTime", lambda frame: frame.repetition_time_ms),
            ("InversionTime", lambda frame: frame.inversion_time_ms),
        )
    ]
    if len({frame.header.series_uid for frame in frames}) > 1:
        notes.append("each of its files names a series of its own; they were put together by number and description")
    if frames[0].header.is_inverted:
        notes.append("its grey values are stored inverted (MONOCHROME1) and were turned")
    if any(not frame.header.has_preamble for frame in frames):
        notes.append("its files lack the preamble of DICOM")
    first = frames[0]
    return Series(
        uid=uid,
        number=first.header.number,
        description=described,
        frames=tuple(placed),
        positions_mm=tuple(float(normal @ np.array(frame.place_mm)) for frame in placed),
        echo_time_ms=times[0],
        repetition_time_ms=times[1],
        inversion_time_ms=times[2],
        kinds=first.kinds,
        has_contrast=first.has_contrast,
        is_localizer="LOCALIZER" in first.kinds or first.header.modality != "MR",
        notes=tuple(notes),
    )


def _without_copies(frames: list[Frame], notes: list[str]) -> list[Frame]:
    """Each slice once: a study exported twice has every file under two names."""
    kept: dict[tuple[object, ...], Frame] = {}
    for frame in frames:
        key = frame.header.uid or frame.header.file
        # A careless anonymiser gives all files one UID, so the place must be the same too.
        kept.setdefault((key, frame.index, frame.place_mm, frame.orientation, f"{frame.echo_time_ms}"), frame)
    if len(kept) < len(frames):
        notes.append(f"{len(frames) - len(kept)} of its slices are there twice and were used once")
    return list(kept.values())


def _without_same_pixels(series: Series) -> Series:
    """Slices at one place with the same grey values are one, though each has a name of its own."""
    kept: list[int] = []
    for index, position in enumerate(series.positions_mm):
        before = kept[-1] if kept else None
        at_one_place = before is not None and abs(position - series.positions_mm[before]) < 1e-3
        if at_one_place and pixels_digest(series.frames[index]) == pixels_digest(series.frames[kept[-1]]):
            continue
        kept.append(index)
    if len(kept) == len(series.frames):
        return series
    note = f"{len(series.frames) - len(kept)} of its slices are there twice and were used once"
    return replace(
        series,
        frames=tuple(series.frames[index] for index in kept),
        positions_mm=tuple(series.positions_mm[index] for index in kept),
        notes=(*series.notes, note),
    )


def _of_one_grid(frames: list[Frame], notes: list[str]) -> list[Frame]:
    """The largest part of one orientation, size and kind: a localiser in the series is not part of its stack."""
    parts: list[list[Frame]] = []
    for frame in frames:
        part = next((part for part in parts if _fit(part[0], frame)), None)
        if part is None:
            parts.append([frame])
        else:
            part.append(frame)
    largest = max(parts, key=lambda part: (len(part), _complex_part(part[0]) == MAGNITUDE))
    others = [frame for part in parts if part is not largest for frame in part]
    if others:
        names = ", ".join(frame.name for frame in others[:3]) + (" ..." if len(others) > 3 else "")
        notes.append(f"{len(others)} slice(s) of another orientation, size or kind were left out ({names})")
    return largest


def _fit(one: Frame, other: Frame) -> bool:
    return (
        one.shape == other.shape
        and ("LOCALIZER" in one.kinds) == ("LOCALIZER" in other.kinds)
        and _complex_part(one) == _complex_part(other)
        and one.header.is_inverted == other.header.is_inverted
        and max(abs(a - b) for a, b in zip(one.orientation, other.orientation, strict=True)) < SAME_DIRECTION
        and all(math.isclose(a, b, rel_tol=1e-3) for a, b in zip(one.spacing_mm, other.spacing_mm, strict=True))
    )


def _complex_part(frame: Frame) -> int:
    """Which part of a complex image a slice shows: one of `OF_COMPLEX`, or its magnitude."""
    return next((part for part, words in enumerate(OF_COMPLEX) if words & frame.kinds), MAGNITUDE)


def _usual(frames: list[Frame], keyword: str, reading: Callable[[Frame], Said], notes: list[str]) -> Said:
    """The value that most slices have, of equals the first; several are noted. NaN, which is unsaid, counts as none."""
    values = [found for frame in frames if (found := reading(frame)) == found and found != ""]
    if not values:
        return reading(frames[0])
    counted = Counter(values)
    usual = max(counted, key=lambda found: counted[found])
    if len(counted) > 1:
        listed = ", ".join(str(found).removesuffix(".0") for found in list(counted)[:4])
        notes.append(f"its {keyword} varies between slices ({listed}); {str(usual).removesuffix('.0')} was used")
    return usual


def _check_drift(series: Series) -> None:
    """Refuse slices that lie aside of the line along their normal, on which a grid with right angles has them."""
    first = series.frames[0]
    normal = _normal(first)
    apart = np.array([frame.place_mm for frame in series.frames]) - np.array(first.place_mm)
    along = apart @ normal
    aside = apart - np.outer(along, normal)
    furthest = int(np.argmax(np.linalg.norm(aside, axis=1)))
    far_mm = float(np.linalg.norm(aside[furthest]))
    if far_mm <= MAX_DRIFT_VOXELS * min(first.spacing_mm):
        return
    # The line that fits all slices best; if they lie on it they drift evenly, else single ones are out of place.
    slope = along @ aside / float(along @ along)
    rest_mm = float(np.linalg.norm(aside - np.outer(along, slope), axis=1).max())
    angle = math.degrees(math.atan(float(np.linalg.norm(slope))))
    if rest_mm > MAX_DRIFT_VOXELS * min(first.spacing_mm):
        what = f"{series.frames[furthest].name} lies {far_mm:.1f} mm aside"
    else:
        what = f"they drift sideways by {angle:.1f} degrees, {far_mm:.1f} mm in all (a tilted gantry or a sheared slab)"
    msg = (
        f"Wanted slices one above the other, but of {series.describe()} {what}."
        " Resample it to a grid with right angles, or export it without the tilt."
    )
    raise InputError(msg)


def _normal(frame: Frame) -> np.ndarray:
    along_row, along_column = np.array(frame.orientation).reshape(2, 3)
    return np.cross(along_row, along_column)
