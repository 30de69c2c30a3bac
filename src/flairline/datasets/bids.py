"""Any BIDS folder with lesion masks: sub-X[/ses-Y]/anat/*_FLAIR.nii.gz, and masks beside them or under derivatives/.

A lesion mask is a file of the same subject and session that ends in `_mask` or `_dseg` and says lesion in one of its
entities (label-lesion, label-WMH, desc-lesion ...), or that ends in `_lesion`, `_roi` or `_lesion_mask`. A brain mask
has desc-brain or label-brain. FLAIR, T1 and T2 are the raw ones: those in derivatives/ and sourcedata/ do not count. Of
several FLAIRs or masks of one visit (acq-, run-, .nii beside .nii.gz) the first by name is taken, which is said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from flairline.cases.columns import participants_of
from flairline.cases.folder import FolderDataset, Pattern
from flairline.types import Case

_ENTITIES = r"sub-(?P<subject>[A-Za-z0-9]+)_(?:ses-(?P<session>[A-Za-z0-9]+)_)?"
_OTHERS = r"(?:(?!space-)[a-z]+-[A-Za-z0-9]+_)*"  # another space is another grid
_LESION = r"(?:label|desc)-[A-Za-z0-9]*(?i:lesion|wmh|wml|ms)[A-Za-z0-9]*_"
_END = r"\.nii(?:\.gz)?"
_NOT_RAW = ("derivatives", "sourcedata")


@dataclass(frozen=True)
class Dataset(FolderDataset):
    """A BIDS folder. Every label above zero is lesion."""

    name: ClassVar[str] = "bids"
    title: ClassVar[str] = "a BIDS folder with lesion masks"
    licence: ClassVar[str] = "its owners'"
    how_to_get: ClassVar[str] = "It is your own: see bids.neuroimaging.io for the layout."
    address: ClassVar[str] = "https://bids.neuroimaging.io"
    citation: ClassVar[str] = "Gorgolewski et al., Scientific Data 3, 2016, doi:10.1038/sdata.2016.44"
    known_labels: ClassVar[tuple[int, ...]] = ()
    lesion_labels: ClassVar[tuple[int, ...]] = ()
    layout: ClassVar[str] = (
        "sub-01/anat/sub-01_FLAIR.nii.gz with derivatives/*/sub-01/anat/sub-01_label-lesion_mask.nii.gz"
    )
    own_grids: ClassVar[bool] = True
    patterns: ClassVar[tuple[Pattern, ...]] = (
        Pattern("flair", f"anat/{_ENTITIES}{_OTHERS}FLAIR{_END}", not_under=_NOT_RAW),
        Pattern("t1", f"anat/{_ENTITIES}{_OTHERS}T1w{_END}", not_under=_NOT_RAW),
        Pattern("t2", f"anat/{_ENTITIES}{_OTHERS}T2w{_END}", not_under=_NOT_RAW),
        Pattern("brain", f"{_ENTITIES}{_OTHERS}(?:desc|label)-brain_{_OTHERS}mask{_END}"),
        Pattern("truth", f"{_ENTITIES}{_OTHERS}{_LESION}{_OTHERS}(?:mask|dseg){_END}"),
        Pattern("truth", f"{_ENTITIES}{_OTHERS}(?:FLAIR_)?(?:lesion|roi|lesion_mask){_END}"),
    )

    def cases(self) -> list[Case]:
        """Scans with a truth, each with the columns that participants.tsv has of its subject."""
        return self._with_participants(super().cases())

    def scans(self) -> list[Case]:
        """As `cases`, without regard to truths."""
        return self._with_participants(super().scans())

    def _with_participants(self, cases: Sequence[Case]) -> list[Case]:
        _, people = participants_of(self.path)
        return [
            replace(case, extra={**people.get(case.subject.removeprefix("sub-"), {}), **case.extra}) for case in cases
        ]

    def identify(self, match: re.Match[str]) -> tuple[str, str, str]:
        """Subject and session as in the file's name."""
        session = match["session"]
        return f"sub-{match['subject']}", f"ses-{session}" if session else "", ""
