"""Bonn's focal cortical dysplasias (OpenNeuro ds004199): 85 patients, their lesion drawn on the FLAIR, and 85 controls.

Files are sub-00001/anat/sub-00001_acq-{T2sel,tse3dvfl}_FLAIR[_roi].nii.gz and sub-00001_acq-iso08_T1w.nii.gz, with the
skull; participants.tsv says who is a control (group: hc) and who has a dysplasia (fcd). A dysplasia is hardly brighter
than the cortex that it lies in: a set that thresholding does not solve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flairline.cases.folder import Pattern, Subject
from flairline.cases.participants import DRAWN, IMAGES, NAN, Age, BidsCohort, row_of

AGE_STEP = 5
"""participants.tsv counts ages in steps of so many years: 4 is from 15 to 20."""


@dataclass(frozen=True)
class Dataset(BidsCohort):
    """Patients are judged, controls of any age are learned from. Every label above zero is lesion."""

    max_age: float = 120.0

    name: ClassVar[str] = "ds004199"
    title: ClassVar[str] = "focal cortical dysplasias and controls of Bonn (OpenNeuro ds004199)"
    licence: ClassVar[str] = "CC0"
    how_to_get: ClassVar[str] = "Download it from OpenNeuro (openneuro-py, datalad)."
    address: ClassVar[str] = "https://openneuro.org/datasets/ds004199"
    citation: ClassVar[str] = "Schuch et al., Scientific Data 10, 2023, article 475"
    scans_note: ClassVar[str] = "85 patients with a drawn lesion, 85 controls"
    known_labels: ClassVar[tuple[int, ...]] = ()
    lesion_labels: ClassVar[tuple[int, ...]] = ()
    layout: ClassVar[str] = "sub-00001/anat/sub-00001_acq-T2sel_FLAIR.nii.gz"
    patterns: ClassVar[tuple[Pattern, ...]] = (*IMAGES, DRAWN)

    def unfit(self, one: Subject) -> str:
        """A patient is not to be learned from, nor who has a drawn lesion or of whom nothing is known."""
        group = row_of(one).get("group", "")
        if group == "fcd" or "truth" in one.files:
            return "of patients"
        return super().unfit(one) if group == "hc" else "of unknown group"

    def age(self, one: Subject) -> Age:
        """The span of years."""
        step = Age.of(row_of(one).get("age_scan", "")).high
        return Age(AGE_STEP * (step - 1), AGE_STEP * step) if step == step else Age(NAN, NAN)

    def required_of(self, one: Subject) -> tuple[str, ...]:
        """A control has no truth."""
        return ("flair",) if row_of(one).get("group") == "hc" else self.required
