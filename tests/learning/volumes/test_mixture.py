"""A mixture of tissues: brightnesses never negative, truths never read, and no false tissue of lesions."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")
pytest.importorskip("lightning")

from flairline import registry
from flairline.errors import InputError, ModelError
from flairline.io.nifti import read_volume
from flairline.learning.data import TrainingData
from flairline.learning.loop import Budget
from flairline.learning.networks.tissue_mixture import MixtureSizes, TissueMixture
from flairline.learning.run import TrainingRun
from flairline.learning.volumes import fit_mixture
from flairline.learning.volumes.mixture_objective import FIRST_SHARE, RebuildFromTissues
from flairline.learning.volumes.mixture_scans import Patches, first_brightness, working_images
from flairline.learning.volumes.mixture_scorer import lesion_share
from flairline.types import Mask, Scan, Space, Volume

SIZES = MixtureSizes(spacing_mm=4.0, patch=8, widths=(4, 8))
EDGES = torch.tensor([0.25, 0.4, 0.7])


def network(seed=0):
    torch.manual_seed(seed)
    made = TissueMixture(SIZES)
    made.set_brightness(torch.tensor([[0.1, 0.4, 0.5, 0.9], [0.2, 0.3, 0.5, 0.4]]))
    return made


class Timed(RebuildFromTissues):
    share = 1.0

    def spent(self, step=None):
        return self.share


def batch(n=2, seed=0):
    images = torch.rand((n, 2, 8, 8, 8), generator=torch.Generator().manual_seed(seed))
    brain = torch.zeros((n, 1, 8, 8, 8))
    brain[..., 1:7, 1:7, 1:7] = 1
    return images * brain, brain


# ---- brightnesses -------------------------------------------------------------------------------------------


def test_no_brightness_is_ever_negative_and_none_is_stuck():
    """A weight that is clamped at zero, as published, has no gradient there and stays for ever."""
    made = network()
    optimizer = torch.optim.SGD([made.free], lr=50.0)
    for target in (-5.0, 0.6):  # first pushed below zero with all might, then called back
        for _ in range(200):
            optimizer.zero_grad()
            (made.brightness - target).abs().sum().backward()
            optimizer.step()
            assert (made.brightness >= 0).all()
        if target < 0:
            assert made.brightness.max() < 1e-3
            made.free.data.clamp_(min=-6)
            optimizer = torch.optim.Adam([made.free], lr=0.2)
    assert torch.allclose(made.brightness, torch.tensor(0.6), atol=0.2)


def test_it_begins_with_the_brightnesses_that_it_is_given_and_the_brightest_is_lesion():
    made = network()
    assert torch.allclose(made.brightness[0], torch.tensor([0.1, 0.4, 0.5, 0.9]), atol=1e-5) and made.lesion == 3


def test_an_image_is_rebuilt_as_the_sum_of_its_tissues():
    made = network()
    shares = torch.rand((1, 4, 2, 2, 2), generator=torch.Generator().manual_seed(0)).softmax(dim=1)
    wanted = sum(shares[0, k, 1, 0, 1] * made.brightness[0, k] for k in range(4))
    assert torch.allclose(made.rebuilt(shares)[0, 0, 1, 0, 1], wanted)


def test_sizes_that_do_not_halve_are_refused():
    for wrong in ({"patch": 30}, {"classes": 2}):
        with pytest.raises(ValueError, match="no mixture of"):
            MixtureSizes(**wrong)


# ---- what it is trained for ---------------------------------------------------------------------------------


def test_the_loss_is_the_cube_of_what_differs_in_the_brain_alone():
    objective = Timed(network().eval(), Budget(1), 1e-3, EDGES, 3.0, 0.0)
    images, brain = batch()
    images[1, 1] = 0  # no T1
    shares = objective.network(images).softmax(dim=1)
    away = (images - objective.network.rebuilt(shares)).abs() ** 3
    inside = brain[0, 0] > 0
    wanted = torch.cat([away[0, 0][inside], away[0, 1][inside], away[1, 0][inside]]).mean()
    assert torch.allclose(objective.apart_from(images, brain, shares), wanted)
    assert torch.allclose(objective.validate((images, brain)), 1000 * wanted)


def test_first_the_tissues_are_those_of_the_histogram():
    objective = Timed(network(), Budget(1), 1e-3, EDGES, 3.0, 1e-3)
    objective.share = FIRST_SHARE / 2
    objective.loss(batch()).backward()
    assert objective.network.free.grad is None, "the brightnesses wait"
    objective.share = FIRST_SHARE
    objective.loss(batch()).backward()
    assert objective.network.free.grad.abs().max() > 0


# ---- scans --------------------------------------------------------------------------------------------------


def scan(spacing=(2.0, 2.0, 4.0), t1=True):
    shape = (20, 24, 12)
    brain = np.zeros(shape, bool)
    brain[3:17, 4:20, 2:10] = True
    flair = np.random.default_rng(0).normal(100, 8, shape).astype(np.float32)
    flair[5:9, 5:9, 4:7] = 160
    space = Space(shape, np.diag([*spacing, 1.0]))
    return Scan.of("x", Volume(flair, space), Mask(brain, space), t1=Volume(200 - flair, space) if t1 else None)


def test_images_go_to_the_grid_and_back_to_their_place():
    given = scan()
    images, brain, where, back = working_images(given, 4.0)
    assert images.shape == (2, 9, 10, 12) and brain.max() == 1
    found = np.zeros(given.space.shape, np.float32)
    found[where] = back(images[0])
    assert found[6:8, 6:8, 5].min() > 0.9 and found[11:15, 11:15, 5].max() < 0.7
    assert not working_images(scan(t1=False), 4.0)[0][1].any()


def test_a_patch_depends_on_its_number_alone(tmp_path):
    images, brain, _, _ = working_images(scan(), 2.0)
    np.save(tmp_path / "a.npy", np.concatenate([images, brain[None]]).astype(np.float16))
    whole = Patches([tmp_path / "a.npy"], SIZES, 40, 3)
    later = Patches([tmp_path / "a.npy"], SIZES, 30, 3, start=10)
    for number in (0, 7):
        for one, other in zip(whole[10 + number], later[number], strict=True):
            assert torch.equal(one, other)
    without = [not whole[number][0][1].any() for number in range(40)]
    assert 2 <= sum(without) <= 20, "one in four has no T1"
    assert all(whole[number][1].any() for number in range(40))


def test_the_first_tissues_need_no_label(tmp_path):
    rng = np.random.default_rng(0)
    volume = np.ones((3, 30, 30, 30), np.float32)
    kinds = rng.integers(0, 4, (30, 30, 30))
    volume[0] = np.array([0.1, 0.35, 0.45, 0.95])[kinds] + rng.normal(0, 0.01, kinds.shape)
    volume[1] = np.array([0.1, 0.3, 0.5, 0.4])[kinds]
    np.save(tmp_path / "a.npy", volume.astype(np.float16))
    brightness, edges = first_brightness([tmp_path / "a.npy"], 4)
    np.testing.assert_allclose(brightness, [[0.1, 0.35, 0.45, 0.95], [0.1, 0.3, 0.5, 0.4]], atol=0.01)
    np.testing.assert_allclose(edges, [0.225, 0.4, 0.7], atol=0.01)


def test_patches_that_overlap_give_each_voxel_its_mean():
    class Brightness(torch.nn.Module):
        lesion = 1

        def forward(self, images):
            return torch.cat([0 * images[:, :1], torch.logit(images[:, :1].clamp(0.01, 0.99))], dim=1)

    images = np.random.default_rng(0).uniform(0.05, 0.95, (2, 11, 9, 14)).astype(np.float32)
    found = lesion_share(Brightness(), images, 8, torch.device("cpu"))
    np.testing.assert_allclose(found, images[0], atol=1e-5)


# ---- training -----------------------------------------------------------------------------------------------


def test_it_learns_from_patients_and_their_truths_change_nothing(phantoms, tmp_path):
    cases = phantoms(2, patients=True)
    method = registry.load("methods", "segae")()
    run = TrainingRun(tmp_path / "a", "test", max_minutes=1)
    method.train(TrainingData(cases), run)
    blind = [replace(case, truth=None) for case in cases]
    method.train(TrainingData(blind), replace(run, folder=tmp_path / "b"))
    one, two = ((tmp_path / name / "weights.safetensors").read_bytes() for name in "ab")
    assert one == two
    assert read_volume(cases[0].truth).array.any()
    with pytest.raises(InputError, match="lesion-free-slices"):
        method.train(TrainingData(cases, lesion_free_slices=True), run)


def test_a_brightest_tissue_that_fills_the_brain_is_refused(phantoms, tmp_path, monkeypatch):
    monkeypatch.setattr(fit_mixture, "MOST_LESION", -1.0)
    method = registry.load("methods", "segae")()
    with pytest.raises(ModelError, match="another --seed"):
        method.train(TrainingData(phantoms(3)), TrainingRun(tmp_path, "test", max_minutes=1))
    assert not (tmp_path / "config.json").exists()
