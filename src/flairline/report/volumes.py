"""What `segment` found in each scan, as one table: OUT/volumes.tsv. docs/guide/volumes.md says what each column is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flairline.imaging.regions import REGIONS
from flairline.io.files import write_text
from flairline.io.tables import tsv_text
from flairline.report.segmented import read_details, segmented_scans
from flairline.summary import Summary

VOLUMES = "volumes.tsv"
COLUMNS = (
    "subject",
    "session",
    "status",
    "lesion_volume_ml",
    "n_lesions",
    *(f"{region.replace(' ', '_')}_ml" for region in REGIONS),
    "brain_volume_ml",
    "flags",
    "threshold",
    "threshold_rule",
    "recipe",
    "seconds",
    "version",
    "corrected",
    "failure",
)
FAILED, FLAGGED, DONE = "failed", "flagged", "done"


def write_volumes(out: Path) -> Path | None:
    """Write OUT/volumes.tsv, one line a scan, sorted by folder; None where there are not several scans.

    A scan that failed or was cut off has its reason in the column `failure`.

    Raises
    ------
    InputError
        What earlier runs kept in OUT/report.json cannot be read.
    OutputError
        The folder cannot be written to.
    """
    lines = {}
    for scan in segmented_scans(out, read_details(out), {}):
        failed = {"subject": scan.folder, "status": FAILED, "failure": scan.error.removeprefix("Failed: ")}
        lines[scan.folder] = failed if scan.error else _line(scan.folder, scan.summary)
    if len(lines) < 2:
        return None
    rows = ([_shown(lines[name].get(column)) for column in COLUMNS] for name in sorted(lines))
    write_text(out / VOLUMES, tsv_text(COLUMNS, rows))
    return out / VOLUMES


def _line(folder: str, summary: Summary) -> dict[str, Any]:
    """One scan's cells by column."""
    flags = summary.qc.words if summary.qc is not None else []
    cut = summary.threshold
    by_region = {f"{region.replace(' ', '_')}_ml": ml for region, ml in (summary.region_ml or {}).items()}
    return {
        **by_region,
        "subject": summary.subject or folder,
        "session": summary.session,
        "status": FLAGGED if flags else DONE,
        "lesion_volume_ml": summary.lesion_volume_ml,
        "n_lesions": summary.n_lesions,
        "brain_volume_ml": summary.brain_volume_ml,
        "flags": "; ".join(flags),
        "threshold": None if cut is None else cut.value,
        "threshold_rule": None if cut is None else cut.rule,
        "recipe": summary.recipe,
        "seconds": summary.seconds,
        "corrected": None if summary.corrected is None else summary.corrected.file,
        "version": (summary.versions or {}).get("flairline"),
    }


def _shown(value: Any) -> Any:
    """Six digits say all that a volume knows; a sum of floats has sixteen."""
    return f"{value:.6g}" if isinstance(value, float) else value
