"""From what `segment` found to the scan's page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flairline.imaging.points import carry_volume
from flairline.report.build import write_scan_page
from flairline.report.lobes import lobes_of
from flairline.report.pages import ScanPage
from flairline.segmentation import Found


def write_page(found: Found, folder: Path, index: str | None = None) -> None:
    """Write report.html of one scan into its folder; `index` leads to the cohort's page. Raises `OutputError`."""
    write_scan_page(folder, page_of(found, index))


def page_of(found: Found, index: str | None = None) -> ScanPage:
    """The page of what was found; with the atlas, where the scan was registered to one."""
    page = ScanPage(found.scan, found.score, found.mask, found.threshold, found.summary, found.truth, index=index)
    prepared = found.prepared
    if prepared is None or prepared.atlas is None or prepared.atlas_to_native is None:
        return page
    to_atlas = prepared.atlas_to_native.inverse()
    return replace(
        page,
        atlas=carry_volume(prepared.atlas.t1, found.scan.space, to_atlas),
        native_to_atlas=to_atlas.ras_to_ras,
        lobes=lobes_of(prepared.atlas),
    )
