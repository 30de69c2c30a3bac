"""Pages from plain data: every section plug-in renders its part, in the order it asks for."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from markupsafe import Markup

from flairline import registry
from flairline.drawing.mosaic import thumbnail
from flairline.io.files import write_bytes, write_text
from flairline.report import templates
from flairline.report.pages import DISCLAIMER, CohortPage, ComparisonPage, Page, ScanPage, Section

SCAN_PAGE = "report.html"
COHORT_PAGE = "index.html"
THUMBNAIL = "thumbnail.webp"
MAX_SCAN_PAGE_BYTES = 4_000_000
MIN_VIEWER_CHARACTERS = 400_000
FRAME_BYTES = 60_000
"""More than style sheet, page script and frame take together."""


def scan_page(page: ScanPage) -> str:
    """The page of one scan as one self-contained HTML text."""
    bundle = templates.viewer_bundle()
    rest = sections(page, without="viewer")
    known = sum(len(part.html.encode()) for part in rest) + (len(templates.packed_text(bundle)) if bundle else 0)
    page = replace(page, viewer_characters=max(MIN_VIEWER_CHARACTERS, MAX_SCAN_PAGE_BYTES - FRAME_BYTES - known))
    viewer = registry.load("report.sections", "viewer")(page)
    parts = sorted([*rest, *([viewer] if viewer else [])], key=_place)
    # The viewer's script lies gzipped in the page and is added by page.js, so the policy must know it as well.
    packed = [bundle] if bundle else []
    return _html(parts, page.subject, "scan", page.index, [templates.static("page.js")], packed)


def cohort_page(page: CohortPage) -> str:
    """The page of a cohort as one self-contained HTML text; it links to the scans' own pages."""
    return _html(
        sections(page), page.title, "cohort", None, [templates.static("page.js"), templates.static("cohort.js")]
    )


def write_scan_page(folder: Path, page: ScanPage) -> Path:
    """Write report.html and the thumbnail that the cohort's page shows into a scan's folder; returns the page's path.

    Raises
    ------
    OutputError
        The folder cannot be written to.
    """
    write_bytes(folder / THUMBNAIL, thumbnail(page.scan.flair, page.scan.brain, {"mask": page.mask.array}))
    write_text(folder / SCAN_PAGE, scan_page(page))
    return folder / SCAN_PAGE


def write_page(path: Path, page: ScanPage) -> None:
    """Write the page of one scan to a file, without a thumbnail. Raises `OutputError`."""
    write_text(path, scan_page(page))


def write_comparison_page(folder: Path, page: ComparisonPage) -> Path:
    """Write report.html of two visits into a folder; returns its path. Raises `OutputError`."""
    scripts = [templates.static("page.js")]
    write_text(folder / SCAN_PAGE, _html(sections(page), page.title, "comparison", None, scripts))
    return folder / SCAN_PAGE


def write_cohort_page(folder: Path, page: CohortPage) -> Path:
    """Write index.html into the folder of all scans; returns its path. Raises `OutputError`."""
    write_text(folder / COHORT_PAGE, cohort_page(page))
    return folder / COHORT_PAGE


def sections(page: Page, without: str = "") -> list[Section]:
    """What every section plug-in but one has to say about a page, in order."""
    names = [name for name in registry.names("report.sections") if name != without]
    found = [registry.load("report.sections", name)(page) for name in names]
    return sorted((section for section in found if section is not None), key=_place)


def _place(section: Section) -> tuple[int, str]:
    return section.order, section.anchor


def _html(
    parts: Sequence[Section],
    title: str,
    kind: str,
    index: str | None,
    scripts: Sequence[str],
    packed: Sequence[str] = (),
) -> str:
    return templates.render_text(
        templates.static("page.html"),
        title=title,
        kind=kind,
        index=index,
        sections=parts,
        scripts=[Markup(script) for script in scripts],
        style=Markup(templates.static("style.css")),
        policy=_policy([*scripts, *packed]),
        version=metadata.version("flairline"),
        disclaimer=DISCLAIMER,
    )


def _policy(scripts: Sequence[str]) -> str:
    """A content security policy: nothing from outside, and no script but these very texts."""
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; font-src data:;"
        " connect-src 'self' data: blob:; base-uri 'none'; form-action 'none'"
    )
