"""The steps of preprocessing: that the air around a head decides nothing."""

from __future__ import annotations

import numpy as np
import pytest

from flairline.preprocess import steps
from flairline.preprocess.atlas import load_atlas
from flairline.preprocess.steps import BrainImage
from flairline.types import Mask, Space, Volume

AIR = ((3, 8), (5, 0), (2, 7))
"""Voxels of air before and after, by axis: another number of them at each side, odd and even."""


def padded(image: Volume) -> Volume:
    """The image at its place in a larger grid of zeros."""
    start = np.eye(4)
    start[:3, 3] = [-before for before, _ in AIR]
    array = np.pad(image.array, AIR)
    return Volume(array, Space(array.shape, image.space.vox_to_ras @ start))


def padded_mask(mask: Mask) -> Mask:
    """As `padded`."""
    image = padded(Volume(mask.array.astype(np.float32), mask.space))
    return Mask(image.array > 0, image.space)


@pytest.fixture
def pairs(head, coarse_registration):
    """FLAIR and T1 with the brain, as they are and with air around them."""
    plain = BrainImage(head.flair, head.brain), BrainImage(head.t1, _on(head.brain, head.t1.space))
    return plain, tuple(BrainImage(padded(side.image), padded_mask(side.brain)) for side in plain)


def _on(brain: Mask, space: Space) -> Mask:
    from flairline.imaging.resample import resample_mask

    return resample_mask(brain, space)


def test_padding_does_not_change_where_two_images_are_laid(pairs):
    plain, larger = (steps.pair(flair, t1, "greedy").flair_to_t1.ras_to_ras for flair, t1 in pairs)
    np.testing.assert_allclose(larger, plain, atol=1e-5)
    assert np.abs(plain - np.eye(4)).max() > 1e-4  # greedy has moved it, so a start that was kept shows nothing


def test_padding_does_not_change_where_the_atlas_is_laid(head, pairs):
    atlas = load_atlas(str(head.atlas_file))
    plain, larger = (steps.atlas_to(flair, "flair", atlas, "greedy").ras_to_ras for flair, _ in pairs)
    np.testing.assert_allclose(larger, plain, atol=1e-5)


def test_padding_does_not_change_where_a_whole_head_is_laid(pairs):
    (flair, t1), (more_flair, more_t1) = pairs
    by_t1 = [steps.pair_by_t1(one.image, other, "greedy") for one, other in ((flair, t1), (more_flair, more_t1))]
    by_flair = [steps.pair_by_flair(one, other.image, "greedy") for one, other in ((flair, t1), (more_flair, more_t1))]
    for plain, larger in (by_t1, by_flair):
        np.testing.assert_allclose(larger.flair_to_t1.ras_to_ras, plain.flair_to_t1.ras_to_ras, atol=1e-5)


def test_around_a_brain_each_voxel_keeps_its_place(head):
    image = BrainImage(head.flair, head.brain)
    around = steps.around_brain(image)
    voxel = np.argwhere(head.brain.array)[7]
    place = head.flair.space.vox_to_ras @ [*voxel, 1.0]
    x, y, z, _ = np.rint(np.linalg.inv(around.image.space.vox_to_ras) @ place).astype(int)
    assert around.brain.array[x, y, z]
    assert around.image.array[x, y, z] == head.flair.array[tuple(voxel)]
    assert around.brain.array.sum() == head.brain.array.sum()
