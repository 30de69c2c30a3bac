"""Pages from plain data: every section plug-in renders its part, in the order it asks for."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from markupsafe import Markup

from flairline import registry
from flairline.io.files import write_bytes, write_text
from flairline.report import templates
from flairline.report.figures import thumbnail
from flairline.report.pages import DISCLAIMER, CohortPage, Page, ScanPage, Section

SCAN_PAGE = "report.html"
COHORT_PAGE = "index.html"
THUMBNAIL = "thumbnail.webp"


def scan_page(page: ScanPage) -> str:
    """The page of one scan as one self-contained HTML text."""
    return _html(page, page.subject, "scan", page.index, [templates.static("page.js")])


def cohort_page(page: CohortPage) -> str:
    """The page of a cohort as one self-contained HTML text; it links to the scans' own pages."""
    return _html(page, page.title, "cohort", None, [templates.static("page.js"), templates.static("cohort.js")])


def write_scan_page(folder: Path, page: ScanPage) -> Path:
    """Write report.html and the thumbnail that the cohort's page shows into a scan's folder; returns the page's path.

    Raises
    ------
    OutputError
        The folder cannot be written to.
    """
    write_bytes(folder / THUMBNAIL, thumbnail(page.scan.flair, page.scan.brain, page.mask))
    write_text(folder / SCAN_PAGE, scan_page(page))
    return folder / SCAN_PAGE


def write_cohort_page(folder: Path, page: CohortPage) -> Path:
    """Write index.html into the folder of all scans; returns its path. Raises `OutputError`."""
    write_text(folder / COHORT_PAGE, cohort_page(page))
    return folder / COHORT_PAGE


def sections(page: Page) -> list[Section]:
    """What every section plug-in has to say about a page, in order."""
    found = []
    for name in registry.names("report.sections"):
        section = registry.load("report.sections", name)(page)
        if section is not None:
            found.append(section)
    return sorted(found, key=lambda section: (section.order, section.anchor))


def _html(page: Page, title: str, kind: str, index: str | None, scripts: Sequence[str]) -> str:
    parts = sections(page)
    return templates.render_text(
        templates.static("page.html"),
        title=title,
        kind=kind,
        index=index,
        sections=parts,
        scripts=[Markup(script) for script in scripts],
        style=Markup(templates.static("style.css")),
        policy=_policy(scripts),
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
