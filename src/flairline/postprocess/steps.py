"""What may happen to a score before the threshold. A step maps (scan, score) to a score on the same grid."""

from __future__ import annotations

from typing import Protocol

from flairline.types import Scan, Volume


class Step(Protocol):
    """One step, a frozen dataclass."""

    def __call__(self, scan: Scan, score: Volume) -> Volume:
        """The changed score: same grid, zero outside the brain."""
