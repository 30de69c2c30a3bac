"""DICOM in and out: a folder from the scanner to NIfTI files, and a mask back as a DICOM Segmentation.

A folder's headers come in; the chosen series as NIfTI files go out, and why they were chosen. `headers` reads
attributes, `series` puts slices together, `choose` picks FLAIR and T1, `convert` runs dcm2niix, `segmentation` writes.
Nothing that identifies the patient leaves it, except into a DICOM Segmentation, which by the standard carries the
patient module of its source.
"""

from flairline.io.dicom.choose import Study, choose_study
from flairline.io.dicom.convert import Converted, convert_study
from flairline.io.dicom.segmentation import check_segmentation, write_segmentation
from flairline.io.dicom.series import MIN_SLICES, Series

__all__ = [
    "MIN_SLICES",
    "Converted",
    "Series",
    "Study",
    "check_segmentation",
    "choose_study",
    "convert_study",
    "write_segmentation",
]
