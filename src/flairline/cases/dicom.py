"""DICOM folders as cases, and results as DICOM Segmentations beside the masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from flairline.io import dicom
from flairline.preprocess.described import CONVERTER
from flairline.summary import Summary
from flairline.types import Case, Mask, Scan


class Segmented(Protocol):
    """What is needed of a result to write it as DICOM."""

    @property
    def scan(self) -> Scan:
        """The scan, by whose subject the study is found."""

    @property
    def mask(self) -> Mask:
        """What was found, on the scan's grid."""

    @property
    def summary(self) -> Summary:
        """What summary.json says."""


@dataclass(frozen=True)
class DicomAfter:
    """What is done after a mask is written: it is written once more as a DICOM Segmentation, then `then` is called.

    `studies` are the studies that scans came from, by subject.
    """

    studies: Mapping[str, dicom.Study]
    then: Callable[..., None] | None = None

    def __call__(self, found: Segmented, folder: Path) -> None:
        """Write mask.dcm beside mask.nii.gz for a subject that came from DICOM."""
        study = self.studies.get(found.scan.subject)
        if study is not None:
            dicom.write_segmentation(folder / "mask.dcm", found.mask, study.flair, found.summary.recipe or "")
        if self.then is not None:
            self.then(found, folder)


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
