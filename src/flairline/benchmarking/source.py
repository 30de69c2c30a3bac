"""Where the scores come from that are judged: a recipe, files that another program wrote, or what you write yourself.

Whatever gives a `MapSource`'s answers can be judged. Most answers are the same for all sources: start from
`PlainSource`, and write `name`, `inputs` and `make`.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairline.errors import GridError, InputError
from flairline.evaluation.protocols import Protocol, on_sri24_grid
from flairline.imaging.components import ComponentRule
from flairline.imaging.labels import LabelRule
from flairline.io.nifti import read_mask, read_space, read_volume
from flairline.learning.model import ModelFolder
from flairline.preprocess.atlas import load_atlas
from flairline.preprocess.prepared import LabelledScan, different_grids
from flairline.preprocess.read import read_scan
from flairline.preprocess.settings import PreprocessSettings
from flairline.recipes import Recipe, model_sha256, ready_reconstruction, ready_scorer
from flairline.types import BoolArray, Case, Mask, Scan, Space, Volume


@dataclass(frozen=True, eq=False)
class Scored:
    """What a source made of one case.

    Attributes
    ----------
    labelled
        The scan and its truth, as the protocol wants them (`Protocol.prepare`).
    score
        (x, y, z) on the scan's grid, higher is more abnormal.
    mask
        (x, y, z) at a threshold that was chosen without labels; None where the source has none.
    flair_known
        Whether the scan's image is its FLAIR; quality figures are taken from it then.
    """

    labelled: LabelledScan
    score: NDArray[np.float32]
    mask: BoolArray | None = None
    flair_known: bool = True


@dataclass(frozen=True, eq=False)
class Picture:
    """The FLAIR (x, y, z) to draw below a case's score, None where there is none, and the grid of both."""

    space: Space
    flair: NDArray[np.float32] | None


@dataclass(frozen=True)
class Reconstruction:
    """How well a source's model reconstructs healthy slices, and what that was measured on.

    Attributes
    ----------
    l1_healthy
        Mean absolute difference a brain pixel on healthy validation slices, images in [0, 1].
    validated_on
        The scans that these slices are of, each by the hash of its voxels.
    grid
        How the model sees a scan: two models that see it alike have the same text.
    """

    l1_healthy: float
    validated_on: frozenset[str] = frozenset()
    grid: str = ""


@dataclass(frozen=True)
class About:
    """What tables and pages say of a source beside its numbers.

    Attributes
    ----------
    method, recipe
        Names of the method and the recipe; empty where there is none of them.
    published_as
        Its row in the paper's tables, where its scores are those of the published method; else empty.
    is_control
        Whether it is one of the cheap methods that every other one has to beat.
    atlas
        Where scans go that a protocol wants there; None: they stay on their grid.
    seen
        `Case.key` of the scans whose patients the source's model was trained on; their rows are marked.
    note
        What a reader must know about its masks.
    components
        Which components its masks keep; None: those that the protocol keeps.
    variants
        What is left out of the recipe, and the recipe without it, for each rule of its mask.
    threshold_rule, threshold_chosen_on
        How, and on what, its masks' threshold was found.
    """

    method: str = ""
    recipe: str = ""
    published_as: str = ""
    is_control: bool = False
    atlas: str | None = None
    seen: frozenset[str] = frozenset()
    note: str = ""
    components: ComponentRule | None = None
    variants: tuple[tuple[str, Recipe], ...] = ()
    threshold_rule: str = "the mask that was given"
    threshold_chosen_on: str = "whatever its maker chose it on"


class MapSource(typing.Protocol):
    """What can be judged. A source goes to worker processes, so it must be something that pickle takes."""

    @property
    def name(self) -> str:
        """Its name in the column `method`; no two sources of a plan share one."""
        ...

    @property
    def about(self) -> About:
        """What tables and pages say of it."""
        ...

    def inputs(self, case: Case) -> list[Path]:
        """Files that the score depends on: a changed one is scored again."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Everything else that the scores depend on, as plain values, for the manifest too."""
        ...

    def check(self, protocol: Protocol) -> None:
        """Say before the first scan what would fail every scan. Raises a `FlairlineError`."""
        ...

    def labelled(self, case: Case, protocol: Protocol) -> LabelledScan:
        """The case with its truth on the grid on which it is judged, before `Protocol.prepare`."""
        ...

    def make(self, case: Case, protocol: Protocol) -> Scored:
        """Score a case. Raises a `FlairlineError`, which ends this case only."""
        ...

    def picture(self, case: Case, protocol: Protocol) -> Picture:
        """What a page draws below the score."""
        ...

    def reconstruction_quality(self) -> Reconstruction | None:
        """How well its model reconstructs; None where it does not."""
        ...

    def reconstruction(self, scan: Scan, z: int) -> tuple[Volume, Volume] | None:
        """Image as the model sees it and its reconstruction, in axial slice z alone; None where there is none."""
        ...


class PlainSource:
    """The answers that most sources give alike."""

    @property
    def about(self) -> About:
        """Nothing is known."""
        return About()

    def describe(self) -> Mapping[str, Any]:
        """The scores depend on the files alone."""
        return {}

    def check(self, protocol: Protocol) -> None:
        """Nothing can be said before the first scan."""

    def labelled(self, case: Case, protocol: Protocol) -> LabelledScan:
        """The case on its own grid."""
        return on_protocol_grid(case, protocol, None)

    def picture(self, case: Case, protocol: Protocol) -> Picture:
        """The FLAIR as the protocol wants it, in all slices."""
        scan = protocol.prepare(self.labelled(case, protocol)).scan
        return Picture(scan.space, scan.flair.array)

    def reconstruction_quality(self) -> Reconstruction | None:
        """It does not reconstruct."""
        return None

    def reconstruction(self, scan: Scan, z: int) -> tuple[Volume, Volume] | None:
        """It does not reconstruct."""
        return None


@dataclass(frozen=True)
class RecipeSource(PlainSource):
    """Scores that a recipe makes, and masks at the recipe's own label-free threshold if it has one.

    `atlas` (a name or file) is where scans go that a protocol wants there; what that makes is kept in `cache`. `seen`
    are the cases of patients that the recipe's model was trained on (`seen.seen_cases`); their rows are marked.
    """

    recipe: Recipe
    atlas: str | None = None
    cache: Path | None = None
    preprocess: PreprocessSettings = field(default_factory=PreprocessSettings)
    seen: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The recipe's."""
        return self.recipe.name

    @property
    def about(self) -> About:
        """What the recipe and its method say of themselves.

        A recipe whose steps change the score is not the published method; its threshold and its components are no part
        of the published figures, which are those of the score.
        """
        recipe, info, has_rule = self.recipe, self.recipe.info, self.recipe.threshold is not None
        return About(
            method=recipe.method,
            recipe=recipe.name,
            published_as="" if recipe.steps else info.published_as,
            is_control=info.role == "control",
            atlas=self.atlas,
            seen=self.seen,
            note=recipe.note(recipe.threshold) if recipe.threshold is not None else "",
            components=recipe.components if has_rule else None,
            variants=tuple(recipe.without_each_rule()) if has_rule else (),
            threshold_rule="the recipe's own rule; the lowest score that it marked",
            threshold_chosen_on="no labels",
        )

    def inputs(self, case: Case) -> list[Path]:
        """The case's images and truth."""
        return [path for path in (case.flair, case.t1, case.t2, case.brain, case.truth) if path]

    def describe(self) -> Mapping[str, Any]:
        """The recipe, the method's configuration, the weights, and how a raw scan is prepared."""
        configured = self.recipe.configured()
        what = {"recipe": self.recipe.describe(), "method": dataclasses.asdict(configured)}
        if self.recipe.model is not None:  # a model trained anew in the same folder is another one
            what["weights"] = {"sha256": model_sha256(self.recipe.model)}
        return {**what, "atlas": self.atlas, "preprocess": dataclasses.asdict(self.preprocess)}

    def check(self, protocol: Protocol) -> None:
        """Raise `GridError` if the atlas lies on another grid than the protocol wants, `InputError` if it is none."""
        if self.atlas is None or not protocol.needs_sri24:
            return
        space = _atlas_space(self.atlas, self.cache)
        if not on_sri24_grid(space):
            msg = (
                f"The protocol {protocol.name} counts slices on the SRI24 grid (240x240x155 voxels of 1 mm), but the"
                f" atlas {self.atlas} has {space.describe()}. Give --atlas sri24, or SRI24's T1 as a file."
            )
            raise GridError(msg)

    def labelled(self, case: Case, protocol: Protocol) -> LabelledScan:
        """The case on the grid that the protocol wants: on SRI24's if it asks for that and there is an atlas."""
        return on_protocol_grid(case, protocol, self.atlas, self.cache, self.preprocess)

    def make(self, case: Case, protocol: Protocol) -> Scored:
        """Scan as the protocol wants it, the recipe's score, and its mask if it has a rule for one."""
        labelled = protocol.prepare(self.labelled(case, protocol))
        scan = protocol.few_slices(labelled.scan) if self.recipe.info.iterative else labelled.scan
        score = ready_scorer(self.recipe)(scan)
        if self.recipe.threshold is None:
            return Scored(labelled, score.array)
        mask, _ = self.recipe.mask(score, scan.brain, self.recipe.threshold)
        return Scored(labelled, score.array, mask.array)

    def reconstruction_quality(self) -> Reconstruction | None:
        """What the model's configuration says.

        Raises
        ------
        ModelError
            The model folder is broken.
        """
        config = {} if self.recipe.model is None else ModelFolder(self.recipe.model).config()
        if "l1_healthy" not in config:
            return None
        held = config.get("training", {}).get("validation_scans", ())
        hashes = frozenset(scan["voxels_sha256"] for scan in held)
        grid = json.dumps(config.get("grid", {}), sort_keys=True)  # of slices, or of an atlas
        return Reconstruction(float(config["l1_healthy"]), hashes, grid)

    def reconstruction(self, scan: Scan, z: int) -> tuple[Volume, Volume] | None:
        """Of the model that `reconstruction_quality` is of; None where steps stand between it and the score."""
        scorer = None if self.reconstruction_quality() is None else ready_reconstruction(self.recipe)
        return None if scorer is None else scorer.reconstruction(scan, only=z)


@dataclass(frozen=True)
class FileSource(PlainSource):
    """Scores that another program made, from the columns `score` and `mask` of a table of cases."""

    name: str = "files"

    def inputs(self, case: Case) -> list[Path]:
        """The score, the mask, and what says where brain and truth are."""
        return [path for path in (case.score, case.mask, case.flair, case.brain, case.truth) if path]

    def make(self, case: Case, protocol: Protocol) -> Scored:
        """From files on one grid with the truth; a mask alone is its own score, and the score stands for the FLAIR.

        Raises
        ------
        InputError
            There is neither score nor mask, or no way to tell where the brain is.
        GridError
            Grids do not match.
        """
        image = case.score or case.mask
        if image is None:
            msg = f"The case {case.subject!r} has neither a score nor a mask. Fill one of these columns."
            raise InputError(msg)
        score = read_volume(image)
        if not np.isfinite(score.array).all():
            msg = f"{image} has NaN or infinite scores. Replace them (0 outside the brain)."
            raise InputError(msg)
        mask = read_mask(case.mask) if case.mask else None
        truth = read_volume(case.truth) if case.truth else None
        for other, path in ((mask, case.mask), (truth, case.truth)):
            if other is not None and not other.space.same_grid(score.space):
                raise GridError(different_grids(path, other.space, image, score.space))
        scan = Scan.of(case.subject, score, self._brain(case, score, protocol))
        rule = LabelRule.of(case)
        labelled = LabelledScan(scan, None if truth is None else rule.read(truth.array, str(case.truth)), rule)
        prepared = protocol.prepare(labelled.with_merged_labels() if protocol.merge_labels else labelled)
        array = prepared.scan.flair.array
        if mask is None:
            return Scored(prepared, array, flair_known=False)
        # The mask goes through the same resize as the score.
        as_scan = Scan.of(case.subject, Volume(mask.array.astype(np.float32), mask.space), scan.brain)
        resized = protocol.prepare(LabelledScan(as_scan)).scan.flair.array > 0
        return Scored(prepared, array, resized, flair_known=False)

    def picture(self, case: Case, protocol: Protocol) -> Picture:
        """The FLAIR where it lies on the score's grid."""
        labelled = self.make(case, protocol).labelled
        flair = read_volume(case.flair) if case.flair is not None else None
        image = case.score or case.mask
        if flair is None or image is None or not flair.space.same_grid(read_volume(image).space):
            return Picture(labelled.scan.space, None)
        whole = np.ones(flair.space.shape, dtype=np.bool_)
        as_scan = Scan.of(case.subject, flair, Mask(whole, flair.space))
        as_labelled = dataclasses.replace(labelled, scan=as_scan, labels=None, ignored=None)
        return Picture(labelled.scan.space, protocol.prepare(as_labelled).scan.flair.array)

    def _brain(self, case: Case, score: Volume, protocol: Protocol) -> Mask:
        if case.brain is None and case.flair is None:
            if protocol.brain_only:
                msg = (
                    f"The protocol {protocol.name} judges the brain, but the case {case.subject!r} has neither brain"
                    " nor flair. Fill one of these columns."
                )
                raise InputError(msg)
            return Mask(np.ones(score.space.shape, np.bool_), score.space)
        if case.brain is not None:
            brain = read_mask(case.brain)
        else:
            stripped = PreprocessSettings(brain="none").for_judging(None)
            brain = read_scan(dataclasses.replace(case, t1=None, t2=None), stripped).scan.brain
        if not brain.space.same_grid(score.space):
            path = case.brain or case.flair
            raise GridError(different_grids(path, brain.space, case.score or case.mask, score.space))
        return Mask(brain.array, score.space)


def on_protocol_grid(
    case: Case,
    protocol: Protocol,
    atlas: str | None,
    cache: Path | None = None,
    preprocess: PreprocessSettings | None = None,
) -> LabelledScan:
    """A case's scan where the protocol wants it: on SRI24's grid if it asks for that and there is an atlas to go to."""
    wanted = protocol.needs_sri24 and atlas is not None and case.flair is not None
    is_there = not wanted or on_sri24_grid(read_space(case.flair))  # type: ignore[arg-type]
    settings = dataclasses.replace(preprocess or PreprocessSettings(), strip_on=protocol.strip_on)
    target = None if is_there else atlas
    prepared = read_scan(case, settings.for_judging(target), cache)
    return prepared.labelled(merge=protocol.merge_labels, on_atlas=target is not None)


@lru_cache(maxsize=4)
def _atlas_space(atlas: str, cache: Path | None) -> Space:
    return load_atlas(atlas, cache).space
