"""WMH Segmentation Challenge 2017, training set: 60 patients with white matter hyperintensities from three scanners.

Files are Utrecht/0/{orig,pre}/{FLAIR,T1}.nii.gz with Utrecht/0/wmh.nii.gz, likewise Amsterdam/GE3T/100 and
Singapore/50. The images of `orig` are used, as the paper's code does; those of `pre` (bias-corrected) where they alone
are there. Nothing is skull-stripped and there is no brain mask.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from flairline.cases.folder import FolderDataset, Foreign, Pattern

_SCAN = r"(?P<site>Utrecht|Singapore|(?:Amsterdam/)?GE3T)/(?P<subject>\d{1,3})"
_END = r"\.nii(?:\.gz)?"

UTRECHT = (0, 2, 4, 6, 8, 11, 17, 19, 21, 23, 25, 27, 29, 31, 33, 35, 37, 39, 41, 49)
SINGAPORE = tuple(range(50, 70))
AMSTERDAM = (*range(100, 111), *range(112, 117), 126, 132, 137, 144)


@dataclass(frozen=True)
class Dataset(FolderDataset):
    """WMH 2017. Labels: 1 white matter hyperintensity, 2 other pathology, which the challenge ignores."""

    name: ClassVar[str] = "wmh2017"
    title: ClassVar[str] = "WMH Segmentation Challenge 2017 (training set)"
    published_as: ClassVar[str] = "WMH"
    licence: ClassVar[str] = "the terms on the archive's page, to be accepted by a person"
    how_to_get: ClassVar[str] = "Download the training files from DataverseNL."
    address: ClassVar[str] = "https://doi.org/10.34894/AECRSD"
    citation: ClassVar[str] = "Kuijf et al., IEEE TMI 38(11), 2019, doi:10.1109/TMI.2019.2905770"
    n_published: ClassVar[int] = 60
    subjects: ClassVar[tuple[str, ...]] = (
        *(f"Utrecht-{number}" for number in UTRECHT),
        *(f"Singapore-{number}" for number in SINGAPORE),
        *(f"GE3T-{number}" for number in AMSTERDAM),
    )
    known_labels: ClassVar[tuple[int, ...]] = (0, 1, 2)
    lesion_labels: ClassVar[tuple[int, ...]] = (1,)
    ignored_labels: ClassVar[tuple[int, ...]] = (2,)
    layout: ClassVar[str] = "training/Utrecht/0/orig/FLAIR.nii.gz"
    patterns: ClassVar[tuple[Pattern, ...]] = (
        Pattern("flair", f"{_SCAN}/orig/FLAIR{_END}", version=0),
        Pattern("t1", f"{_SCAN}/orig/T1{_END}", version=0),
        Pattern("flair", f"{_SCAN}/pre/FLAIR{_END}", version=1),
        Pattern("t1", f"{_SCAN}/pre/T1{_END}", version=1),
        Pattern("truth", f"{_SCAN}/wmh{_END}"),
    )
    foreign: ClassVar[tuple[Foreign, ...]] = (
        Foreign(
            r"/test/(?:Utrecht|Singapore|Amsterdam)/",
            "the test set (110 scans), which the paper did not use. Give the folder training.",
        ),
        Foreign(r"/additional_annotations/", "annotations of further observers. Give the folder training."),
    )

    def identify(self, match: re.Match[str]) -> tuple[str, str, str]:
        """Subjects carry their site, which decides the scanner: Utrecht-0, GE3T-100, Singapore-50."""
        site = match["site"].removeprefix("Amsterdam/")
        return f"{site}-{int(match['subject'])}", "", site
