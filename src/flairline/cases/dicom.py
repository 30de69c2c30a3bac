"""DICOM folders as cases."""

from __future__ import annotations

from pathlib import Path

from flairline.io import dicom
from flairline.preprocess.described import CONVERTER
from flairline.types import Case


def case_from_dicom(
    folder: Path, work: Path, flair_series: int | None = None, t1_series: int | None = None
) -> tuple[Case, dicom.Study]:
    """The case in a DICOM folder, its FLAIR and T1 converted into `work`; the study says what was chosen and why.

    Raises
    ------
    InputError
        The folder has no usable FLAIR.
    """
    study = dicom.choose_study(folder, flair_series, t1_series)
    converted = dicom.convert_study(study, work)
    extra = {CONVERTER: "dcm2niix"}
    return Case("", study.name, flair=converted.flair, t1=converted.t1, extra=extra), converted.study
