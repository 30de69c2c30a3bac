"""Scores of a function that somebody has at hand, in a notebook or a script."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flairline.benchmarking.source import PlainSource, Scored
from flairline.evaluation.protocols import Protocol
from flairline.types import Case, Scorer


@dataclass(frozen=True)
class ScorerSource(PlainSource):
    """What a scorer says of each scan.

    Attributes
    ----------
    name
        What to call it in the column `method`.
    scorer
        From a `Scan` to a `Volume` on its grid: higher is more abnormal, zero outside the brain. With several processes
        it must be something that pickle takes: a module's function.
    identity
        Different for each object: what a function computes cannot be told, so no kept score is taken again.
    """

    name: str
    scorer: Scorer
    identity: str = field(default_factory=lambda: uuid.uuid4().hex)

    def inputs(self, case: Case) -> list[Path]:
        """The case's images and truth."""
        return [path for path in (case.flair, case.t1, case.t2, case.brain, case.truth) if path]

    def describe(self) -> Mapping[str, Any]:
        """Nothing is known of the function but that it is this one."""
        return {"scorer": self.identity}

    def make(self, case: Case, protocol: Protocol) -> Scored:
        """Scan as the protocol wants it, and its score."""
        labelled = protocol.prepare(self.labelled(case, protocol))
        return Scored(labelled, self.scorer(labelled.scan).array)
