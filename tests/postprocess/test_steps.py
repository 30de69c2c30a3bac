import numpy as np

from flairline.imaging.boxes import extent_without_strays
from flairline.postprocess.box import from_box, to_box
from flairline.postprocess.confidence import lesion_probabilities
from flairline.postprocess.prior import NormalPlaces, normal_map
from flairline.postprocess.rim import BrainRim
from flairline.types import Mask, Scan, Space, Volume


def made(flair: np.ndarray, spacing=(1.0, 1.0, 1.0), brain: np.ndarray | None = None) -> Scan:
    space = Space(flair.shape, np.diag([*spacing, 1.0]))
    inside = np.ones(flair.shape, bool) if brain is None else brain
    return Scan.of("x", Volume(flair.astype(np.float32), space), Mask(inside, space))


def test_rim_is_measured_in_mm_from_the_outer_border():
    brain = np.ones((11, 12, 13), bool)
    brain[5, 5, 5] = False  # a hole is no border
    scan = made(np.ones(brain.shape), spacing=(1.0, 2.0, 4.0), brain=brain)
    found = BrainRim(3.0)(scan, Volume(brain.astype(np.float32), scan.space)).array
    assert found[6, 6, 6] == 1
    assert found[2, 6, 6] == 0 and found[3, 6, 6] == 1  # depths of 3 and 4 mm
    assert found[6, 0, 6] == 0 and found[6, 1, 6] == 1  # 2 and 4 mm
    assert found[6, 6, 0] == 1  # 4 mm


def test_normal_places_take_more_off_the_cortex_than_off_the_deep_white_matter():
    from flairline.synthesis.phantom import phantom

    scan, _, _ = phantom(3, 4.0, [])
    ones = Volume(np.where(scan.brain.array, np.float32(5), np.float32(0)), scan.space)
    found = NormalPlaces()(scan, ones).array
    _, y, z = (n // 2 for n in found.shape)
    assert (found[scan.brain.array] < 5).all()
    assert not found[~scan.brain.array].any()
    np.testing.assert_allclose(normal_map(), normal_map()[::-1], atol=1e-2)
    line = found[:, y, z][scan.brain.array[:, y, z]]
    assert line[[0, -1]].mean() < line[3:-3].mean()


def test_the_box_of_the_brain_ignores_stray_voxels():
    brain = np.zeros((40, 41, 42), bool)
    brain[10:30, 11:31, 12:32] = True
    brain[1, 20, 20] = True
    low, high = extent_without_strays(brain)
    np.testing.assert_allclose(low, [10, 11, 12], atol=0)
    np.testing.assert_allclose(high, [29, 30, 31], atol=0)


def test_lesion_probability_follows_mean_and_volume():
    labels = np.zeros((8, 9, 10), int)
    labels[1, 1, 1] = 1
    labels[4:7, 4:7, 4:7] = 2
    scan = made(np.zeros(labels.shape))
    score = np.select([labels == 1, labels == 2], [0.6, 0.9]).astype(np.float32)
    found = lesion_probabilities(Volume(score, scan.space), labels, {"lesion_weights": [3.0, 1.0, 1.0]})
    # logit(0.6) + log10(0.001) + 3 = 0.405, logit(0.9) + log10(0.027) + 3 = 3.629
    np.testing.assert_allclose(found, 1 / (1 + np.exp([-0.4055, -3.6286])), atol=1e-3)


def test_steps_in_the_brain_box_give_what_they_give_on_the_whole_grid():
    from flairline.synthesis.phantom import phantom

    scan, _, _ = phantom(3, 4.0, ["tumour"])
    score = Volume(np.where(scan.brain.array, scan.flair.array / 100, 0).astype(np.float32), scan.space)
    inner, changed, where = to_box(scan, score)
    assert inner.space.shape != scan.space.shape
    for step in (NormalPlaces(), BrainRim(3.0)):
        np.testing.assert_allclose(
            from_box(step(inner, changed), where, scan.space).array, step(scan, score).array, atol=1e-4
        )
