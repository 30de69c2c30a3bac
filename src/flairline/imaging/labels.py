"""What a data set's label values mean: which are lesion, which are to be ignored, which it has at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flairline.errors import InputError
from flairline.io.masks import finite, has_fractions, marked, share_unit
from flairline.types import BoolArray, Case


@dataclass(frozen=True)
class LabelRule:
    """What a data set says of its labels and grids.

    Attributes
    ----------
    lesion
        Labels that are lesion; empty: every one above zero.
    ignored
        Labels of voxels that count neither as lesion nor as healthy.
    known
        All labels that the data set has; empty: any.
    one_grid
        Whether all images of a scan are distributed on one grid, so that another one is a mistake.
    """

    lesion: tuple[int, ...] = ()
    ignored: tuple[int, ...] = ()
    known: tuple[int, ...] = ()
    one_grid: bool = False

    @classmethod
    def of(cls, case: Case) -> LabelRule:
        """The rule of a case: columns `lesion_labels`, `ignored_labels`, `known_labels` (numbers) and `one_grid`.

        Raises
        ------
        InputError
            A column holds something else than whole numbers.
        """
        columns = ("lesion_labels", "ignored_labels", "known_labels")
        try:
            lesion, ignored, known = (tuple(map(int, case.extra.get(column, "").split())) for column in columns)
        except ValueError as error:
            msg = f"Wanted whole numbers in {', '.join(columns)} of the case {case.subject!r}: {error}."
            raise InputError(msg) from error
        return cls(lesion, ignored, known, one_grid=case.extra.get("one_grid", "") == "yes")

    def read(self, values: NDArray[np.floating], name: str) -> NDArray[np.float32]:
        """The labels of a truth as its file holds them; where it has fractions, 1 from one half and 0 elsewhere.

        What is NaN or infinite counts as zero.

        Raises
        ------
        InputError
            It has labels that the data set does not have, fractions though its labels are named, or fractions that are
            no shares of voxels.
        """
        labels = finite(values)
        self._check(labels, name)
        fractions, named = has_fractions(labels), bool(self.lesion or self.ignored or self.known)
        if not share_unit(labels) or (named and not fractions):
            return labels.astype(np.float32, copy=False)
        if self.lesion or self.ignored:
            listed = ", ".join(map(str, (*self.lesion, *self.ignored)))
            msg = (
                f"Wanted whole labels in {name} (of them {listed} are named), found fractions."
                " Give the truth as it was drawn, or resample it with nearest neighbours."
            )
            raise InputError(msg)
        return marked(labels, name).astype(np.float32)

    def _check(self, labels: NDArray[np.floating], name: str) -> None:
        """Refuse labels that the data set does not have."""
        if not self.known:
            return
        strange = [f"{value:g}" for value in np.unique(labels) if value not in self.known]
        if strange:
            msg = (
                f"Wanted the labels {', '.join(map(str, self.known))} in {name}, found {', '.join(strange[:5])}."
                " Use the data set's own truth, of the right release."
            )
            raise InputError(msg)

    def merged(self, labels: NDArray[np.floating]) -> NDArray[np.float32]:
        """1 where the label is lesion, 0 elsewhere: the order of the labels' numbers no longer matters."""
        lesion = np.isin(labels, self.lesion) if self.lesion else labels > 0  # `read` has dealt with fractions
        return (lesion & ~self.to_ignore(labels)).astype(np.float32)

    def to_ignore(self, labels: NDArray[np.floating]) -> BoolArray:
        """Where the label is to be ignored."""
        return np.isin(labels, self.ignored)
