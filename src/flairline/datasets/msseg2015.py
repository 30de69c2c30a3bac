"""Longitudinal MS Lesion Segmentation Challenge (ISBI 2015), training set: 21 scans of 5 people, drawn by two raters.

Files are training/training01/{preprocessed,masks}/training01_01_{flair_pp,mprage_pp,mask1,mask2}.nii. The preprocessed
images are skull-stripped, bias-corrected and on one grid (MNI, 1 mm). The truth is rater 1, as in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from flairline.cases.folder import ByVersion, FolderDataset, Foreign, Pattern, Subject

_SCAN = r"(?P<subject>training\d{2})_(?P<session>\d{2})_"
_END = r"\.nii(?:\.gz)?"
VISITS = {"training01": 4, "training02": 4, "training03": 5, "training04": 4, "training05": 4}


@dataclass(frozen=True)
class Dataset(FolderDataset):
    """MSSEG2015. The 21 scans are of 5 people: a bootstrap draws people, not scans. The label 1 is lesion.

    Attributes
    ----------
    rater
        1 (the paper's) or 2.
    """

    rater: int = 1

    name: ClassVar[str] = "msseg2015"
    title: ClassVar[str] = "Longitudinal MS Lesion Segmentation Challenge 2015 (training set)"
    published_as: ClassVar[str] = "MSSEG2015"
    licence: ClassVar[str] = "after registration, for research; not to be passed on"
    how_to_get: ClassVar[str] = "Register with the challenge and download the training data."
    address: ClassVar[str] = "https://smart-stats-tools.org/lesion-challenge-2015"
    citation: ClassVar[str] = "Carass et al., NeuroImage 148, 2017, doi:10.1016/j.neuroimage.2016.12.064"
    n_published: ClassVar[int] = 21
    subjects: ClassVar[tuple[str, ...]] = tuple(
        f"{subject}_{visit:02d}" for subject, visits in VISITS.items() for visit in range(1, visits + 1)
    )
    scans_note: ClassVar[str] = "21 scans of 5 people"
    layout: ClassVar[str] = "training/training01/preprocessed/training01_01_flair_pp.nii"
    patterns: ClassVar[tuple[Pattern, ...]] = (
        Pattern("flair", f"{_SCAN}flair_pp{_END}"),
        Pattern("t1", f"{_SCAN}mprage_pp{_END}"),
        Pattern("t2", f"{_SCAN}t2_pp{_END}"),
        Pattern("mask1", f"{_SCAN}mask1{_END}"),
        Pattern("mask2", f"{_SCAN}mask2{_END}"),
    )
    foreign: ClassVar[tuple[Foreign, ...]] = (
        Foreign(r"test\d{2}_\d{2}_\w+\.nii", "the test set, which has no truth. Give the folder training."),
        Foreign(
            rf"training\d{{2}}_\d{{2}}_(?:flair|mprage|t2|pd){_END}$",
            "the original images, which are not on the masks' grid. Give the folder with `preprocessed` and `masks`.",
        ),
    )

    def _choose(self, subject: str, session: str, site: str, by_version: ByVersion) -> Subject:
        chosen = super()._choose(subject, session, site, by_version)
        truth = chosen.files.get(f"mask{self.rater}")
        return replace(chosen, files={**chosen.files, "truth": truth}) if truth else chosen
