"""BraTS 2020, training set: pre-operative glioma MRI on the SRI24 grid, skull-stripped, tumours drawn by raters.

Files are MICCAI_BraTS2020_TrainingData/BraTS20_Training_001/BraTS20_Training_001_{flair,t1,seg}.nii[.gz]. The names of
BraTS 2021 (BraTS2021_00000_flair) and 2023 (BraTS-GLI-00000-000-t2f) are found too, but are other cohorts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flairline.cases.folder import FolderDataset, Foreign, Pattern, Subject

_SUBJECT = r"(?P<subject>BraTS20_Training_\d{3}|BraTS2021_\d{5}|BraTS-[A-Z]+-\d{5}-\d{3})"
_END = r"\.nii(?:\.gz)?"


@dataclass(frozen=True)
class Dataset(FolderDataset):
    """BraTS 2020 training set. Labels: 1 necrotic core, 2 oedema, 4 enhancing tumour (2023: 3); all are lesion."""

    name: ClassVar[str] = "brats2020"
    title: ClassVar[str] = "BraTS 2020 (training set)"
    published_as: ClassVar[str] = "BraTS"
    licence: ClassVar[str] = "after registration, for research; not to be passed on"
    how_to_get: ClassVar[str] = "Register with the CBICA Image Processing Portal and ask for BraTS 2020."
    address: ClassVar[str] = "https://www.med.upenn.edu/cbica/brats2020/registration.html"
    citation: ClassVar[str] = (
        "Menze et al., IEEE TMI 34(10), 2015, doi:10.1109/TMI.2014.2377694; Bakas et al., Scientific Data 4, 2017,"
        " doi:10.1038/sdata.2017.117; Bakas et al., arXiv:1811.02629"
    )
    n_published: ClassVar[int] = 371
    subjects: ClassVar[tuple[str, ...]] = tuple(f"BraTS20_Training_{number:03d}" for number in range(1, 370))
    scans_note: ClassVar[str] = "the paper counts 371 scans, the released training set has 369"
    known_labels: ClassVar[tuple[int, ...]] = (0, 1, 2, 4)
    lesion_labels: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)
    layout: ClassVar[str] = "MICCAI_BraTS2020_TrainingData/BraTS20_Training_001/BraTS20_Training_001_flair.nii.gz"
    patterns: ClassVar[tuple[Pattern, ...]] = (
        Pattern("flair", f"{_SUBJECT}(?:_flair|-t2f){_END}"),
        Pattern("t1", f"{_SUBJECT}(?:_t1|-t1n){_END}"),
        Pattern("t2", f"{_SUBJECT}(?:_t2|-t2w){_END}"),
        Pattern("truth", f"{_SUBJECT}[_-]seg{_END}"),
        # One truth was released under the name it had in the hospital.
        Pattern("truth", rf"(?P<subject>BraTS20_Training_355)/W39_1998\.09\.19_Segm{_END}"),
    )
    foreign: ClassVar[tuple[Foreign, ...]] = (
        Foreign(
            r"BraTS20_Validation_\d{3}",
            "the validation set, which has no truth. Give MICCAI_BraTS2020_TrainingData.",
        ),
        Foreign(
            r"(?i)(?:^|/)brats1[5-9]_\w+\.nii(?:\.gz)?$",
            "the release of another year (2017 to 2019), which is another cohort. Give MICCAI_BraTS2020_TrainingData.",
        ),
    )

    def labels_of(self, one: Subject) -> tuple[int, ...]:
        """The release of 2023 calls enhancing tumour 3 instead of 4."""
        return (0, 1, 2, 3) if one.subject.startswith("BraTS-") else self.known_labels
