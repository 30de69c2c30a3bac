"""The steps of preprocessing: functions of images, brains and maps of points, without state or files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flairline.imaging.boxes import box_of, voxels_in
from flairline.imaging.points import PointMap, carry_mask, identity
from flairline.preprocess import quality, register
from flairline.preprocess.atlas import Atlas
from flairline.preprocess.brain import background_value
from flairline.preprocess.cache import POINTS, Figures, Form, image_digest, mask_on, points_text, text_digest
from flairline.preprocess.register import Engine
from flairline.types import Mask, Space, Volume


@dataclass(frozen=True, eq=False)
class Pair:
    """T1 and FLAIR laid upon each other: `flair_to_t1` maps points (RAS mm) of the FLAIR to those of the T1.

    A brain is that of the other image, carried onto this one's grid; None where the image has one of its own.
    """

    flair_to_t1: PointMap
    flair_brain: Mask | None = None
    t1_brain: Mask | None = None


def flair_to_t1(pair: Pair) -> PointMap:
    """Its map of points."""
    return pair.flair_to_t1


def carried_to_flair(pair: Pair) -> Mask:
    """Its brain on the FLAIR's grid. It must have one."""
    assert pair.flair_brain is not None
    return pair.flair_brain


def carried_to_t1(pair: Pair) -> Mask:
    """Its brain on the T1's grid. It must have one."""
    assert pair.t1_brain is not None
    return pair.t1_brain


@dataclass(frozen=True, eq=False)
class BrainImage:
    """An image and its brain, on the image's grid."""

    image: Volume
    brain: Mask


@dataclass(frozen=True, eq=False)
class OnAtlas:
    """An atlas, and where its points lie in the image that was registered to it."""

    atlas: Atlas
    to_image: PointMap


def engine_parameters(engine: Engine) -> dict[str, object]:
    """What a registration depends on besides its images."""
    return {
        "engine": engine,
        "levels": register.GREEDY_LEVELS,
        "fixed_mm": register.FIXED_MM,
        "threads": register.THREADS,
    }


def around_brain(image: BrainImage) -> BrainImage:
    """The brain with `register.MARGIN_MM` about it on each side, wherever it lies in its grid.

    Greedy halves the grids that it is given from their first corner, so the air around a head decided a little of where
    it was laid: a padded scan was moved by half a voxel. What is outside the grid is zero, as what is outside the brain
    is for a registration.
    """
    brain, space = image.brain.array, image.image.space
    box = box_of(brain)
    margin = voxels_in(register.MARGIN_MM, space.spacing_mm).tolist()
    cut = [(side.start - extra, side.stop + extra) for side, extra in zip(box, margin, strict=True)]
    first = np.array([start for start, _ in cut])
    vox_to_ras = space.vox_to_ras.copy()
    vox_to_ras[:3, 3] = (vox_to_ras @ [*first, 1.0])[:3]
    x, y, z = (end - start for start, end in cut)
    around = Space((x, y, z), vox_to_ras, space.name)
    inside = tuple(slice(extra, extra + side.stop - side.start) for side, extra in zip(box, margin, strict=True))
    cut_image, cut_brain = np.zeros(around.shape, np.float32), np.zeros(around.shape, np.bool_)
    cut_image[inside], cut_brain[inside] = np.where(brain[box], image.image.array[box], np.float32(0)), brain[box]
    return BrainImage(Volume(cut_image, around), Mask(cut_brain, around))


def without_border(head: Volume) -> Volume:
    """The head without the rows of one value at its border, for the reason that `around_brain` gives."""
    background = background_value(head.array)
    if np.isnan(background):
        return head
    box = box_of(head.array != background)
    vox_to_ras = head.space.vox_to_ras.copy()
    vox_to_ras[:3, 3] = (vox_to_ras @ [*(side.start for side in box), 1.0])[:3]
    array = np.ascontiguousarray(head.array[box])
    return Volume(array, Space(array.shape, vox_to_ras, head.space.name))


def pair(flair: BrainImage, t1: BrainImage, engine: Engine) -> Pair:
    """FLAIR to T1, rigidly, each with a brain of its own."""
    flair, t1 = around_brain(flair), around_brain(t1)
    matrix = register.register_rigid(t1.image, t1.brain, flair.image, flair.brain, engine)
    return Pair(PointMap("t1", "flair", matrix).inverse())


def pair_by_t1(flair: Volume, t1: BrainImage, engine: Engine) -> Pair:
    """FLAIR to T1 where only the T1's brain is known; the FLAIR's is carried from it."""
    around = around_brain(t1)
    matrix = register.register_rigid(around.image, around.brain, without_border(flair), None, engine)
    flair_to_t1 = PointMap("t1", "flair", matrix).inverse()
    return Pair(flair_to_t1, flair_brain=carry_mask(t1.brain, flair.space, flair_to_t1))


def pair_by_flair(flair: BrainImage, t1: Volume, engine: Engine) -> Pair:
    """FLAIR to T1 where only the FLAIR's brain is known; the T1's is carried from it."""
    around = around_brain(flair)
    matrix = register.register_rigid(around.image, around.brain, without_border(t1), None, engine)
    flair_to_t1 = PointMap("flair", "t1", matrix)
    return Pair(flair_to_t1, t1_brain=carry_mask(flair.brain, t1.space, flair_to_t1.inverse()))


def pair_in_place() -> Pair:
    """T1 and FLAIR that lie on each other already, each with a brain of its own."""
    return Pair(identity("flair", "t1"))


def atlas_to(image: BrainImage, name: str, atlas: Atlas, engine: Engine) -> PointMap:
    """Points of the atlas to those of an image called `name`, affinely."""
    image = around_brain(image)
    matrix = register.register_affine(atlas.t1, atlas.brain, image.image, image.brain, engine)
    return PointMap("atlas", name, matrix)


def figures_alone(flair: Volume, brain: Mask, on_atlas: OnAtlas | None) -> Figures:
    """The quality figures of a FLAIR without a T1."""
    figures = quality.brain_figures(flair, brain)
    if on_atlas is not None:
        to_flair = on_atlas.to_image
        figures |= quality.atlas_figures(flair, brain, flair.space, on_atlas.atlas, to_flair, to_flair)
    return figures


def figures_of_pair(
    flair: BrainImage, t1: BrainImage, flair_to_t1: PointMap, own_flair_brain: Mask | None, on_atlas: OnAtlas | None
) -> Figures:
    """The quality figures of a FLAIR and its T1.

    Parameters
    ----------
    flair
        With the brain that the scan is given.
    own_flair_brain
        The brain that was found in the FLAIR by itself, so that its overlap with the T1's says something; None where
        there is none.
    """
    figures = quality.brain_figures(flair.image, flair.brain)
    figures |= quality.pair_figures(flair.image, own_flair_brain, t1.image, t1.brain, flair_to_t1)
    if on_atlas is not None:
        to_t1, to_flair = on_atlas.to_image, on_atlas.to_image.then(flair_to_t1.inverse())
        figures |= quality.atlas_figures(t1.image, t1.brain, flair.image.space, on_atlas.atlas, to_t1, to_flair)
    return figures


def within(image: Volume, brain: Mask) -> Volume:
    """The image with zero outside the brain."""
    return Volume(np.where(brain.array, image.array, np.float32(0)), image.space)


def finite_outside(image: Volume, brain: Mask) -> Volume:
    """NaN and infinite values outside the brain would spread through filters; zero does not."""
    return Volume(np.where(np.isfinite(image.array) | brain.array, image.array, np.float32(0)), image.space)


def pair_form(flair: Space, t1: Space) -> Form[Pair]:
    """How a `Pair` lies in files; the spaces are the images' grids."""
    on_flair, on_t1 = mask_on(flair), mask_on(t1)

    def write(path: Path, pair: Pair) -> None:
        POINTS.write(path, pair.flair_to_t1)
        if pair.flair_brain is not None:
            on_flair.write(path.with_name("flair_brain"), pair.flair_brain)
        if pair.t1_brain is not None:
            on_t1.write(path.with_name("t1_brain"), pair.t1_brain)

    def read(path: Path) -> Pair:
        kept = {file.name.partition(".")[0] for file in path.parent.iterdir()}
        flair_brain = on_flair.read(path.with_name("flair_brain")) if "flair_brain" in kept else None
        t1_brain = on_t1.read(path.with_name("t1_brain")) if "t1_brain" in kept else None
        return Pair(POINTS.read(path), flair_brain, t1_brain)

    def digest(pair: Pair) -> str:
        brains = ["" if brain is None else image_digest(brain) for brain in (pair.flair_brain, pair.t1_brain)]
        return text_digest("\n".join([points_text(pair.flair_to_t1), *brains]))

    return Form(write, read, digest)
