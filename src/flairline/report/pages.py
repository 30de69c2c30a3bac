"""What a page is made from, as plain data. `build` turns these into HTML, the sections read them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from flairline.report.comparison import Comparison
from flairline.summary import Summary
from flairline.types import Mask, Scan, Space, Threshold, Volume

IDENTITY = ("subject", "dataset", "method", "recipe", "threshold", "inputs")
MOST_PICTURES = 2000
"""A cohort's page with more pictures than these is too large for a browser; then it has none, and says so."""
DISCLAIMER = "Research use only, not for diagnosis."


@dataclass(frozen=True)
class LabelMap:
    """Numbered regions (x, y, z) on an atlas's grid, 0 for none, and what the numbers mean."""

    array: NDArray[np.integer]
    space: Space
    names: Mapping[int, str]


@dataclass(frozen=True)
class ScanPage:
    """Everything the page of one scan shows.

    All images lie on the scan's own grid. `summary` is what summary.json holds; what it does not know is left out of
    the page. `atlas` is an atlas image resampled onto the scan's grid, for the flicker; `native_to_atlas` is the 4x4
    matrix from the scan's RAS mm to the atlas's, and `lobes` names what lies where on the atlas's own grid. `index` is
    the relative address of the cohort's page, if there is one; `viewer_characters` is how much of the page the viewer's
    volumes may take. `row` is the cohort's row that the page shares its verdict with, where a
    benchmark judged the scan; `image` says what the scan's image is where it is not a FLAIR.
    """

    scan: Scan
    score: Volume
    mask: Mask
    threshold: Threshold
    summary: Summary = field(default_factory=Summary)
    truth: Mask | None = None
    atlas: Volume | None = None
    lobes: LabelMap | None = None
    native_to_atlas: NDArray[np.float64] | None = None
    index: str | None = None
    viewer_characters: int = 2_400_000
    row: CohortScan | None = None
    image: str = "FLAIR"

    @property
    def subject(self) -> str:
        """Name of the subject, as text."""
        return self.summary.subject or self.scan.subject

    @property
    def key(self) -> str:
        """What a verdict is kept under in a file of verdicts."""
        return self.row.key if self.row is not None else self.subject

    @property
    def scan_id(self) -> str:
        """Sixteen hex digits that know this result: a browser keeps its verdict under them."""
        if self.row is not None:
            return self.row.scan_id
        return result_id(Summary(subject=self.subject) if self.summary == Summary() else self.summary)


@dataclass(frozen=True)
class CohortScan:
    """One row of a cohort's page.

    `href` is the relative address of the scan's own page, None where it has none; `metrics` are the figures against
    its truth by metric name; `verdict` is what a viewer said ("pass", "fail", "artefact" or "") at the time `at` (ISO
    8601, empty where nothing was said); `folder` is the scan's folder, which its verdict is kept under; `method` is
    named where one scan has a row for each of several methods, which then share its verdict; `columns` are what
    participants.tsv or the table of cases says of it beyond its files (age, sex, scanner).
    """

    summary: Summary
    href: str | None = None
    thumbnail: bytes | None = None
    site: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    verdict: str = ""
    note: str = ""
    at: str = ""
    error: str = ""
    folder: str = ""
    method: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """Name of the subject, as text."""
        return self.summary.subject or ""

    @property
    def key(self) -> str:
        """What a verdict is kept under in a file of verdicts."""
        return self.folder or self.subject

    @property
    def flags(self) -> list[str]:
        """Quality flags in words, a failure first."""
        raised = self.summary.qc.words if self.summary.qc is not None else []
        return [*([self.error] if self.error else []), *raised]

    @property
    def scan_id(self) -> str:
        """As `ScanPage.scan_id`."""
        return result_id(self.summary)


@dataclass(frozen=True)
class Curve:
    """Cohort curves of one method on one data set: four sequences of equal length, thresholds ascending."""

    method: str
    dataset: str
    thresholds: Sequence[float]
    precision: Sequence[float]
    recall: Sequence[float]
    dice: Sequence[float]
    usable: float | None = None
    """The threshold a user can have without labels, where it is one for all scans."""

    @property
    def name(self) -> str:
        """What a legend calls it."""
        return f"{self.method}, {self.dataset}"


@dataclass(frozen=True)
class Document:
    """A table that was written: caption, cells as text, notes; `kind` is one of `cohort_documents.TITLES`."""

    kind: str
    title: str
    columns: Sequence[str]
    lines: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class CohortPage:
    """Everything a cohort's page shows.

    `rows` are those of rows.csv (dataset, method, protocol, subject, metric, value, n, low, high), empty where there
    was no truth; `sizes` says of each scan with a truth: dataset, method, truth_ml, dice, href; `lesions_by_size` of
    each class of lesions: dataset, method, threshold ("oracle" or "usable"), low_ml, high_ml (None: open), lesions,
    hit, and their mean Dice. `published` are the
    paper's values (table, method, dataset, metric, value), `left_out` the scans that a verdict left out, `documents`
    the tables that the benchmark wrote: the paper's, and the ablation.
    """

    title: str
    scans: Sequence[CohortScan] = ()
    rows: Sequence[Mapping[str, Any]] = ()
    curves: Sequence[Curve] = ()
    sizes: Sequence[Mapping[str, Any]] = ()
    published: Sequence[Mapping[str, Any]] = ()
    manifest: Mapping[str, Any] = field(default_factory=dict)
    left_out: Sequence[str] = ()
    documents: Sequence[Document] = ()
    lesions_by_size: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class VisitImages:
    """One visit on the halfway grid: its FLAIR, its brain, and where lesions of each kind are (kind -> (x, y, z))."""

    flair: Volume
    brain: Mask
    lesions: Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class ComparisonPage:
    """Everything the page of two visits shows; both lie on one grid."""

    comparison: Comparison
    earlier: VisitImages
    later: VisitImages

    @property
    def title(self) -> str:
        """What the page is called."""
        return self.comparison.title

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What says how it was made."""
        found = self.comparison
        hashes = {"earlier FLAIR": found.earlier.flair_sha256, "later FLAIR": found.later.flair_sha256}
        inputs = {name: value for name, value in hashes.items() if value}
        about = {"recipe": found.recipe, "earlier threshold": found.earlier.threshold}
        return {
            "inputs": inputs,
            "versions": found.versions,
            "parameters": about | {"later threshold": found.later.threshold},
        }


@dataclass(frozen=True)
class Section:
    """One part of a page: where it stands (`order`, ascending), its heading and its HTML.

    `anchor` is its id in the page; an empty title makes a section without a heading.
    """

    order: int
    anchor: str
    title: str
    html: Markup
    wide: bool = True


Page = ScanPage | CohortPage | ComparisonPage
"""A section's `render(page: Page) -> Section | None` gives None where it has nothing to say about that page."""


def convention(space: Space) -> str:
    """Which side of a picture is which of the patient's; where no side is known, that."""
    if space.sides_known:
        return "Radiological convention: R is the patient's right, on the picture's left."
    return "The file's header says no orientation, so no side is named."


def result_id(summary: Summary) -> str:
    """Sixteen hex digits of a result: the same when it is made again the same way of the same files."""
    content = summary.to_json()
    known = {key: content.get(key) for key in IDENTITY}
    if summary.corrected is not None:
        known["corrected"] = content["corrected"]
    return hashlib.sha256(json.dumps(known, sort_keys=True, default=_as_json).encode()).hexdigest()[:16]


def _as_json(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else str(value)
