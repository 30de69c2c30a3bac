"""DICOM in and out: a folder from the scanner to NIfTI files, and a mask back as a DICOM Segmentation.

Comes in: a folder's headers (`headers` reads attributes, `series` puts slices together, `choose` picks FLAIR and T1).
Goes out: the chosen series as NIfTI files and why they were chosen (`convert` runs dcm2niix), and Segmentations
(`segmentation`). Nothing that identifies the patient leaves it, but into a Segmentation, which by the standard carries
its source's patient module. It imports nothing but io and the types.
"""

from flairline.io.dicom.choose import Study, choose_study
from flairline.io.dicom.convert import Converted, convert_study
from flairline.io.dicom.segmentation import check_segmentation, source_headers, write_segmentation
from flairline.io.dicom.series import MIN_SLICES, Series

__all__ = [
    "MIN_SLICES",
    "Converted",
    "Series",
    "Study",
    "check_segmentation",
    "choose_study",
    "convert_study",
    "source_headers",
    "write_segmentation",
]
