"""The model card of a slice-wise method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOT_HEALTHY = (
    "**The training data are not healthy people**: they are the slices without lesions, by the raters' truths, of"
    " patients. Near a lesion a slice without one may still be swollen, shifted or scarred."
)


def card(family: str, paper: str, config: Mapping[str, Any]) -> str:
    """The card, Markdown, from what config.json says."""
    training = config["training"]
    curve = "\n".join(
        f"| {step} | {value:.4f} |"
        for step, value in zip(training["curve"]["steps"], training["curve"]["values"], strict=True)
    )
    scans = "\n".join(
        f"| {_cell(scan['dataset'])} | {_cell(scan['subject'])} | {use} | {scan['sha256']} | {scan['voxels_sha256']} |"
        for use, part in (("training", "scans"), ("validation", "validation_scans"))
        for scan in training[part]
    )
    licences = "; ".join(training["licences"]) or "not stated by who trained it"
    healthy = NOT_HEALTHY if training["lesion_free_slices"] else "Given as healthy by who trained it; not checked."
    best = training["best"]
    chosen = (
        "No validation came about before the budget ended; the weights are the last ones."
        if best is None or best != best
        else f"The weights are those of the best validation value, {best:.4f}."
    )
    side, held_out = config["grid"]["size"], len(training["validation_scans"])
    return f"""# {family}

After {paper}.
It learned what axial FLAIR slices of {side} x {side} pixels look like and scores what it does not
expect. No lesion label was used in training.

**Intended use.** Research: a learned competitor in flairline's benchmark. Not a medical device, not for diagnosis. Do
not judge it on the patients listed below; `flairline benchmark` refuses to.

**Data.** {training["slices"]} slices of {len(training["scans"])} scans; {held_out} more scans to validate.
{healthy}
Licence of the data: {licences}.

**Training.** Preset {config["preset"]}, seed {config["seed"]}, {training["steps"]} steps in
{training["seconds"]:.0f} seconds. {chosen}
Reconstruction error on the held-out slices: {config["l1_healthy"]:.4f} a brain pixel (images are in [0, 1]).

| step | validation |
|---|---|
{curve}

**Scans** (sha256 of the FLAIR's file and of its voxels).

| data set | subject | use | file | voxels |
|---|---|---|---|---|
{scans}
"""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
