"""The lesions as label images, with the tables that say what each number is: one by lesion, one by region."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flairline.exports.tables import TABLES, Label, numbered_labels, write_tables
from flairline.imaging.measure import lesion_numbers
from flairline.imaging.regions import REGIONS
from flairline.io.files import remove_file
from flairline.io.nifti import write_labels
from flairline.segmentation import Found

LESIONS, REGIONS_FILE = "lesions", "regions"


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A label image on the scan's grid, `numbers` (x, y, z) with 0 where nothing was marked, and its labels."""

    numbers: NDArray[np.int32]
    labels: tuple[Label, ...]


def lesion_map(found: Found) -> LabelMap:
    """Each lesion by its number in summary.json, the largest first."""
    names = [
        " ".join(filter(None, (f"lesion {number}", lesion.side, lesion.region)))
        for number, lesion in enumerate(found.summary.lesions or (), start=1)
    ]
    return LabelMap(lesion_numbers(found.mask), tuple(numbered_labels(names)))


def region_map(found: Found) -> LabelMap | None:
    """Each lesion by its region, numbered from 1 in the order of `REGIONS`; None where no region is known."""
    regions = [lesion.region for lesion in found.summary.lesions or ()]
    if found.summary.region_ml is None:
        return None
    codes = np.zeros(len(regions) + 1, np.int32)
    codes[1:] = [REGIONS.index(region) + 1 if region in REGIONS else 0 for region in regions]
    return LabelMap(codes[lesion_numbers(found.mask)], tuple(numbered_labels(REGIONS)))


def write_label_maps(found: Found, folder: Path) -> list[Path]:
    """Write lesions.nii.gz and, where regions are known, regions.nii.gz, with the tables of `TABLES` beside each.

    What lies there of an earlier run is replaced or removed. Raises `OutputError`.
    """
    paths: list[Path] = []
    for stem, label_map in ((LESIONS, lesion_map(found)), (REGIONS_FILE, region_map(found))):
        image = folder / f"{stem}.nii.gz"
        if label_map is None:
            for path in (image, *(folder / f"{stem}{ending}" for ending in TABLES)):
                remove_file(path)
            continue
        write_labels(image, label_map.numbers, found.scan.space)
        paths += [image, *write_tables(folder, stem, label_map.labels)]
    return paths
