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
from flairline.io.files import write_bytes, write_text
from flairline.report import templates
from flairline.report.figures import thumbnail
from flairline.report.pages import DISCLAIMER, CohortPage, Page, ScanPage, Section

SCAN_PAGE = "report.html"
COHORT_PAGE = "index.html"
THUMBNAIL = "thumbnail.webp"
MAX_SCAN_PAGE_BYTES = 4_000_000
MIN_VIEWER_CHARACTERS = 400_000


def scan_page(page: ScanPage) -> str:
    """The page of one scan as one self-contained HTML text."""
    html = _scan_html(page)
    while len(html.encode()) > MAX_SCAN_PAGE_BYTES and page.viewer_characters > MIN_VIEWER_CHARACTERS:
        over = len(html.encode()) - MAX_SCAN_PAGE_BYTES
        page = replace(page, viewer_characters=max(MIN_VIEWER_CHARACTERS, page.viewer_characters - over))
        html = _scan_html(page)
    return html


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
    write_bytes(folder / THUMBNAIL, thumbnail(page.scan.flair, page.scan.brain, {"mask": page.mask.array}))
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


def _scan_html(page: ScanPage) -> str:
    bundle = templates.viewer_bundle()
    # The viewer's script lies gzipped in the page and is added by page.js, so the policy must know it as well.
    return _html(page, page.subject, "scan", page.index, [templates.static("page.js")], [bundle] if bundle else [])


def _html(
    page: Page, title: str, kind: str, index: str | None, scripts: Sequence[str], packed: Sequence[str] = ()
) -> str:
    parts = sections(page)
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
