"""What two visits of one patient differ in, as ``comparison.json`` says it, and the page shows.

Volumes are in ml, lengths and places in mm, in the halfway space unless said otherwise. What is not known is NaN (null
in the file).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flairline.io.files import write_json
from flairline.summary import INTENDED_USE, plain

COMPARISON = "comparison.json"


@dataclass(frozen=True)
class VisitFacts:
    """One of the two visits, as its own summary has it.

    `flair_sha256` is that of the file that was segmented, empty where it came from memory.
    """

    name: str
    lesion_volume_ml: float
    n_lesions: int
    brain_volume_ml: float
    voxel_mm: tuple[float, float, float]
    threshold: float
    flair_sha256: str = ""


@dataclass(frozen=True)
class KindSum:
    """All lesions of one kind: how many, and their volume at each visit."""

    lesions: int
    earlier_ml: float
    later_ml: float

    @property
    def change_ml(self) -> float:
        """Later less earlier."""
        return self.later_ml - self.earlier_ml


@dataclass(frozen=True)
class LesionChange:
    """What became of one lesion.

    Attributes
    ----------
    kind
        One of `imaging.changes.KINDS`.
    smallest_change_ml
        A smaller change is noise as far as anybody knows, and the lesion is then called stable.
    earlier_lesions, later_lesions
        Its numbers in the visits' own tables: several where it fell apart or grew together.
    side, region
        As in those tables; the region is that of the visit at which it is larger.
    centre_mm, earlier_centre_mm, later_centre_mm
        Its centroid in the halfway space, and the same point in the visits' own scanner coordinates.
    """

    id: int
    kind: str
    earlier_ml: float
    later_ml: float
    smallest_change_ml: float
    earlier_lesions: tuple[int, ...]
    later_lesions: tuple[int, ...]
    side: str
    region: str
    centre_mm: tuple[float, float, float]
    earlier_centre_mm: tuple[float, float, float]
    later_centre_mm: tuple[float, float, float]

    @property
    def change_ml(self) -> float:
        """Later less earlier."""
        return self.later_ml - self.earlier_ml


@dataclass(frozen=True)
class Registered:
    """How the two heads lay to each other: turned and shifted by so much, and how well their brains overlap now."""

    turned_degrees: float
    shifted_mm: float
    brain_dice: float


@dataclass(frozen=True)
class Comparison:
    """Everything that is known of a pair of visits, in the order of the file.

    Attributes
    ----------
    change_ml
        Volume of all that was marked, later less earlier, on the visits' own grids.
    smallest_change_ml
        The smallest change of that volume that the recipe's own stability lets one believe.
    verdict
        "larger", "smaller" or "unchanged"; "unknown" where the stability is.
    kinds
        Kind -> its lesions.
    stability
        Where the smallest changes come from, for people.
    note
        What a reader must know of the volumes, empty if nothing.
    """

    recipe: str
    earlier: VisitFacts
    later: VisitFacts
    change_ml: float
    smallest_change_ml: float
    verdict: str
    kinds: Mapping[str, KindSum]
    lesions: tuple[LesionChange, ...]
    registration: Registered
    stability: str
    note: str = ""
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    intended_use: str = INTENDED_USE

    @property
    def title(self) -> str:
        """Which visits."""
        return f"{self.earlier.name} and {self.later.name}"

    def write(self, path: Path) -> None:
        """Write the file whole or not at all; NaN becomes null. Raises `OutputError`."""
        content = plain(self)
        for lesion, row in zip(self.lesions, content["lesions"], strict=True):
            row["change_ml"] = lesion.change_ml
        write_json(path, content)


def verdict_of(change_ml: float, smallest_ml: float) -> str:
    """What may be said of all lesions together."""
    if smallest_ml != smallest_ml:
        return "unknown"
    if change_ml == 0 or abs(change_ml) < smallest_ml:
        return "unchanged"
    return "larger" if change_ml > 0 else "smaller"
