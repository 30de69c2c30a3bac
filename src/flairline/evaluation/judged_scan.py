"""What evaluation needs of one scan: its scores, its truth and its brain, without the background's zeros."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flairline.types import BoolArray, FloatArray


@dataclass(frozen=True)
class JudgedScan:
    """What evaluation needs of one scan: its explicit voxels, and how many implicit zeros there are besides.

    Explicit are the brain and every voxel whose score is not zero. The rest of the evaluated box has the score zero
    and is only counted; where a protocol looks at the brain alone, there is no rest.

    Attributes
    ----------
    shape
        Of the evaluated box.
    places
        Flat indices (C order) of the explicit voxels.
    score, truth, brain
        Of the explicit voxels.
    n_rest
        Number of the implicit zeros.
    rest_true_places
        Flat indices of the lesion voxels among the implicit zeros.
    """

    shape: tuple[int, int, int]
    places: NDArray[np.int64]
    score: FloatArray
    truth: BoolArray
    brain: BoolArray
    n_rest: int
    rest_true_places: NDArray[np.int64]

    @classmethod
    def from_arrays(cls, score: FloatArray, truth: BoolArray, brain: BoolArray, brain_only: bool) -> JudgedScan:
        """From whole arrays (x, y, z). With `brain_only`, nothing outside the brain exists, lesions included.

        Raises
        ------
        ValueError
            A score is NaN or infinite: whoever made it broke the contract.
        """
        explicit = brain if brain_only else brain | (score != 0)
        places = np.flatnonzero(explicit)
        values = score.ravel()[places].astype(np.float32)
        if not np.isfinite(values).all():
            msg = "scores must be finite, found NaN or infinity"
            raise ValueError(msg)
        x, y, z = score.shape
        n_rest = 0 if brain_only else score.size - places.size
        rest_true_places = np.flatnonzero(truth & ~explicit & (not brain_only))
        return cls((x, y, z), places, values, truth.ravel()[places], brain.ravel()[places], n_rest, rest_true_places)

    @property
    def rest(self) -> NDArray[np.int64]:
        """Lesion and other voxels among the implicit zeros."""
        return np.array([self.rest_true_places.size, self.n_rest - self.rest_true_places.size])

    @property
    def fills_its_box(self) -> bool:
        """Whether every voxel of the box is evaluated."""
        return self.places.size + self.n_rest == int(np.prod(self.shape))

    @property
    def extremes(self) -> tuple[float, float]:
        """Lowest and highest score, implicit zeros included."""
        values = [0.0] if self.n_rest else []
        if self.score.size:
            values += [float(self.score.min()), float(self.score.max())]
        return min(values), max(values)

    def dense(self, values: NDArray) -> NDArray:
        """An array (x, y, z) with `values` at the explicit voxels and zero elsewhere."""
        array = np.zeros(self.shape, values.dtype)
        array.ravel()[self.places] = values
        return array
