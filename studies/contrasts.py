"""How often a contrast is mistaken: ``FLAIRLINE_DATA=DIR python -m studies.contrasts WORK_FOLDER [--affine]``.

Every FLAIR, T1 and T2 of the folder is looked at as if it were given as a FLAIR; the brains of heads are extracted once
and kept in WORK_FOLDER. The other contrasts are made from the label maps in synthseg_labels. The limit between T1 and
FLAIR is looked for on every other patient as well and judged on the rest, to see how far it can be trusted; the
figures themselves were chosen with all of them in sight.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.imaging.resample import resample_volume
from flairline.io.nifti import read_mask, read_volume, write_mask
from flairline.learning.atlas.placing import mni_frame, place
from flairline.preprocess.brain import brain_from_background, extract_brain, is_stripped
from flairline.preprocess.contrast import T1_MAX_SCORE, ContrastVerdict, contrast_of
from flairline.types import Mask, Scan, Space, Volume

SETS = (
    "brats2015",
    "brats2018",
    "mslub",
    "mslub_raw",
    "msseg2015",
    "tumour",
    "nichart",
    "wmhthick",
    "hard",
    "healthy_like",
)
MEANS = {
    "flair": (0.2, 1.2, 1.12, 0.9),
    "t1": (0.25, 0.68, 0.8, 0.9),
    "t1 with agent": (0.25, 0.68, 0.8, 2.2),
    "t2": (3.0, 1.45, 1.2, 0.5),
    "pd": (1.15, 1.22, 1.12, 0.6),
    "adc": (3.8, 1.1, 1.03, 1.5),
    "ct": (0.2, 1.27, 1.2, 1.4),
}
"""Signal of fluid, cortex, deep grey matter and vessels; white matter is 1."""
FLUID, CORTEX, DEEP, VESSELS, WHITE = (
    (4, 5, 14, 15, 24, 43, 44, 72),
    (3, 42, 8, 47, 17, 18, 53, 54),
    (10, 11, 12, 13, 26, 49, 50, 51, 52, 58),
    (30, 31, 62, 63),
    (2, 7, 16, 28, 41, 46, 60, 77, 85),
)
"""FreeSurfer's numbers."""


@dataclass(frozen=True)
class Looked:
    """One image: what it is, and what it looks like."""

    dataset: str
    patient: str
    is_a: str
    verdict: ContrastVerdict

    @property
    def score(self) -> float:
        """The figure that tells T1 from FLAIR."""
        return self.verdict.figures.get("t1_below", float("nan"))


def images(data: Path) -> Iterator[tuple[str, str, str, Path]]:
    """Data set, patient, contrast and file of every image."""
    for dataset in SETS:
        for path in sorted((data / dataset).rglob("*.nii.gz")):
            contrast = path.name.split(".")[0].split("_")[0]
            if contrast in ("flair", "t1", "t2"):
                yield dataset, f"{dataset}/{path.parent.name}", contrast, path


def brain_of(path: Path, image: Volume, work: Path) -> Mask:
    """The brain: given on the image's grid, seen from the background, or extracted and kept."""
    given = path.parent / "brain.nii.gz"
    if given.exists() and read_volume(given).space.same_grid(image.space):
        return read_mask(given)
    if is_stripped(image):
        return brain_from_background(image, str(path))
    kept = work / f"{path.parent.parent.name}_{path.parent.name}_{path.name}"
    if not kept.exists():
        work.mkdir(parents=True, exist_ok=True)
        write_mask(kept, extract_brain(image, "deepbet", str(path)))
    return read_mask(kept)


def looked_at(data: Path, work: Path, *, affine: bool) -> list[Looked]:
    """All real images."""
    rows = []
    for dataset, patient, contrast, path in images(data):
        stored = read_volume(path)
        image = Volume(np.nan_to_num(stored.array), stored.space)
        brain = brain_of(path, image, work)
        matrix = None
        if affine:
            matrix = place(Scan.of(patient, image, brain), mni_frame(2.0, 2.0)).to_scan.ras_to_ras
        verdict = contrast_of(image, brain, mni_to_native=matrix)
        rows.append(Looked(dataset, patient, contrast, verdict))
    return rows


def synthetic(labels: Volume, contrast: str, rng: np.random.Generator) -> tuple[Volume, Mask]:
    """A label map's brain in another contrast: partial volume, a bias field and noise."""
    numbers = labels.array.astype(int)
    fluid, cortex, deep, vessels = MEANS[contrast]
    brain = np.isin(numbers, [number for group in (CORTEX, DEEP, VESSELS, WHITE) for number in group])
    brain |= np.isin(numbers, [number for number in FLUID if number != 24])
    brain = ndimage.binary_fill_holes(ndimage.gaussian_filter(brain.astype(np.float32), 3) > 0.4)
    signal = np.full(numbers.shape, fluid, np.float32)
    for group, value in ((CORTEX, cortex), (DEEP, deep), (VESSELS, vessels), (WHITE, 1.0)):
        signal[np.isin(numbers, group)] = value
    signal = ndimage.gaussian_filter(signal, 0.6)
    coarse = rng.normal(0, 0.06, (5, 5, 5))
    field = ndimage.zoom(coarse, np.array(numbers.shape) / 5, order=2)
    signal = signal * np.exp(field) + rng.normal(0, 0.04, numbers.shape)
    scale, outside = (30, -1000) if contrast == "ct" else (500, 0)
    return _cut(np.where(brain, scale * signal, outside).astype(np.float32), brain)


def _cut(image: NDArray[np.float32], brain: NDArray[np.bool_]) -> tuple[Volume, Mask]:
    """The box of the brain and 10 voxels around it."""
    box = tuple(
        slice(max(edge.start - 10, 0), edge.stop + 10) for edge in ndimage.find_objects(brain.astype(np.uint8))[0]
    )
    x, y, z = image[box].shape
    space = Space((x, y, z), np.eye(4))
    return Volume(np.ascontiguousarray(image[box]), space), Mask(np.ascontiguousarray(brain[box]), space)


def pairs(data: Path, work: Path) -> str:
    """Of every pair, laid on each other by the headers alone: how often it is said to be exchanged, rightly or not."""
    files = {(patient, kind, path.name.count("raw")): path for _, patient, kind, path in images(data)}
    right = wrong = count = 0
    for (patient, kind, raw), path in files.items():
        if kind != "t1" or (patient, "flair", raw) not in files:
            continue
        t1, flair = read_volume(path), read_volume(files[patient, "flair", raw])
        brain_t1, brain_flair = brain_of(path, t1, work), brain_of(files[patient, "flair", raw], flair, work)
        count += 1
        right += contrast_of(t1, brain_t1, resample_volume(flair, t1.space)).is_exchanged
        wrong += not contrast_of(flair, brain_flair, resample_volume(t1, flair.space)).is_flair_possible
    return f"{right} of {count} exchanged pairs are named, {wrong} of {count} right ones are flagged"


def limit_on_half(rows: list[Looked]) -> str:
    """The limit half-way between both on every other patient, and what it gets wrong on the rest."""
    patients = sorted({row.patient for row in rows})
    halves = [[row for row in rows if row.patient in patients[start::2]] for start in (0, 1)]
    first, second = ({k: [r.score for r in half if r.is_a == k] for k in ("flair", "t1")} for half in halves)
    limit = (max(first["t1"]) + min(first["flair"])) / 2
    flagged, missed = (sum(s < limit for s in second["flair"]), sum(s >= limit for s in second["t1"]))
    return (
        f"first half: highest T1 {max(first['t1']):.2f}, lowest FLAIR {min(first['flair']):.2f}, limit {limit:.2f};"
        f" second half with it: {flagged} of {len(second['flair'])} FLAIRs flagged,"
        f" {missed} of {len(second['t1'])} T1s missed (in use: {T1_MAX_SCORE})"
    )


def table(rows: list[Looked]) -> str:
    """Markdown: errors by data set."""
    lines = ["| data set | FLAIRs flagged | T1s not flagged | lowest FLAIR | highest T1 |", "|---|---|---|---|---|"]
    for dataset in (*SETS, "all"):
        part = [row for row in rows if dataset in (row.dataset, "all")]
        flairs, t1s = ([row for row in part if row.is_a == kind] for kind in ("flair", "t1"))
        flagged = sum(not row.verdict.is_flair_possible for row in flairs)
        missed = f"{sum(row.verdict.is_flair_possible for row in t1s)} / {len(t1s)}" if t1s else ""
        highest = f"{max(row.score for row in t1s):.2f}" if t1s else ""
        lowest = min(row.score for row in flairs)
        lines.append(f"| {dataset} | {flagged} / {len(flairs)} | {missed} | {lowest:.2f} | {highest} |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--affine", action="store_true", help="lay the atlas on by registration, not by boxes")
    given = parser.parse_args()
    data = Path(os.environ["FLAIRLINE_DATA"])
    rows = looked_at(data, given.work, affine=given.affine)
    print(table(rows), limit_on_half(rows), pairs(data, given.work), sep="\n\n", end="\n\n")
    print("| made as | flagged | looks like |", "|---|---|---|", sep="\n")
    rng = np.random.default_rng(0)
    maps = sorted((data / "synthseg_labels").glob("*.nii.gz"))[::2]
    for contrast in MEANS:
        verdicts = [contrast_of(*synthetic(read_volume(path), contrast, rng)) for path in maps]
        names = [verdict.looks_like for verdict in verdicts]
        words = ", ".join(f"{name} {names.count(name)}" for name in sorted(set(names)))
        flagged = sum(not verdict.is_flair_possible for verdict in verdicts)
        print(f"| {contrast} | {flagged} / {len(maps)} | {words} |", flush=True)


if __name__ == "__main__":
    main()
