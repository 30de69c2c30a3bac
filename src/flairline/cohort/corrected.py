"""A mask that a person corrected, read back into the folder of its scan: measured anew, and marked as corrected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flairline.cohort.finished import read_finished
from flairline.errors import GridError, InputError
from flairline.exports.after import remove_exports
from flairline.exports.label_map import LESIONS, write_label_maps
from flairline.imaging.measure import lesions_of
from flairline.io.files import readable, remove_file, sha256
from flairline.io.nifti import read_mask, read_volume, write_mask
from flairline.preprocess import register
from flairline.preprocess.atlas import load_atlas
from flairline.preprocess.brain import BrainSource
from flairline.preprocess.prepared import Prepared
from flairline.preprocess.whereabouts import Whereabouts, whereabouts
from flairline.report.build import COHORT_PAGE, SCAN_PAGE
from flairline.report.scan_page import write_page
from flairline.segmentation import AS_SEGMENTED, Found
from flairline.summary import SUMMARY, Corrected, Preprocessing, Summary
from flairline.types import Case, Mask, Scan, Threshold

MASK = "mask.nii.gz"


def folder_of(out: Path) -> Path:
    """The folder of the one scan that OUT is, or holds. Raises `InputError` where there are none or several."""
    if (out / SUMMARY).exists():
        return out
    finished = sorted(path.parent for path in out.glob(f"*/{SUMMARY}"))
    if len(finished) == 1:
        return finished[0]
    found = f"{len(finished)} of them" if finished else "none"
    msg = f"Wanted the folder of one finished scan for --corrected, but {out} has {found}. Name it: {out}/SUBJECT."
    raise InputError(msg)


def write_corrected(folder: Path, corrected: Path) -> tuple[Found, list[str]]:
    """Put a corrected mask in the place of a scan's mask, and measure it: volumes, regions, summary.json, the page.

    The mask as it was segmented is kept beside it. Exports that hold another mask are removed, but for label images,
    which are written anew.

    Parameters
    ----------
    folder
        Of one scan, as `segment` leaves it.
    corrected
        A mask on the FLAIR's own grid; what is not zero is lesion, so a label image will do.

    Returns
    -------
    What is there now, and the names of files that were removed because they held the mask of before.

    Raises
    ------
    InputError
        The folder is not that of a finished scan of `segment`, or its FLAIR is gone.
    ImageError, GridError
        The mask cannot be read, or lies on another grid.
    OutputError
        The folder cannot be written to.
    """
    visit = read_finished(folder, moved="Put it back there.")
    if not (folder / MASK).exists():
        msg = f"Wanted a folder that `flairline segment` wrote, but {folder} has no {MASK}. Name such a folder."
        raise InputError(msg)
    mask = _read_corrected(corrected, visit.mask)
    scan, prepared, place = _placed(folder, Scan.of(visit.name, visit.flair, visit.brain), visit.summary)
    lesions = place.with_places(lesions_of(mask, scan.brain, naming=place.naming(scan)), scan)
    first = visit.summary.corrected or Corrected(
        volume_before_ml=visit.summary.lesion_volume_ml, n_lesions_before=visit.summary.n_lesions
    )
    summary = replace(
        visit.summary.measured(mask, scan.brain, lesions),
        region_ml=place.region_ml(lesions),
        corrected=replace(first, file=readable(corrected.name), sha256=sha256(corrected)),
        note="",  # what a threshold fixed, a person has changed
    )
    threshold = summary.threshold or Threshold(float("nan"), "unknown", "unknown")
    found = Found(scan, read_volume(folder / "score.nii.gz"), mask, threshold, summary, prepared=prepared)
    itself = corrected.resolve() == (folder / MASK).resolve()  # then the mask of before is gone
    return found, _write(found, folder, None if itself else visit.mask)


def _write(found: Found, folder: Path, before: Mask | None) -> list[str]:
    """Write what changes; summary.json last, as ever. Returns the names of what was removed."""
    if before is not None and not (folder / AS_SEGMENTED).exists():
        write_mask(folder / AS_SEGMENTED, before)
    remove_file(folder / SUMMARY)
    write_mask(folder / MASK, found.mask)
    labelled = (folder / f"{LESIONS}.nii.gz").exists()
    stale = {path for path in folder.rglob("*") if path.is_file()}
    remove_exports(folder)
    for path in folder.glob("mask_space-*.nii.gz"):
        remove_file(path)
    if labelled:
        write_label_maps(found, folder)
    if (folder / SCAN_PAGE).exists():
        of_all = folder.parent / COHORT_PAGE
        write_page(found, folder, f"../{COHORT_PAGE}" if of_all.exists() else None)
    found.summary.write(folder / SUMMARY)
    return sorted(path.relative_to(folder).as_posix() for path in stale if not path.exists())


def _read_corrected(path: Path, before: Mask) -> Mask:
    """The mask of a file. Raises `GridError` if it is not on the grid of the one before."""
    mask = read_mask(path)
    if not mask.space.same_grid(before.space):
        msg = (
            f"Wanted a corrected mask on the grid of the FLAIR, {before.space.describe()}, but {path} has"
            f" {mask.space.describe()}. Save it with the FLAIR as reference."
        )
        raise GridError(msg)
    return Mask(mask.array, before.space)


def _placed(folder: Path, scan: Scan, summary: Summary) -> tuple[Scan, Prepared | None, Whereabouts]:
    """The scan with the way to the atlas that it was registered to, and where it lies, asked as when it was segmented.

    How it was prepared is None where it was not registered, or to another atlas than the one on board.
    """
    name, regions = (summary.preprocessing or Preprocessing()).atlas, summary.region_ml is not None
    path = folder / f"from-native_to-{name}_xfm.tfm"
    if not path.exists():
        return scan, None, whereabouts(scan, regions=regions)
    to_native = register.read_itk(path, "atlas", "native")  # it carries images, so its points go the other way
    if name != "mni":
        place = whereabouts(scan, regions=regions)
        return scan, None, replace(place, native_to_atlas=to_native.inverse().ras_to_ras)
    scan = replace(scan, atlas_to_native=to_native.ras_to_ras)
    case, brain = Case("", scan.subject), BrainSource("given", "flair")
    prepared = Prepared(case, scan, brain, atlas=load_atlas(name), atlas_to_native=to_native)
    return scan, prepared, whereabouts(scan, prepared, regions)
