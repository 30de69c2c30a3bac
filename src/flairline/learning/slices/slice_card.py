"""The model card of a slice-wise method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flairline.learning.card import INTENDED_USE, data_section, scans_section


def card(family: str, paper: str, config: Mapping[str, Any]) -> str:
    """The card, Markdown, from what config.json says."""
    training, side = config["training"], config["grid"]["size"]
    curve = "\n".join(
        f"| {step} | {value:.4f} |"
        for step, value in zip(training["curve"]["steps"], training["curve"]["values"], strict=True)
    )
    best = training["best"]
    chosen = (
        "No validation came about before the budget ended; the weights are the last ones."
        if best is None or best != best
        else f"The weights are those of the best validation value, {best:.4f}."
    )
    return f"""# {family}

After {paper}.
It learned what axial FLAIR slices of {side} x {side} pixels look like and scores what it does not
expect. No lesion label was used in training.

{INTENDED_USE}

{data_section(training, f"{training['slices']} slices")}

**Training.** Preset {config["preset"]}, seed {config["seed"]}, {training["steps"]} steps in
{training["seconds"]:.0f} seconds. {chosen}
Reconstruction error on the held-out slices: {config["l1_healthy"]:.4f} a brain pixel (images are in [0, 1]).

| step | validation |
|---|---|
{curve}

{scans_section(training)}
"""
