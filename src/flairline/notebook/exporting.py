"""What other programs take of a result: `export`, `fill_t1`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flairline.segmentation import Found
    from flairline.types import Volume


def export(
    found: Found,
    folder: Path | str,
    label_map: bool = True,
    fill_t1: bool = False,
    fmriprep_roi: bool = False,
) -> list[Path]:
    """Write what other programs take of a result, and return the files.

    Parameters
    ----------
    found
        Of `segment`.
    folder
        Made where it is missing.
    label_map
        lesions.nii.gz, each lesion by its number, and regions.nii.gz where regions are known, with tables for ITK-SNAP,
        FreeSurfer, FSLeyes and Slicer beside each.
    fill_t1
        t1_filled.nii.gz, as `fill_t1` gives it.
    fmriprep_roi
        The mask on the T1's own grid under the name that fMRIPrep looks for, in the folder fmriprep.

    Raises
    ------
    InputError
        The T1 is needed and there is none.
    OutputError
        The folder cannot be written to.

    Examples
    --------
    >>> import flairline as fl
    >>> from tempfile import mkdtemp
    >>> scan, truth = fl.demo_scan()
    >>> found = fl.segment(scan, method="brightest")
    >>> sorted(path.name for path in fl.export(found, mkdtemp()) if path.name.startswith("lesions"))
    ['lesions.ctbl', 'lesions.nii.gz', 'lesions_LUT.txt', 'lesions_fsleyes.lut', 'lesions_itksnap.txt']
    """
    from flairline.exports.after import Wanted, write_exports

    return write_exports(found, Path(folder), Wanted(label_map, fill_t1, fmriprep_roi))


def fill_t1(found: Found) -> Volume:
    """The T1 on its own grid with neighbouring white matter, and its noise, in place of the lesions.

    Lesions whose region is grey matter stay as they are.

    Raises
    ------
    InputError
        The scan has no T1, or no white matter was found in it.

    Examples
    --------
    >>> import flairline as fl
    >>> scan, truth = fl.demo_scan()
    >>> found = fl.segment(scan, method="brightest")
    >>> filled = fl.fill_t1(found)
    >>> bool((filled.array == scan.t1.array)[~found.mask.array].all())
    True
    """
    from flairline.exports.filling import fill_lesions
    from flairline.exports.on_t1 import on_t1

    seen = on_t1(found)
    return fill_lesions(seen.t1, seen.white_lesions, seen.brain)
