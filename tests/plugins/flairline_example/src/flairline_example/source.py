"""A source of scores: the truth itself, blurred, as a program of somebody else might give it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from flairline.benchmarking.source import PlainSource, Scored
from flairline.evaluation.protocols import Protocol
from flairline.types import Case


@dataclass(frozen=True)
class Oracle(PlainSource):
    """Knows the answer, and is as sure of it as `sigma` voxels of blur leave it."""

    sigma: float = 0.4

    @property
    def name(self) -> str:
        return "example_oracle"

    def inputs(self, case: Case) -> list[Path]:
        return [path for path in (case.flair, case.truth) if path]

    def make(self, case: Case, protocol: Protocol) -> Scored:
        labelled = protocol.prepare(self.labelled(case, protocol))
        score = ndimage.gaussian_filter(protocol.truth(labelled).astype(np.float32), self.sigma)
        return Scored(labelled, np.where(labelled.scan.brain.array, score, 0).astype(np.float32))
