"""From what `segment` found to the scan's page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flairline.report.build import write_scan_page
from flairline.report.pages import ScanPage
from flairline.segment import Found

FROM_ATLAS = ("atlas", "tissues", "lobes", "native_to_atlas")


def write_page(found: Found, folder: Path, index: str | None = None) -> None:
    """Write report.html of one scan into its folder; `index` leads to the cohort's page. Raises `OutputError`."""
    write_scan_page(folder, page_of(found, index))


def page_of(found: Found, index: str | None = None) -> ScanPage:
    """The page of what was found; what was carried over from an atlas is shown where it is there."""
    from_atlas: dict[str, Any] = {name: getattr(found, name, None) for name in FROM_ATLAS}
    return ScanPage(
        found.scan, found.score, found.mask, found.threshold, found.summary, found.truth, index=index, **from_atlas
    )
