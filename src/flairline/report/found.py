"""From what `segment` found to the scan's page."""

from __future__ import annotations

from pathlib import Path

from flairline.report.build import write_scan_page
from flairline.report.pages import ScanPage
from flairline.segment import Found


def write_page(found: Found, folder: Path) -> None:
    """Write report.html of one scan into its folder. Raises `OutputError`."""
    page = ScanPage(found.scan, found.score, found.mask, found.threshold, found.summary, found.truth)
    write_scan_page(folder, page)
