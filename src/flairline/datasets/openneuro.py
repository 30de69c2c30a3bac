"""Healthy people of OpenNeuro with FLAIR and T1: ds000221, ds003592, ds004215, ds004856.

Which of them lies in DIR is told by its dataset_description.json, else by the name of a folder. Only scans of people
below 45 years by participants.tsv are given (`Dataset(path, max_age=...)`): white matter brightens with age, and what a
method learns as healthy it does not find again. Nobody drew lesions, so there is nothing to judge by.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from flairline.cases.folder import Subject
from flairline.cases.participants import Age, BidsCohort, root_of, row_of
from flairline.errors import InputError
from flairline.types import Case


@dataclass(frozen=True)
class Known:
    """One data set of OpenNeuro.

    Attributes
    ----------
    people, ages
        What it has, for people to read.
    healthy
        What healthy means in it.
    age
        Columns of participants.tsv with the age; the first that is there counts.
    age_by_session
        Session -> column, where each visit has one of its own.
    """

    people: str
    ages: str
    healthy: str
    age: tuple[str, ...] = ("age",)
    age_by_session: tuple[tuple[str, str], ...] = ()


KNOWN = {
    "ds000221": Known(
        "MPI-Leipzig Mind-Brain-Body, 318 people",
        "20 to 77, in spans of five years",
        "volunteers without neurological or psychiatric disease by interview",
        ("age (5-year bins)", "age"),
    ),
    "ds003592": Known(
        "Neurocognitive aging, 301 people at two sites", "181 young, 120 old", "healthy by history and cognition"
    ),
    "ds004215": Known(
        "NIMH intramural healthy volunteers, 247 with a scan",
        "18 and older",
        "screened by physicians, laboratory and interview",
    ),
    "ds004856": Known(
        "Dallas Lifespan Brain Study, 393 people with FLAIR at up to 3 visits",
        "20 to 90",
        "healthy by history; the old have white matter hyperintensities",
        ("AgeMRI_W1",),
        (("wave1", "AgeMRI_W1"), ("wave2", "AgeMRI_W2"), ("wave3", "AgeMRI_W3")),
    ),
}


@dataclass(frozen=True)
class Dataset(BidsCohort):
    """Healthy people below `max_age`. Subjects bear the accession: ds000221-sub-010001."""

    name: ClassVar[str] = "openneuro"
    title: ClassVar[str] = f"healthy people of OpenNeuro ({', '.join(KNOWN)})"
    licence: ClassVar[str] = "CC0"
    how_to_get: ClassVar[str] = "Download one from OpenNeuro (openneuro-py, datalad), with participants.tsv."
    address: ClassVar[str] = "https://openneuro.org"
    citation: ClassVar[str] = (
        "ds000221: Babayan et al., Scientific Data 6, 2019; ds003592: Spreng et al., Scientific Data 9, 2022; ds004215:"
        " Nugent et al., Scientific Data 9, 2022; ds004856: openneuro.org/datasets/ds004856"
    )
    scans_note: ClassVar[str] = "healthy, below 45 years"
    layout: ClassVar[str] = "ds000221/sub-010001/ses-01/anat/sub-010001_ses-01_acq-highres_FLAIR.nii.gz"
    required: ClassVar[tuple[str, ...]] = ("flair",)

    def identify(self, match: re.Match[str]) -> tuple[str, str, str]:
        """Subjects carry their data set. Raises `InputError` if it is none of the known."""
        accession = accession_of(root_of(Path(match.string)))
        return f"{accession}-sub-{match['subject']}", match["session"] or "", accession

    def age(self, one: Subject) -> Age:
        """The age at the visit."""
        known, row = KNOWN[one.site], row_of(one)
        columns = [dict(known.age_by_session)[one.session]] if one.session in dict(known.age_by_session) else known.age
        return Age.of(next((row[column] for column in columns if row.get(column)), ""))

    def cases(self) -> list[Case]:
        """None: nobody drew lesions. Raises `InputError` that says so, or as `scans` does."""
        self.scans()
        msg = (
            f"Wanted scans with a truth in {self.path}, but nobody drew lesions on healthy people. Learn from them:"
            f" {self.use}"
        )
        raise InputError(msg)

    @property
    def use(self) -> str:
        """It is learned from."""
        return f"flairline fit METHOD --dataset {self.name}={self.path} -o MODEL"


def accession_of(root: Path) -> str:
    """Which data set of OpenNeuro lies in a BIDS folder. Raises `InputError` if it is none of the known."""
    try:
        words = json.loads((root / "dataset_description.json").read_text(encoding="utf-8"))
        named = [str(words.get("DatasetDOI", "")), *reversed(root.parts)]
    except (OSError, ValueError, AttributeError):
        named = list(reversed(root.parts))
    found = next((match[0] for text in named if (match := re.search(r"ds\d{6}", text))), "")
    if found not in KNOWN:
        msg = (
            f"Wanted one of {', '.join(KNOWN)} in {root}, found {found or 'none of these names'}. Name the folder after"
            " its accession; another BIDS folder is read by --dataset bids=DIR."
        )
        raise InputError(msg)
    return found
