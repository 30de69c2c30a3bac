"""Which scans of a cohort stand apart, in the figures that its page shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from flairline.preprocess.contrast import FIGURES
from flairline.report.pages import CohortScan

FENCE = 3.0
"""A value further than so many interquartile ranges from the nearer quartile is an outlier (Tukey's outer fence)."""
MIN_SCANS = 3
"""Fewer have no distribution."""
METRICS = {"dice": "Dice, usable threshold", "dice_at_oracle": "Dice, oracle threshold"}


def outliers_of(scans: Sequence[CohortScan]) -> list[tuple[CohortScan, str]]:
    """Every scan that is an outlier in some figure, with the figure's name."""
    found = []
    for name, values in figures_of(scans).items():
        if len(values) >= MIN_SCANS:
            out = outlying_by_group(values)
            found += [(scan, name) for (scan, _), is_out in zip(values, out, strict=True) if is_out]
    return found


def group_of(scan: CohortScan) -> tuple[str, str]:
    """Method and data set: scans of different ones are not compared."""
    return scan.method, scan.summary.dataset or ""


def outlying_by_group(known: Sequence[tuple[CohortScan, float]]) -> np.ndarray:
    """Which values (n,) are outliers among those of their own method and data set."""
    groups: dict[tuple[str, str], list[int]] = {}
    for place, (scan, _) in enumerate(known):
        groups.setdefault(group_of(scan), []).append(place)
    values, out = np.array([value for _, value in known]), np.zeros(len(known), dtype=bool)
    for places in groups.values():
        if len(places) >= MIN_SCANS:
            out[places] = outlying(values[places])
    return out


def outlying(values: np.ndarray) -> np.ndarray:
    """Which values (n,) lie outside Tukey's outer fences; none where all quartiles agree and nothing differs."""
    low, high = np.quantile(values, (0.25, 0.75))
    reach = FENCE * (high - low)
    # Quartiles that agree would make an outlier of every rounding error.
    slack = 1e-6 * max(abs(low), abs(high))
    return (values < low - reach - slack) | (values > high + reach + slack)


def _words(name: str) -> str:
    """A quality figure's name for people: its unit in brackets."""
    stem, _, unit = name.rpartition("_")
    return f"{stem.replace('_', ' ')} ({unit})" if unit in ("mm", "ml") and stem else name.replace("_", " ")


def figures_of(scans: Sequence[CohortScan]) -> dict[str, list[tuple[CohortScan, float]]]:
    """Name -> every scan with a finite value of that figure, and the value; what hangs on the method by method."""
    several = len({scan.method for scan in scans}) > 1
    found: dict[str, list[tuple[CohortScan, float]]] = {}
    seen: set[str] = set()
    for scan in scans:
        summary = scan.summary
        # One scan, however many methods.
        quality = {} if scan.key in seen or summary.qc is None else summary.qc.numbers
        if summary.brain_volume_ml is not None:
            quality.pop("brain_ml", None)
        for name in FIGURES:  # a contrast is judged by all of them together, and flagged then
            quality.pop(name, None)
        seen.add(scan.key)
        of = f", {scan.method}" if several and scan.method else ""
        figures: dict[str, Any] = {
            f"Volume (ml){of}": summary.lesion_volume_ml,
            f"Regions{of}": summary.n_lesions,
            f"Threshold{of}": summary.threshold.value if summary.threshold is not None else None,
            "Brain volume (ml)": summary.brain_volume_ml,
            **{words: scan.metrics[name] for name, words in METRICS.items() if name in scan.metrics},
            **{_words(name).capitalize(): value for name, value in quality.items()},
        }
        for name, value in figures.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool) and np.isfinite(value):
                found.setdefault(name, []).append((scan, float(value)))
    return found
