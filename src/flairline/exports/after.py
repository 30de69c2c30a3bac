"""What is written beside a mask for other programs, before the scan's page and its summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flairline.exports.filling import fill_lesions
from flairline.exports.fmriprep import ENDING, FOLDER, roi_path
from flairline.exports.label_map import LESIONS, REGIONS_FILE, write_label_maps
from flairline.exports.on_t1 import OnT1, check_t1, on_t1
from flairline.exports.structured_report import MASK, REPORT, write_dicom
from flairline.exports.tables import TABLES
from flairline.io.dicom import Study
from flairline.io.files import remove_file
from flairline.io.nifti import write_mask, write_volume
from flairline.segmentation import After, Found
from flairline.types import Case

FILLED_T1 = "t1_filled.nii.gz"


@dataclass(frozen=True)
class Wanted:
    """Which exports are asked for: label images with tables, the filled T1, fMRIPrep's mask."""

    label_map: bool = False
    fill_t1: bool = False
    fmriprep_roi: bool = False

    @property
    def needs_t1(self) -> bool:
        """Whether a scan without a T1 cannot have all of them."""
        return self.fill_t1 or self.fmriprep_roi

    def check(self, case: Case) -> None:
        """Raise `InputError` for a case that cannot have what is asked for, before it is segmented."""
        if self.needs_t1:
            check_t1(case)


@dataclass(frozen=True)
class Exports:
    """What is done after a mask is written: the exports, then what comes `then` (the page).

    `studies` are the DICOM studies that scans came from, by subject: their masks are written as DICOM once more, with
    a structured report.
    """

    wanted: Wanted = field(default_factory=Wanted)
    studies: Mapping[str, Study] = field(default_factory=dict)
    then: After | None = None

    @property
    def writes(self) -> bool:
        """Whether it writes anything for other programs."""
        return self.wanted != Wanted() or bool(self.studies)

    def __call__(self, found: Found, folder: Path) -> None:
        """Write all of them into the scan's folder, in place of what another run left of another mask."""
        remove_exports(folder)
        write_exports(found, folder, self.wanted)
        study = self.studies.get(found.scan.subject)
        if study is not None:
            write_dicom(found, folder, study.flair)
        if self.then is not None:
            self.then(found, folder)


def remove_exports(folder: Path) -> None:
    """Remove whatever exports lie in a scan's folder. Raises `OutputError`."""
    names = (f"{stem}{ending}" for stem in (LESIONS, REGIONS_FILE) for ending in (".nii.gz", *TABLES))
    for name in (*names, FILLED_T1, MASK, REPORT):
        remove_file(folder / name)
    for path in (folder / FOLDER).rglob(f"*{ENDING}"):
        remove_file(path)


def write_exports(found: Found, folder: Path, wanted: Wanted) -> list[Path]:
    """Write what is wanted into a folder, and return the files.

    Raises
    ------
    InputError
        The T1 is needed and there is none, or it has no white matter.
    OutputError
        The folder cannot be written to.
    """
    paths = write_label_maps(found, folder) if wanted.label_map else []
    seen_on_t1 = on_t1(found) if wanted.needs_t1 else None
    if wanted.fill_t1 and seen_on_t1 is not None:
        paths.append(write_filled_t1(seen_on_t1, folder))
    if wanted.fmriprep_roi and seen_on_t1 is not None:
        paths.append(write_roi(found, seen_on_t1, folder))
    return paths


def write_filled_t1(seen_on_t1: OnT1, folder: Path) -> Path:
    """Write t1_filled.nii.gz, the T1 on its own grid with white matter in place of lesions."""
    path = folder / FILLED_T1
    write_volume(path, fill_lesions(seen_on_t1.t1, seen_on_t1.white_lesions, seen_on_t1.brain))
    return path


def write_roi(found: Found, seen_on_t1: OnT1, folder: Path) -> Path:
    """Write the mask on the T1's own grid under the name that fMRIPrep looks for, in a piece of a BIDS folder."""
    t1_name = Path(found.scan.sources.get("t1", "")).name
    path = folder / FOLDER / roi_path(t1_name, found.scan.subject)
    write_mask(path, seen_on_t1.lesions)
    return path
