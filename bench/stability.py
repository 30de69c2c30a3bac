"""How far a mask depends on what should not matter: where the head lies, how the file stores it, voxels, scale, noise.

One head is changed in a known way (FLAIR and T1 alike), written to a scratch folder and segmented by the library as any
file. The mask is brought back to the unchanged scan by the known map, where it fills half of a voxel, and compared with
the unchanged scan's mask: Dice, and volume against volume. Carrying alone costs a mask something, so the same is done
to the unchanged mask (onto the changed scan's grid and back), which is what "kept" says and what rigid moves are held
to.

    FLAIRLINE_DATA=... nice python -m bench.stability [-o OUT] [--scan NAME] [--change NAME] [--method NAME] [--quick]

takes two raw pairs and two stripped scans, `default` and `training-free`, and ends with a table in Markdown and one
line of JSON, in which `missed` lists what is beyond the limits below. Each change's result is kept in OUT (a scratch
folder if none is given) and not made again; after a change of the code take another folder. `--quick` takes a coarse
phantom and the methods that need no network: that it runs is checked, nothing is measured.

A scan that moves, or gets other voxels, is interpolated once with a cubic spline, which blurs less than a linear one. A
stripped scan is first filled outwards with the values of its rim, and cut by its brain afterwards: as if the head had
been moved before it was stripped.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from numpy.typing import NDArray
from scipy import ndimage

from flairline import segmentation
from flairline.imaging.boxes import box_of
from flairline.imaging.changes import carried_labels, linked, numbered, spread_of, volumes_of
from flairline.imaging.measure import dice
from flairline.imaging.points import PointMap, carry_mask
from flairline.io.files import write_text
from flairline.io.nifti import read_mask, read_volume, write_mask
from flairline.io.tables import csv_text
from flairline.preprocess.brain import background_value, is_stripped
from flairline.preprocess.read import read_scan
from flairline.preprocess.settings import PreprocessSettings
from flairline.types import Case, Mask, Space

Matrix = NDArray[np.float64]

SCANS = {
    "mslub_raw 19": "mslub_raw/patient19_study2",
    "nichart 8": "nichart/Subj8",
    "brats2018 201": "brats2018/TCIA01_201_1",
    "mslub 19": "mslub/patient19",
}
METHODS, QUICK_METHODS = ("default", "training-free"), ("training-free", "brightest")
SETTINGS = PreprocessSettings(to_atlas="never", stripped="as_it_lies")
"""No mask of these methods depends on the atlas."""

MIN_DICE = 0.99
"""Wanted of changes that leave every voxel what it was but for its place in the file or a factor."""
MIN_SHARE_OF_KEPT = 0.93
"""Wanted of a rigid move, as a share of what the unchanged mask keeps when it is moved there and back."""
MAX_VOLUME_CHANGE = 0.10
CSV_COLUMNS = ("recipe", "scan", "change", "kind", "unchanged_ml", "ml", "dice", "kept", "lesions", "lesion_spread")


@dataclass(frozen=True, eq=False)
class Image:
    """An image as it is read: values (x, y, z) in RAS+ order, their affine, and the brain of a stripped one."""

    array: NDArray[np.float32]
    vox_to_ras: Matrix
    inside: NDArray[np.bool_] | None
    background: float

    @classmethod
    def read(cls, path: Path) -> Image:
        """From a file, by flairline's own reader."""
        volume = read_volume(path)
        background = background_value(volume.array)
        inside = volume.array != background if is_stripped(volume) else None
        return cls(volume.array, volume.space.vox_to_ras, inside, 0.0 if np.isnan(background) else background)

    @property
    def foreground(self) -> NDArray[np.bool_]:
        """The brain; of a head, what is brighter than a tenth of its tissue."""
        return self.array > 0.1 * self.tissue_level if self.inside is None else self.inside

    @property
    def tissue_level(self) -> float:
        """The median of what is brighter than the mean of all that is not background."""
        values = self.array[self.array != self.background]
        return float(np.median(values[values > values.mean()]))

    @cached_property
    def filled(self) -> NDArray[np.float32]:
        """The values; outside a stripped brain those of the nearest voxel of it."""
        if self.inside is None:
            return self.array
        where = box_of(self.inside, 8)
        nearest = ndimage.distance_transform_edt(~self.inside[where], return_distances=False, return_indices=True)
        filled = self.array.copy()
        filled[where] = self.array[where][tuple(nearest)]
        return filled

    def middle_mm(self) -> NDArray[np.float64]:
        """The centre of the grid."""
        return (self.vox_to_ras @ [*((np.array(self.array.shape) - 1) / 2), 1])[:3]

    def on_grid(self, shape: tuple[int, ...], vox_to_ras: Matrix, points: Matrix) -> Image:
        """This image carried by `points` (unchanged to changed, RAS mm) onto another grid; coarser voxels average."""
        matrix = np.linalg.inv(points @ self.vox_to_ras) @ vox_to_ras
        sides, wanted = (np.linalg.norm(affine[:3, :3], axis=0) for affine in (self.vox_to_ras, vox_to_ras))
        sigma = np.sqrt(np.clip(wanted**2 - sides**2, 0, None)) / 2.3548 / sides
        smooth = ndimage.gaussian_filter(self.filled, sigma, mode="nearest") if sigma.max() > 0.2 else self.filled

        def carried(array: NDArray, order: int, outside: float) -> NDArray[np.float32]:
            return ndimage.affine_transform(
                array, matrix[:3, :3], matrix[:3, 3], output_shape=shape, order=order, mode="constant", cval=outside
            )

        array = np.clip(carried(smooth, 3, self.background), self.array.min(), self.array.max())
        if self.inside is None:
            return Image(array, vox_to_ras, None, self.background)
        inside = carried(self.inside.astype(np.float32), 1, 0.0) >= 0.5
        return Image(np.where(inside, array, np.float32(self.background)), vox_to_ras, inside, self.background)

    def with_values(self, array: NDArray) -> Image:
        """Other values in place of these; a stripped scan's background stays what it was."""
        if self.inside is not None:
            array = np.where(self.inside, array, self.background)
        return replace(self, array=array.astype(np.float32))


@dataclass(frozen=True)
class Change:
    """A change of a scan's files, which here is none.

    `kind` says what it is held to: "storage", "scale", "padding" (`MIN_DICE`), "rigid" (`MIN_SHARE_OF_KEPT`), or
    something else, of which only the volume is.
    """

    name: str
    kind: str

    def points(self, middle_mm: NDArray[np.float64]) -> Matrix:
        """4x4 from points of the unchanged scan to those of the changed one, RAS mm; `middle_mm` is the FLAIR's."""
        return np.eye(4)

    def image(self, image: Image, middle_mm: NDArray[np.float64], seed: int) -> Image:
        """The changed image. The seed differs between FLAIR and T1."""
        return image

    def write(self, image: Image, path: Path) -> None:
        """Write it: float32, in RAS+ order."""
        nib.save(nib.Nifti1Image(image.array, image.vox_to_ras), path)


@dataclass(frozen=True)
class Move(Change):
    """The head turned (degrees about x, y, z through the grid's centre) and then shifted (mm), on the same grid.

    `by_header` says it in the affine instead, and leaves every voxel.
    """

    degrees: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    by_header: bool = False

    def points(self, middle_mm: NDArray[np.float64]) -> Matrix:
        """Turn about the centre, then shift."""
        points = np.eye(4)
        for axis, angle in enumerate(np.radians(self.degrees)):
            turn = np.eye(3)
            first, second = (axis + 1) % 3, (axis + 2) % 3
            turn[first, first] = turn[second, second] = np.cos(angle)
            turn[second, first], turn[first, second] = np.sin(angle), -np.sin(angle)
            points[:3, :3] = turn @ points[:3, :3]
        points[:3, 3] = middle_mm + self.shift_mm - points[:3, :3] @ middle_mm
        return points

    def image(self, image: Image, middle_mm: NDArray[np.float64], seed: int) -> Image:
        """By interpolation, or by header."""
        points = self.points(middle_mm)
        if self.by_header:
            return replace(image, vox_to_ras=points @ image.vox_to_ras)
        return image.on_grid(image.array.shape, image.vox_to_ras, points)


@dataclass(frozen=True)
class Stored(Change):
    """The same voxels in another order on disk, as float32 or as integers with a slope in the header."""

    codes: str = "RAS"
    integers: bool = False

    def write(self, image: Image, path: Path) -> None:
        """nibabel turns the axes, not flairline."""
        plain = nib.Nifti1Image(image.array, image.vox_to_ras)
        turn = ornt_transform(io_orientation(plain.affine), axcodes2ornt(self.codes))
        turned = plain.as_reoriented(turn)
        if self.integers:  # nibabel chooses slope and intercept; zero stays zero, so that the background does
            turned = nib.Nifti1Image(turned.get_fdata(dtype=np.float32), turned.affine)
            largest = float(np.abs(image.array).max())
            turned = nib.Nifti1Image(np.rint(turned.get_fdata() * (32000 / largest)).astype(np.int16), turned.affine)
            turned.header.set_slope_inter(largest / 32000, 0)
        nib.save(turned, path)


@dataclass(frozen=True)
class Voxels(Change):
    """Other voxel sides in mm over the same field of view; None keeps a side."""

    sides_mm: tuple[float | None, float | None, float | None] = (None, None, None)

    def image(self, image: Image, middle_mm: NDArray[np.float64], seed: int) -> Image:
        """Voxels that share the first corner with those that were."""
        sides = np.linalg.norm(image.vox_to_ras[:3, :3], axis=0)
        ratio = np.array([1.0 if new is None else new / old for new, old in zip(self.sides_mm, sides, strict=True)])
        shape = tuple(max(1, int(np.ceil(n / r - 1e-3))) for n, r in zip(image.array.shape, ratio, strict=True))
        onto = np.eye(4)
        onto[:3, :3] = np.diag(ratio)
        onto[:3, 3] = (ratio - 1) / 2
        return image.on_grid(shape, image.vox_to_ras @ onto, np.eye(4))


@dataclass(frozen=True)
class Noise(Change):
    """Rician noise on top of what there is, its standard deviation a share of the tissue's level."""

    share: float = 0.0

    def image(self, image: Image, middle_mm: NDArray[np.float64], seed: int) -> Image:
        """Another draw for each image."""
        sd = np.float32(self.share * image.tissue_level)
        real, imaginary = sd * np.random.default_rng(seed).standard_normal((2, *image.array.shape), dtype=np.float32)
        return image.with_values(np.hypot(image.array + real, imaginary))


@dataclass(frozen=True)
class Scaled(Change):
    """All values times a factor."""

    factor: float = 1.0

    def image(self, image: Image, middle_mm: NDArray[np.float64], seed: int) -> Image:
        """The background's value too."""
        factor = np.float32(self.factor)
        return replace(image, array=image.array * factor, background=float(image.background * factor))


@dataclass(frozen=True)
class Biased(Change):
    """A smooth field as of a receive coil, from 1 - `share` to 1 + `share` over the head, not the same for the T1."""

    share: float = 0.0
    wave_mm: float = 260.0

    def image(self, image: Image, middle_mm: NDArray[np.float64], seed: int) -> Image:
        """Waves along the three axes of the scanner."""
        voxels = np.ix_(*map(np.arange, image.array.shape))
        from_middle = image.vox_to_ras[:3, 3] - middle_mm
        field = np.zeros((1, 1, 1))
        for axis, start in enumerate(np.random.default_rng(seed).uniform(0, 2 * np.pi, 3)):
            along = sum(image.vox_to_ras[axis, n] * voxels[n] for n in range(3)) + from_middle[axis]
            field = field + np.cos(2 * np.pi * along / self.wave_mm + start)
        field = field / np.abs(field[image.foreground]).max()
        return image.with_values(image.array * (1 + self.share * field))


@dataclass(frozen=True)
class Padded(Change):
    """More background around the grid: voxels before and after, by axis."""

    voxels: tuple[tuple[int, int], ...] = ((0, 0), (0, 0), (0, 0))

    def image(self, image: Image, middle_mm: NDArray[np.float64], seed: int) -> Image:
        """The affine follows."""
        array = np.pad(image.array, self.voxels, constant_values=np.float32(image.background))
        inside = None if image.inside is None else np.pad(image.inside, self.voxels)
        start = np.eye(4)
        start[:3, 3] = [-before for before, _ in self.voxels]
        return Image(array, image.vox_to_ras @ start, inside, image.background)


@dataclass(frozen=True)
class Cropped(Change):
    """Air cut away, but for a margin in voxels around the head, or around the brain of a stripped scan."""

    margin: int = 0

    def image(self, image: Image, middle_mm: NDArray[np.float64], seed: int) -> Image:
        """The largest joined part of the foreground stays whole."""
        labels, _ = ndimage.label(ndimage.binary_opening(image.foreground))
        where = box_of(labels == np.bincount(labels.ravel())[1:].argmax() + 1, self.margin)
        start = np.eye(4)
        start[:3, 3] = [side.start for side in where]
        inside = None if image.inside is None else image.inside[where]
        return Image(image.array[where], image.vox_to_ras @ start, inside, image.background)


UNCHANGED = Change("unchanged", "same")
CHANGES: tuple[Change, ...] = (
    Stored("stored LAI", "storage", "LAI"),
    Stored("stored PSR", "storage", "PSR"),
    Stored("stored as 16-bit integers", "storage", "LPS", integers=True),
    Move("moved by header", "storage", (3.0, 2.0, 3.5), (4.0, -5.0, 3.0), by_header=True),
    Scaled("times .001", "scale", 0.001),
    Scaled("times 7", "scale", 7.0),
    Padded("padded", "padding", ((17, 30), (9, 22), (6, 11))),
    Cropped("cropped to the head", "padding", 3),
    Move("turned 5 degrees about x", "rigid", (5.0, 0.0, 0.0)),
    Move("turned 5 degrees about z", "rigid", (0.0, 0.0, 5.0)),
    Move("shifted 7 mm", "rigid", shift_mm=(4.0, -4.5, 3.5)),
    Voxels("voxels of .8 mm", "voxels", (0.8, 0.8, 0.8)),
    Voxels("voxels of 1.2 mm", "voxels", (1.2, 1.2, 1.2)),
    Voxels("slices of 3 mm", "voxels", (None, None, 3.0)),
    Noise("noise of 3 %", "noise", 0.03),
    Biased("bias of 15 %", "bias", 0.15),
)
QUICK_CHANGES = CHANGES[1:2] + CHANGES[3:4] + CHANGES[5:8] + CHANGES[9:10] + CHANGES[12:13] + CHANGES[14:]


@dataclass(frozen=True)
class Row:
    """What one change did to one method's mask of one scan.

    Attributes
    ----------
    dice
        Of the changed scan's mask, brought back, with the unchanged scan's.
    kept
        Dice of the unchanged mask with itself, taken to the changed scan's grid and back.
    ml, unchanged_ml
        Each on its own scan's grid.
    brain_dice
        Of the brains, as `dice`.
    lesions, lesion_spread
        Lesions that both masks, or one of them, have; and how far their volumes differ in 95 of 100, as
        `imaging.changes.Spread.of_lesion` has it.
    """

    scan: str
    change: str
    kind: str
    method: str
    dice: float
    kept: float
    ml: float
    unchanged_ml: float
    brain_dice: float
    threshold: float
    seconds: float
    lesions: int = 0
    lesion_spread: float = float("nan")

    @property
    def volume_change(self) -> float:
        """Share of the unchanged volume."""
        return self.ml / self.unchanged_ml - 1

    @property
    def missed(self) -> str:
        """Which limit it is beyond; empty where none."""
        reasons = []
        if self.kind in ("storage", "scale", "padding") and not self.dice >= MIN_DICE:
            reasons.append(f"Dice {self.dice:.3f} < {MIN_DICE}")
        if self.kind == "rigid" and not self.dice >= MIN_SHARE_OF_KEPT * self.kept:
            reasons.append(f"Dice {self.dice:.3f} < {MIN_SHARE_OF_KEPT} of {self.kept:.3f}")
        if not abs(self.volume_change) <= MAX_VOLUME_CHANGE:
            reasons.append(f"volume {self.volume_change:+.1%}")
        return ", ".join(reasons)


@dataclass(frozen=True, eq=False)
class Segmented:
    """Masks by method, and the brain, on one scan's grid; and the thresholds."""

    masks: dict[str, Mask]
    brain: Mask
    thresholds: dict[str, float]
    seconds: float


def segmented(files: dict[str, Path], methods: Sequence[str]) -> Segmented:
    """What the library finds in files; the scan is prepared once for all methods."""
    started = time.perf_counter()
    scan = read_scan(Case("bench", "stability", flair=files["flair"], t1=files.get("t1")), SETTINGS).scan
    found = {method: segmentation.find_in(scan, segmentation.Settings(recipe=method)) for method in methods}
    masks = {method: each.mask for method, each in found.items()}
    thresholds = {method: each.threshold.value for method, each in found.items()}
    return Segmented(masks, scan.brain, thresholds, time.perf_counter() - started)


def carried(mask: Mask, onto: Space, points: Matrix) -> Mask:
    """A mask on another scan's grid; `points` maps points of the mask's scan to those of that one.

    A header's places are rounded, and what lies a thousandth of a voxel beyond the last voxel's centre would be lost:
    the outermost voxels go on for half a voxel, and here for a whole one.
    """
    start = np.eye(4)
    start[:3, 3] = -1
    array = np.pad(mask.array, 1, mode="edge")
    wider = Mask(array, Space(array.shape, mask.space.vox_to_ras @ start))
    return carry_mask(wider, onto, PointMap("onto", "mask", np.linalg.inv(points)))


def compared(scan: str, change: Change, points: Matrix, unchanged: Segmented, changed: Segmented) -> list[Row]:
    """One row a method; `points` maps points of the unchanged scan to those of the changed one."""
    back = np.linalg.inv(points)

    def overlap(mask: Mask, other: Mask) -> float:
        return dice(carried(mask, other.space, back).array, other.array)

    rows = []
    for method, mask in changed.masks.items():
        was = unchanged.masks[method]
        kept = overlap(carried(was, mask.space, points), was)
        rows.append(
            Row(
                scan=scan,
                change=change.name,
                kind=change.kind,
                method=method,
                dice=overlap(mask, was),
                kept=kept,
                ml=mask.volume_ml,
                unchanged_ml=was.volume_ml,
                brain_dice=overlap(changed.brain, unchanged.brain),
                threshold=changed.thresholds[method],
                seconds=changed.seconds,
                **_of_lesions(was, mask, points),
            )
        )
    return rows


def _of_lesions(was: Mask, mask: Mask, points: Matrix) -> dict[str, float]:
    """How many lesions there are, and how far their volumes differ in 95 of 100 of them."""
    first, second = numbered(was), numbered(mask)
    counts = int(first.max(initial=0)), int(second.max(initial=0))
    brought = carried_labels(second, mask.space, was.space, PointMap("unchanged", "changed", points))
    volumes = [volumes_of(labels, space.voxel_ml) for labels, space in ((first, was.space), (second, mask.space))]
    pairs = [
        tuple(sum(volumes[visit][number - 1] for number in link[visit]) for visit in (0, 1))
        for link in linked(first, brought, counts)
    ]
    spread = float(np.quantile([spread_of(*pair) for pair in pairs], 0.95)) if pairs else float("nan")
    return {"lesions": len(pairs), "lesion_spread": spread}


def rows_of(
    scan: str, files: dict[str, Path], changes: Sequence[Change], methods: Sequence[str], out: Path
) -> Iterator[Row]:
    """All changes of one scan; what lies in `out` is not made again."""
    kept = {change: out / f"{scan} {change.name}.json" for change in changes}
    missing = [change for change, path in kept.items() if not path.exists()]
    images = {role: Image.read(path) for role, path in files.items()} if missing else {}
    unchanged = _unchanged(scan, files, methods, out) if missing else None
    for change, path in kept.items():
        if unchanged is not None and change in missing:
            rows = _rows(scan, change, images, unchanged)
            path.write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")
        for values in json.loads(path.read_text(encoding="utf-8")):
            row = Row(**values)
            _say(
                f"{scan}, {row.change}, {row.method}: Dice {row.dice:.4f} (kept {row.kept:.4f}), volume"
                f" {row.volume_change:+.1%}, brain {row.brain_dice:.4f}, {row.seconds:.0f} s"
                f"{'  MISSED' if row.missed else ''}"
            )
            yield row


def _rows(scan: str, change: Change, images: dict[str, Image], unchanged: Segmented) -> list[Row]:
    middle_mm = images["flair"].middle_mm()
    with tempfile.TemporaryDirectory() as scratch:
        changed_files = {role: Path(scratch) / f"{role}.nii" for role in images}
        for seed, (role, image) in enumerate(images.items()):
            change.write(change.image(image, middle_mm, seed), changed_files[role])
        changed = segmented(changed_files, list(unchanged.masks))
    return compared(scan, change, change.points(middle_mm), unchanged, changed)


def _unchanged(scan: str, files: dict[str, Path], methods: Sequence[str], out: Path) -> Segmented:
    """The unchanged scan's masks, kept as files."""
    paths = {name: out / f"{scan} {name}.nii.gz" for name in (*methods, "brain")}
    if not all(path.exists() for path in paths.values()):
        _say(f"{scan}, {UNCHANGED.name}")
        found = segmented(files, methods)
        for name, mask in {**found.masks, "brain": found.brain}.items():
            write_mask(paths[name], mask)
        return found
    masks = {name: read_mask(path) for name, path in paths.items()}
    return Segmented(masks, masks.pop("brain"), {}, 0.0)


def table(rows: Sequence[Row], methods: Sequence[str]) -> str:
    """Rows are changes, columns are scans; each cell has Dice (kept) and the change of volume, by method."""
    scans = list(dict.fromkeys(row.scan for row in rows))
    lines = []
    for method in methods:
        cells = {(row.change, row.scan): row for row in rows if row.method == method}
        volumes = [next(row for row in cells.values() if row.scan == scan).unchanged_ml for scan in scans]
        titles = " | ".join(f"{scan} ({ml:.1f} ml)" for scan, ml in zip(scans, volumes, strict=True))
        lines += ["", f"| `{method}` | {titles} |", "|---" * (len(scans) + 1) + "|"]
        for change in dict.fromkeys(row.change for row in rows):
            found = [cells.get((change, scan)) for scan in scans]
            lines.append(" | ".join([f"| {change}", *map(_cell, found)]) + " |")
    return "\n".join(lines[1:])


def csv_of_rows(rows: Sequence[Row]) -> str:
    """What the package carries of it (cohort/_data/stability.csv), rounded as the table is."""
    lines = []
    for row in rows:
        shares = [f"{value:.4f}" for value in (row.dice, row.kept)]
        volumes = [f"{value:.3f}" for value in (row.unchanged_ml, row.ml)]
        lines.append(
            [row.method, row.scan, row.change, row.kind, *volumes, *shares, row.lesions, f"{row.lesion_spread:.3f}"]
        )
    return csv_text(CSV_COLUMNS, lines)


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    kept = "" if row.kept > 0.9995 else f" of {_short(row.kept)}"
    text = f"{_short(row.dice)}{kept}, {100 * row.volume_change:+.1f} %".replace("+0.0", "0.0").replace("-0.0", "0.0")
    return f"**{text}**" if row.missed else text


def _short(share: float) -> str:
    return "1" if share >= 0.99995 else f"{share:.3f}".removeprefix("0")


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def quick_files(folder: Path) -> dict[str, Path]:
    """FLAIR and T1 of a stripped, coarse phantom."""
    from flairline.datasets.phantom import Dataset

    (case,) = Dataset(folder, subjects=1, spacing_mm=4.0).cases()
    assert case.flair is not None and case.t1 is not None
    return {"flair": case.flair, "t1": case.t1}


def real_files(folder: str) -> dict[str, Path]:
    """FLAIR and T1 of a folder of FLAIRLINE_DATA."""
    where = Path(os.environ.get("FLAIRLINE_DATA", ".")) / folder
    files = {role: where / f"{role}.nii.gz" for role in ("flair", "t1")}
    if not files["flair"].exists():
        sys.exit(f"Wanted a scan in FLAIRLINE_DATA, but there is no {files['flair']}. Set it and run again.")
    return {role: path for role, path in files.items() if path.exists()}


def measure(
    scans: dict[str, Callable[[], dict[str, Path]]],
    changes: Sequence[Change],
    methods: Sequence[str],
    out: Path,
    csv: Path | None = None,
) -> None:
    """All of it; prints."""
    out.mkdir(parents=True, exist_ok=True)
    rows = [row for scan, files in scans.items() for row in rows_of(scan, files(), changes, methods, out)]
    if csv is not None:
        write_text(csv, csv_of_rows(rows))
    print(table(rows, methods))
    missed = [f"{row.scan}, {row.change}, {row.method}: {row.missed}" for row in rows if row.missed]
    by_kind = {
        kind: min(row.dice / row.kept for row in rows if row.kind == kind) for kind in {row.kind for row in rows}
    }
    largest = max(abs(row.volume_change) for row in rows)
    print(json.dumps({"rows": len(rows), "lowest_dice_of_kept": by_kind, "most_volume": largest, "missed": missed}))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, help="folder that keeps results")
    parser.add_argument("--csv", type=Path, help="write the rows to this file as well")
    parser.add_argument("--scan", action="append", choices=list(SCANS), help="only this one (repeat for more)")
    parser.add_argument("--change", action="append", choices=[change.name for change in CHANGES], help="only this one")
    parser.add_argument("--method", action="append", choices=METHODS, help="only this one")
    parser.add_argument("--quick", action="store_true", help="a coarse phantom: does it run?")
    given = parser.parse_args(arguments)
    changes = QUICK_CHANGES if given.quick else CHANGES
    changes = tuple(change for change in changes if not given.change or change.name in given.change)
    with tempfile.TemporaryDirectory() as scratch:
        out = given.out or Path(scratch) / "kept"
        if given.quick:
            measure({"phantom": lambda: quick_files(Path(scratch) / "phantom")}, changes, QUICK_METHODS, out, given.csv)
            return
        names = given.scan or list(SCANS)
        methods = tuple(given.method or METHODS)
        measure({name: lambda name=name: real_files(SCANS[name]) for name in names}, changes, methods, out, given.csv)


if __name__ == "__main__":
    main()
