"""Data sets in BIDS whose participants.tsv says who is healthy, and how old.

What is learned from must be healthy, and with age white matter brightens in most people: whoever is older than a limit
is left out, and it is said how many.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from flairline.cases.folder import FolderDataset, Pattern, Subject
from flairline.errors import InputError
from flairline.types import Case

NAN = float("nan")
_SCAN = (
    r"sub-(?P<subject>[A-Za-z0-9]+)/(?:ses-(?P<session>[A-Za-z0-9]+)/)?anat/"
    r"sub-[A-Za-z0-9]+_(?:ses-[A-Za-z0-9]+_)?(?:(?!space-)[a-z]+-[A-Za-z0-9]+_)*"
)
_END = r"\.nii(?:\.gz)?"
_NOT_RAW = ("derivatives", "sourcedata")
IMAGES = (
    Pattern("flair", f"{_SCAN}FLAIR{_END}", not_under=_NOT_RAW),
    Pattern("t1", f"{_SCAN}T1w{_END}", not_under=_NOT_RAW),
    Pattern("t2", f"{_SCAN}T2w{_END}", not_under=_NOT_RAW),
)
"""Raw images of any BIDS folder; of several of one kind the first by name is taken."""
DRAWN = Pattern("truth", f"{_SCAN}FLAIR_roi{_END}", not_under=_NOT_RAW)
"""A lesion that was drawn on the FLAIR beside it."""


@dataclass(frozen=True)
class Age:
    """An age in years, or the years that it lies between; NaN where nobody says."""

    low: float
    high: float

    def below(self, limit: float) -> bool:
        """Whether who has it is surely younger than `limit`; a span "40-45" ends where the next one begins."""
        return self.high <= limit if self.high > self.low else self.high < limit

    @property
    def words(self) -> str:
        """As `of` reads it; empty where nobody says."""
        if self.high != self.high:
            return ""
        return f"{self.low:g}" if self.low == self.high else f"{self.low:g}-{self.high:g}"

    @classmethod
    def of(cls, text: str) -> Age:
        """Of "25", "25.5" or "20-25"; anything else is unknown."""
        numbers = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:-\s*(\d+(?:\.\d+)?))?\s*", text)
        if numbers is None:
            return cls(NAN, NAN)
        return cls(float(numbers[1]), float(numbers[2] or numbers[1]))


@dataclass(frozen=True)
class BidsCohort(FolderDataset):
    """Base of the data sets whose participants.tsv says who is healthy. `max_age` is the limit in years."""

    max_age: float = 45.0

    patterns: ClassVar[tuple[Pattern, ...]] = IMAGES
    own_grids: ClassVar[bool] = True
    wanted: ClassVar[tuple[str, ...]] = ("flair", "t1")

    def unfit(self, one: Subject) -> str:
        """Why a scan is not to be learned from; empty if it is."""
        age = self.age(one)
        if age.high != age.high:
            return "of unknown age"
        return "" if age.below(self.max_age) else f"of {self.max_age:g} years or more"

    def age(self, one: Subject) -> Age:
        """The age at the scan."""
        return Age.of(row_of(one).get("age", ""))

    def healthy(self) -> list[Case]:
        """Scans of healthy people below the limit of age."""
        return [self._case(one) for one in self.find().complete(("flair",)) if not self.unfit(one)]

    def scans(self) -> list[Case]:
        """What may be learned from: `healthy`.

        Raises
        ------
        InputError
            DIR is no folder, or nobody in it is healthy and young enough.
        """
        found = self.find()
        there = found.complete(("flair",))
        if not there:
            raise InputError(self.nothing_found(found))
        chosen = self.healthy()
        if not chosen:
            msg = f"Wanted healthy people in {self.path}, but all are left out: {self._left_out_in_words(there)}."
            raise InputError(f"{msg} Give a folder with its participants.tsv.")
        return chosen

    def several(self) -> list[str]:
        """What comes twice, and how many are left out of what is learned from, a line each."""
        words = self._left_out_in_words(self.find().complete(("flair",)))
        return [*super().several(), *([f"{self.name}, healthy people: {words}."] if words else [])]

    def _left_out_in_words(self, there: list[Subject]) -> str:
        reasons = Counter(reason for one in there if (reason := self.unfit(one)))
        words = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
        return f"{reasons.total()} of {len(there)} scans left out ({words})" if reasons else ""

    def _case(self, one: Subject) -> Case:
        case, row = super()._case(one), row_of(one)
        known = {name: row[name] for name in ("sex", "group") if row.get(name)}
        return replace(case, extra={**case.extra, "age": self.age(one).words, **known})


def row_of(scan: Subject) -> Mapping[str, str]:
    """A scan's line of participants.tsv; empty where there is none."""
    image = next(iter(scan.files.values()))
    person = next(part for part in reversed(image.parts[:-1]) if part.startswith("sub-"))
    return participants(root_of(image)).get(person, {})


def root_of(image: Path) -> Path:
    """The BIDS folder of an image: above the subject's."""
    return next(above.parent for above in image.parents if above.name.startswith("sub-"))


@lru_cache(maxsize=16)
def participants(root: Path) -> Mapping[str, Mapping[str, str]]:
    """Lines of a BIDS folder's participants.tsv by participant; none where there is no such file.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    path = root / "participants.tsv"
    if not path.exists():
        return {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except (OSError, ValueError, csv.Error) as error:
        msg = f"Wanted a table of participants in {path}, but: {error}. Download it again."
        raise InputError(msg) from error
    return {row.get("participant_id", ""): {key: value or "" for key, value in row.items() if key} for row in rows}
