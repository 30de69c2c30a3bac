"""What the zoo keeps of each method: one JSON a method, from which tables and the figure are drawn."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from flairline.io.files import write_json

NAN = float("nan")
Convergence = Literal["yes", "no", "unknown", "-"]
LAST_FIFTH = 0.8
LEAST_IMPROVEMENT = 0.01


@dataclass(frozen=True)
class Score:
    """One number of a cohort, with its 95 % interval and how many scans it describes."""

    dataset: str
    protocol: str
    slices: str
    """"all", or of how many slices of each scan."""
    metric: str
    value: float
    low: float = NAN
    high: float = NAN
    n: int = 0


@dataclass(frozen=True)
class Learned:
    """One method's training and scores; what needs no training has no `family`.

    `convergence` is "yes" where the monitored value improved by less than 1 % in the last fifth of the training, "no"
    where by more, "unknown" where too little was monitored to say, "-" where nothing is trained step by step.
    """

    method: str
    family: str
    published_as: str
    trained_on: str
    preset: str = ""
    budget_minutes: float = NAN
    seconds: float = NAN
    steps: int = 0
    curve_steps: tuple[int, ...] = ()
    curve_values: tuple[float, ...] = ()
    convergence: Convergence = "-"
    l1_healthy: float = NAN
    seconds_a_volume: float = NAN
    scores: tuple[Score, ...] = ()
    failures: tuple[str, ...] = ()
    """Scans that could not be judged, with reasons."""
    commit: str = ""
    """Short hash of the code that was measured."""
    date: str = ""
    """Of the measurement, ISO."""

    def value(self, dataset: str, protocol: str, slices: str, metric: str) -> float:
        """A score; NaN where it was not measured."""
        wanted = (dataset, protocol, slices, metric)
        return next((s.value for s in self.scores if (s.dataset, s.protocol, s.slices, s.metric) == wanted), NAN)

    @property
    def slices(self) -> str:
        """What it is judged on first: all slices, unless it takes minutes a volume."""
        return self.scores[0].slices if self.scores else "all"


def convergence(steps: Sequence[int], values: Sequence[float]) -> Convergence:
    """Whether the best monitored value (lower is better) improved by less than 1 % in the last fifth of the steps."""
    if not steps:
        return "-"
    known = [(step, value) for step, value in zip(steps, values, strict=True) if math.isfinite(value)]
    before = [value for step, value in known if step <= LAST_FIFTH * steps[-1]]
    late = [value for step, value in known if step > LAST_FIFTH * steps[-1]]
    if not before or not late or min(before) == 0:
        return "unknown"
    return "yes" if (min(before) - min(late)) / abs(min(before)) < LEAST_IMPROVEMENT else "no"


def write_result(path: Path, result: Learned) -> None:
    """Write one method's JSON, whole or not at all."""
    write_json(path, asdict(result))


def read_results(folder: Path) -> list[Learned]:
    """All methods' results in a folder, by name."""
    return [_read(path) for path in sorted(folder.glob("*.json"))]


def _read(path: Path) -> Learned:
    words = {name: NAN if value is None else value for name, value in json.loads(path.read_text("utf-8")).items()}
    scores = tuple(
        Score(**{name: NAN if value is None else value for name, value in score.items()}) for score in words["scores"]
    )
    curve = tuple(NAN if value is None else value for value in words["curve_values"])
    lists = {"curve_steps": tuple(words["curve_steps"]), "failures": tuple(words["failures"])}
    return Learned(**{**words, **lists, "scores": scores, "curve_values": curve})
