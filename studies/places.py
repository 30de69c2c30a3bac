"""Which lesions a recipe finds, by their place and size: ``python -m studies.places CASES.csv SRI24_FOLDER``.

Each rater's lesion (26-connected) counts as found if it shares a voxel with the mask. Its place follows the rule of
`imaging.regions`. The tissues come from the SRI24 atlas, laid onto the scan by an affine map, and from the subject's
own where the table's column `tissues` has them (1 CSF, 2 grey, 3 white matter): right to some millimetres, and not
beside a tumour, which moves what it touches. This looks at truths; it measures and chooses nothing.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline import recipes
from flairline.cases.table import CaseTable
from flairline.imaging.components import label_components
from flairline.imaging.points import PointMap, carry_mask
from flairline.imaging.regions import REGIONS, Anatomy, regions_of
from flairline.io.nifti import read_volume
from flairline.io.tables import markdown_text
from flairline.preprocess.atlas import load_atlas
from flairline.preprocess.read import read_scan
from flairline.preprocess.register import register_affine
from flairline.preprocess.settings import PreprocessSettings
from flairline.types import BoolArray, Case, Mask, Scan, Space

JUDGED = PreprocessSettings().for_judging(None)
WORDS = {"grey matter": "cortical", "deep white matter": "deep"}
"""What docs/results calls a region where it is another word than the rule's: the grey matter here is cortex alone."""
PLACES = tuple(WORDS.get(region, region) for region in REGIONS)
SIZES_ML = (0.0, 0.02, 0.1, 0.5, 5.0, np.inf)
"""Bounds of the sizes, lower inclusive."""
INFRATENTORIAL = (181, 182)
"""LPBA40's cerebellum and brain stem."""
CORTEX = range(21, 123)
"""LPBA40's cortical regions, the white matter of their gyri included."""
VENTRICLE_DEPTH_MM = 25.0


def ventricles(csf: NDArray[np.bool_], brain: NDArray[np.bool_], spacing_mm: Sequence[float]) -> NDArray[np.bool_]:
    """The largest piece of CSF that lies deep in the brain."""
    deep = csf & (ndimage.distance_transform_edt(brain, sampling=spacing_mm) > VENTRICLE_DEPTH_MM)
    labels, sizes = label_components(ndimage.binary_opening(deep))
    return labels == 1 + int(sizes[1:].argmax()) if sizes.size > 1 else np.zeros_like(csf)


def anatomy_of(case: Case, scan: Scan, sri24: Path) -> Anatomy:
    """The atlas's parts on the scan's grid; cortex and ventricles by the subject's own tissues where there are any."""
    atlas = load_atlas(str(sri24 / "spgr.nii.gz"))
    matrix = register_affine(atlas.t1, atlas.brain, scan.t1 or scan.flair, scan.brain, "greedy")
    to_atlas = PointMap("atlas", "native", matrix).inverse()
    regions, tissues = (read_volume(sri24 / f"{name}.nii.gz") for name in ("lpba40", "tissues"))
    gyri = np.isin(regions.array, CORTEX)

    def carried(mask: NDArray[np.bool_], space: Space = regions.space) -> NDArray[np.bool_]:
        return carry_mask(Mask(mask, space), scan.space, to_atlas).array

    below = carried(np.isin(regions.array, INFRATENTORIAL))
    own = case.extra.get("tissues")
    if own:
        found = read_volume(Path(own))
        if not found.space.same_grid(scan.space):
            raise SystemExit(f"{own} is not on the grid that {case.subject} is judged on.")
        cortex = (found.array == 2) & ndimage.binary_dilation(carried(gyri), iterations=3)
        return parts_of(below, ventricles(found.array == 1, scan.brain.array, scan.spacing_mm), cortex)
    inside = ndimage.binary_fill_holes(tissues.array > 0)
    of_atlas = ventricles(tissues.array == 1, inside, tissues.space.spacing_mm)
    return parts_of(below, carried(of_atlas, tissues.space), carried(gyri & (tissues.array == 2), tissues.space))


def parts_of(infratentorial: BoolArray, ventricle: BoolArray, cortex: BoolArray) -> Anatomy:
    """The parts that the rule asks for, from masks (x, y, z); of two that share a voxel the first has it."""
    parts = np.zeros(cortex.shape, np.uint8)
    for code, mask in ((Anatomy.CORTEX, cortex), (Anatomy.VENTRICLE, ventricle)):
        parts[mask] = code
    parts[infratentorial] = Anatomy.INFRATENTORIAL
    return Anatomy(parts)


def lesions_of(case: Case, sri24: Path, methods: Sequence[str]) -> list[dict]:
    """One row a lesion: place, volume, and for each method whether it was found."""
    labelled = read_scan(case, JUDGED).labelled(merge=True)
    scan, truth = labelled.scan, np.asarray(labelled.labels) > 0.5
    masks = {}
    for name in methods:
        recipe = recipes.load(name)
        if recipe.threshold is None:
            raise SystemExit(f"{name} has no threshold of its own.")
        mask, _ = recipe.mask(recipes.ready_scorer(recipe)(scan), scan.brain, recipe.threshold)
        masks[name] = mask.array
    anatomy = anatomy_of(case, scan, sri24)
    labels, _ = label_components(truth)
    places = regions_of(labels, anatomy, scan.spacing_mm)
    rows = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        lesion = np.zeros(truth.shape, bool)
        lesion[box] = labels[box] == number
        found = {name: bool(mask[lesion].any()) for name, mask in masks.items()}
        place = WORDS.get(places[number - 1], places[number - 1])
        ml = float(np.count_nonzero(lesion)) * scan.space.voxel_ml
        rows.append({"dataset": case.dataset, "subject": case.subject, "place": place, "ml": ml, "found": found})
    return rows


def size_of(ml: float) -> str:
    """The bin of a volume, as text."""
    index = int(np.searchsorted(SIZES_ML, ml, side="right")) - 1
    low, high = SIZES_ML[index], SIZES_ML[index + 1]
    return f">= {low:g} ml" if np.isinf(high) else f"{low:g} to {high:g} ml"


def recall(rows: Sequence[Mapping], key: str, method: str) -> dict[str, tuple[int, int]]:
    """Found lesions and all lesions by `place`, `size` or `dataset`."""
    every, found = Counter[str](), Counter[str]()
    for row in rows:
        value = size_of(row["ml"]) if key == "size" else row[key]
        every[value] += 1
        found[value] += row["found"][method]
    return {value: (found[value], count) for value, count in every.items()}


def table(rows: Sequence[Mapping], key: str, values: Sequence[str], methods: Sequence[str]) -> str:
    """Markdown: one line a value, for each method and data set found / all."""
    sets = sorted({row["dataset"] for row in rows})
    heads = [f"`{method}` {name}" for method in methods for name in (*sets, "all")]
    lines = []
    for value in values:
        cells = [value]
        for method in methods:
            for name in (*sets, None):
                part = [row for row in rows if name is None or row["dataset"] == name]
                found, count = recall(part, key, method).get(value, (0, 0))
                cells.append(f"{found} / {count}" if count else "")
        lines.append(cells)
    return markdown_text([key, *heads], lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("sri24", type=Path, help="folder with spgr, tissues and lpba40")
    parser.add_argument("--method", action="append", dest="methods", help="recipe; repeat")
    parser.add_argument("-o", "--out", type=Path, default=Path("places.json"))
    given = parser.parse_args()
    wanted = given.methods or ["default"]
    lesions = [row for case in CaseTable(given.cases).cases() for row in lesions_of(case, given.sri24, wanted)]
    given.out.write_text(json.dumps(lesions, indent=1))
    print(table(lesions, "place", PLACES, wanted), end="\n\n")
    sizes = [size_of(low) for low in SIZES_ML[:-1]]
    print(table(lesions, "size", sizes, wanted))
