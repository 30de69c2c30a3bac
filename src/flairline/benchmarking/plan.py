"""What a benchmark is to do, in one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from flairline.benchmarking.source import MapSource
from flairline.evaluation.protocols import Protocol
from flairline.types import Case


@dataclass(frozen=True)
class Plan:
    """Every source is judged on all cases by every protocol.

    Attributes
    ----------
    cases
        Each with its own `Case.key`; those without a truth are scored, not judged.
    sources
        Each with its own name.
    protocols
        The first is the one whose curves and pictures a page shows.
    out
        Folder for rows.csv, tables, figures, manifest.json; scores are kept in its folder work.
    jobs
        Processes to work in.
    seed
        Of the bootstrap.
    ablate
        Turn one field of each protocol after the other, too.
    keep_scores
        Leave OUT/work where it is when the pages are written, to judge the same scores again.
    incomplete
        Scans that were there in part and never became cases, with reasons: they count as failed.
    left_out
        Scans that a verdict excluded.
    errors
        Say where the Dice goes: OUT/errors with tables and pictures of the worst places.
    slices
        Score and judge so many axial slices of each scan, evenly spaced over its brain, for a method that takes minutes
        a volume; None: all.
    by
        Further columns of the cases (site, or of `Case.extra`) that figures are broken down by.
    """

    cases: Sequence[Case]
    sources: Sequence[MapSource]
    protocols: Sequence[Protocol]
    out: Path
    jobs: int = 1
    seed: int = 0
    ablate: bool = False
    keep_scores: bool = False
    incomplete: Mapping[str, str] = field(default_factory=dict)
    left_out: Sequence[str] = ()
    slices: int | None = None
    by: Sequence[str] = ()
    errors: bool = False

    @property
    def work(self) -> Path:
        """Where scores are kept."""
        return self.out / "work"

    @property
    def judged_by(self) -> tuple[Protocol, ...]:
        """The protocols, on the slices that were asked for."""
        if self.slices is None:
            return tuple(self.protocols)
        return tuple(replace(protocol, brain_slices=self.slices) for protocol in self.protocols)
