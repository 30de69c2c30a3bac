"""Where the Dice goes, of every source and data set: each scan's figures and pieces.

`evaluation.errors` says what they mean; `error_tables` and `error_pictures` write them. They are of the source's own
mask, or, where it has none, of the mask at the cohort's oracle threshold; `CohortErrors.mask` says which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from flairline import executor
from flairline.benchmarking.judge import Result
from flairline.benchmarking.source import MapSource
from flairline.benchmarking.store import LoadedScore, StoredScore
from flairline.evaluation.errors import FIGURES, Differences, Piece, dice_at_own_best, figures, pieces_of
from flairline.evaluation.protocols import Protocol
from flairline.imaging.measure import Naming
from flairline.io.logs import with_log
from flairline.preprocess.whereabouts import whereabouts
from flairline.types import BoolArray, Case, Mask, Progress, Scan, Volume, no_progress

OWN, ORACLE = "its own", "at the cohort's oracle threshold"
NAN = float("nan")


@dataclass(frozen=True, eq=False)
class ScanErrors:
    """The figures and pieces of one scan, and why its regions are not known."""

    case: Case
    figures: Mapping[str, float]
    pieces: tuple[Piece, ...]
    note: str = ""


@dataclass(frozen=True, eq=False)
class CohortErrors:
    """The scans of one source, data set and protocol; `mask` is `OWN` or `ORACLE`."""

    dataset: str
    source: MapSource
    protocol: Protocol
    mask: str
    scans: tuple[ScanErrors, ...]
    failures: Mapping[str, str] = field(default_factory=dict)

    @property
    def start(self) -> tuple[str, str, str]:
        """The first columns of its rows."""
        return self.dataset, self.source.name, self.protocol.name

    def mean(self, name: str) -> float:
        """A figure's mean over the scans where it is defined; NaN where it is for none."""
        values = [scan.figures[name] for scan in self.scans if not np.isnan(scan.figures[name])]
        return float(np.mean(values)) if values else NAN


def look(
    results: Sequence[Result],
    sources: Sequence[MapSource],
    out: Path,
    jobs: int = 1,
    progress: Progress = no_progress,
) -> list[CohortErrors]:
    """Take apart every stored score that has a truth and a mask.

    Parameters
    ----------
    results
        Of `judge.judge`, while their scores are still stored.
    out
        Folder for the logs of scans that fail.
    """
    by_name = {source.name: source for source in sources}
    found = []
    for result in results:
        for (dataset, name), stored in result.stored.items():
            judged = [scan for scan in stored if scan.has_truth]
            if not judged:
                continue
            source, protocol = by_name[name], result.protocol
            oracle = None
            if judged[0].load().mask is None:
                oracle = result.counts[dataset, name].oracle().threshold
            examine = partial(examined, source=source, protocol=protocol, oracle=oracle)
            scans, failures = [], {}
            for done, outcome in enumerate(executor.run(examine, judged, jobs), 1):
                progress(f"{name}, {protocol.name}: errors of {dataset}", done, len(judged))
                key = outcome.item.case.key
                if outcome.result is None:
                    failures[key] = with_log(outcome, out, key).error or ""
                else:
                    scans.append(outcome.result)
            places = {scan.case.key: place for place, scan in enumerate(judged)}
            scans.sort(key=lambda scan: places[scan.case.key])
            mask = OWN if oracle is None else ORACLE
            found.append(CohortErrors(dataset, source, protocol, mask, tuple(scans), failures))
    return found


def examined(stored: StoredScore, source: MapSource, protocol: Protocol, oracle: float | None) -> ScanErrors:
    """One scan taken apart; at the `oracle` threshold where the source has no mask. Raises `FlairlineError`."""
    loaded = stored.load()
    mask, truth = judged_masks(loaded, protocol, oracle)
    naming, note = _naming(loaded, source, protocol, stored)
    differences = Differences.of(mask, truth, stored.spacing_mm)
    found = figures(mask, truth, differences, float(np.prod(stored.spacing_mm)) / 1000.0)
    components = source.about.components or protocol.components_at(stored.spacing_mm)
    found["dice_at_own_best"] = dice_at_own_best(loaded.scan, components)
    pieces = pieces_of(mask, truth, differences, stored.spacing_mm, naming)
    return ScanErrors(stored.case, {name: found[name] for name in FIGURES}, tuple(pieces), note)


def judged_masks(loaded: LoadedScore, protocol: Protocol, oracle: float | None) -> tuple[BoolArray, BoolArray]:
    """Mask and truth (x, y, z) as they are judged; the mask at the `oracle` threshold where the source has none."""
    mask = loaded.mask if loaded.mask is not None else loaded.mask_at(protocol, NAN if oracle is None else oracle)
    if not protocol.brain_only:
        return mask, loaded.truth
    return mask & loaded.brain, loaded.truth & loaded.brain


def whole_scan(stored: StoredScore, brain: BoolArray, source: MapSource, protocol: Protocol) -> Scan | None:
    """The FLAIR with the brain as it was judged, in all slices; None where it is not known on the score's grid."""
    picture = source.picture(stored.case, protocol)
    if picture.flair is None:
        return None
    whole = all_slices(brain, picture.space.shape, protocol)
    return Scan.of(stored.case.label, Volume(picture.flair, picture.space), Mask(whole, picture.space))


def all_slices(judged: BoolArray, shape: tuple[int, int, int], protocol: Protocol) -> BoolArray:
    """The judged slices (x, y, z) in a volume of all slices."""
    whole = np.zeros(shape, np.bool_)
    protocol.cut(whole)[...] = judged
    return whole


def _naming(
    loaded: LoadedScore, source: MapSource, protocol: Protocol, stored: StoredScore
) -> tuple[Naming | None, str]:
    """What names a component's region, or None and why there is nothing."""
    if protocol.slices is not None or protocol.brain_slices is not None:
        return None, f"the protocol {protocol.name} judges a part of the slices"
    scan = whole_scan(stored, loaded.brain, source, protocol)
    if scan is None:
        return None, "its FLAIR is not known on the grid of its score"
    place = whereabouts(scan)
    return place.naming(scan), " ".join(place.notes)
