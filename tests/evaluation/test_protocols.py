import numpy as np
import pytest

from flairline.errors import GridError, UnknownNameError
from flairline.evaluation import protocols
from flairline.evaluation.counts import Counts
from flairline.preprocess.prepared import LabelledScan
from flairline.types import Mask, Scan, Space, Volume


def labelled(shape=(240, 240, 155), spacing=(1.0, 1.0, 1.0)) -> LabelledScan:
    space = Space(shape, np.diag([*spacing, 1.0]))
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    scan = Scan.of("sub-1", Volume(array, space), Mask(array > 1000, space), t1=Volume(array + 1, space))
    return LabelledScan(scan, (array % 5).astype(np.float32))


@pytest.mark.parametrize(
    ("name", "side", "slices"), [("experiment-1", 128, (15, 125)), ("experiment-2", 224, (84, 88))]
)
def test_the_published_grids(name, side, slices):
    protocol, case = protocols.load(name), labelled()
    prepared = protocol.prepare(case)
    index = [int(np.floor(i * 240 / side)) for i in range(side)]
    expected = case.scan.flair.array[index][:, index]
    np.testing.assert_array_equal(prepared.scan.flair.array, expected)
    np.testing.assert_array_equal(prepared.scan.t1.array, expected + 1)
    np.testing.assert_array_equal(prepared.scan.brain.array, expected > 1000)
    np.testing.assert_array_equal(prepared.labels, case.labels[index][:, index])
    np.testing.assert_array_equal(protocol.cut(expected), expected[:, :, slices[0] : slices[1]])
    assert protocol.cut(expected).shape[2] == {128: 110, 224: 4}[side]


@pytest.mark.parametrize("name", ["native", "sound"])
def test_the_own_grid_with_all_slices(name):
    case = labelled((7, 8, 9), (1, 1.5, 2))
    protocol = protocols.load(name)
    assert protocol.prepare(case) is case
    assert protocol.cut(case.labels) is case.labels


@pytest.mark.parametrize("name", ["experiment-1", "experiment-2"])
@pytest.mark.parametrize(("shape", "spacing"), [((182, 218, 182), (1, 1, 1)), ((240, 240, 155), (1, 1, 2))])
def test_another_grid_than_sri24_is_refused(name, shape, spacing):
    with pytest.raises(GridError, match="SRI24") as refused:
        protocols.load(name).prepare(labelled(shape, spacing))
    assert "sub-1" in str(refused.value) and "x".join(map(str, shape)) in str(refused.value)


def test_the_truth_is_what_was_drawn():
    case = labelled((7, 8, 9))
    np.testing.assert_array_equal(protocols.load("native").truth(case), case.labels >= 1)
    assert not protocols.load("native").truth(LabelledScan(case.scan)).any()


def test_the_published_thresholds():
    counts = Counts.empty()
    counts.minimum, counts.maximum = -1.0, 3.0
    for name in ("experiment-1", "experiment-2", "native"):
        np.testing.assert_array_equal(protocols.load(name).thresholds(counts), np.linspace(-1, 3, 100))
    with pytest.raises(ValueError, match="every threshold"):
        protocols.load("sound").thresholds(counts)


def test_published_masks_are_above_the_threshold_and_sound_ones_at_it():
    score = np.zeros((7, 8, 9), np.float32)
    score[1:4, 1:4, 1:4] = 0.5
    score[3, 3, 3] = 0.75
    brain = score > 0
    assert protocols.load("native").mask_at(score, brain, 0.5).sum() == 0  # one voxel: filtered
    assert protocols.load("native").mask_at(score, brain, 0.4).sum() == 27
    assert protocols.load("sound").mask_at(score, brain, 0.5).sum() == 27


def test_published_masks_take_the_background_and_sound_ones_the_brain():
    score = np.ones((7, 8, 9), np.float32)
    brain = np.zeros(score.shape, bool)
    brain[1:5, 1:5, 1:5] = True
    assert protocols.load("native").mask_at(score, brain, 0.5).all()
    np.testing.assert_array_equal(protocols.load("sound").mask_at(score, brain, 0.5), brain)


@pytest.mark.parametrize("name", ["experiment-1", "experiment-2", "native"])
def test_published_filter(name):
    components = protocols.load(name).components
    assert (components.smallest_kept_voxels, components.connectivity) == (21, 26)
    assert protocols.load("sound").components.smallest_kept_voxels == 20


def test_an_unknown_protocol_names_the_closest():
    with pytest.raises(UnknownNameError, match="Did you mean 'experiment-1'"):
        protocols.load("experiment1")
    assert protocols.names() == ["experiment-1", "experiment-2", "native", "sound", "baur"]
