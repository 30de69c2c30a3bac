"""What the cards of all methods that learn from scans say alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOT_HEALTHY = (
    "**The training data are not healthy people**: they are the slices without lesions, by the raters' truths, of\n"
    "patients. Near a lesion a slice without one may still be swollen, shifted or scarred."
)

INTENDED_USE = (
    "**Intended use.** Research: a learned competitor in flairline's benchmark. Not a medical device, not for"
    " diagnosis. Do\nnot judge it on the patients listed below; `flairline benchmark` refuses to."
)


def data_section(training: Mapping[str, Any], what: str) -> str:
    """What was learned from, how healthy it is, and its licence; `what` counts it ("900 slices")."""
    licences = "; ".join(training["licences"]) or "not stated by who trained it"
    healthy = NOT_HEALTHY if training["lesion_free_slices"] else "Given as healthy by who trained it; not checked."
    trained, held_out = len(training["scans"]), len(training["validation_scans"])
    return f"""**Data.** {what} of {trained} scans; {held_out} more scans to validate.
{healthy}
Licence of the data: {licences}."""


def scans_section(training: Mapping[str, Any]) -> str:
    """Every scan that the model has seen, with what it is known again by."""
    scans = "\n".join(
        f"| {cell(scan['dataset'])} | {cell(scan['subject'])} | {use} | {scan['sha256']} | {scan['voxels_sha256']} |"
        for use, part in (("training", "scans"), ("validation", "validation_scans"))
        for scan in training[part]
    )
    return f"""**Scans** (sha256 of the FLAIR's file and of its voxels).

| data set | subject | use | file | voxels |
|---|---|---|---|---|
{scans}"""


def cell(text: str) -> str:
    """A text that cannot end a Markdown table's cell."""
    return text.replace("|", "\\|").replace("\n", " ")
