"""Model cards: what a model is, was made of, and must not be used for. One template for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOT_HEALTHY = (
    "**The training data are not healthy people**: they are the slices without lesions, by the raters' truths, of\n"
    "patients. Near a lesion a slice without one may still be swollen, shifted or scarred."
)

COMPETITOR = (
    "Research: a learned competitor in flairline's benchmark. Not a medical device, not for diagnosis. Do\n"
    "not judge it on the patients listed below; `flairline benchmark` refuses to."
)
"""What a model that learned from scans is meant for."""


@dataclass(frozen=True)
class Table:
    """A table of a card, its rows as lines of Markdown (`row`)."""

    title: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]


@dataclass(frozen=True)
class Card:
    """What a model card says, Markdown.

    Attributes
    ----------
    curve
        Rows of the table of validations; None: the card has no such table.
    further
        Sections between training and sources, whole, with their headings.
    sources
        What the model has seen, and what that is known again by.
    """

    method: str
    about: str
    intended_use: str
    data: str
    training: str
    sources: Table
    curve: tuple[str, ...] | None = None
    further: tuple[str, ...] = ()

    def render(self) -> str:
        """The card as text."""
        import jinja2

        loader = jinja2.FileSystemLoader(Path(__file__).parent)
        # Markdown and no page: nothing is escaped but what would end a table's cell (`cell`).
        environment = jinja2.Environment(
            loader=loader, trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
        )
        return environment.get_template("card.md.j2").render(card=self)


def row(*cells: object) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(cell(str(text)) for text in cells) + " |"


def curve_rows(steps: Sequence[int], values: Sequence[float]) -> tuple[str, ...]:
    """Rows of the table of validations."""
    return tuple(row(step, f"{value:.4f}") for step, value in zip(steps, values, strict=True))


def data_section(training: Mapping[str, Any], what: str) -> str:
    """What was learned from, how healthy it is, and its licence; `what` counts it ("900 slices")."""
    licences = "; ".join(training["licences"]) or "not stated by who trained it"
    healthy = NOT_HEALTHY if training["lesion_free_slices"] else "Given as healthy by who trained it; not checked."
    trained, held_out = len(training["scans"]), len(training["validation_scans"])
    return f"""{what} of {trained} scans; {held_out} more scans to validate.
{healthy}
Licence of the data: {licences}."""


def scans_table(training: Mapping[str, Any]) -> Table:
    """Every scan that the model has seen, with what it is known again by."""
    rows = (
        row(scan["dataset"], scan["subject"], use, scan["sha256"], scan["voxels_sha256"])
        for use, part in (("training", "scans"), ("validation", "validation_scans"))
        for scan in training[part]
    )
    columns = ("data set", "subject", "use", "file", "voxels")
    return Table("Scans", "sha256 of the FLAIR's file and of its voxels", columns, tuple(rows))


def lines(texts: Iterable[str]) -> str:
    """Texts as lines; what is empty is left out."""
    return "\n".join(text for text in texts if text)


def cell(text: str) -> str:
    """A text that cannot end a Markdown table's cell."""
    return text.replace("|", "\\|").replace("\n", " ")
