"""Restoration against minima that are known in closed form."""

import importlib.util
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from flairline import registry
from flairline.errors import InputError
from flairline.learning.networks.frozen import frozen
from flairline.learning.slices.restoration import Restoration, restoration_scores, total_variation_gradient

_spec = importlib.util.spec_from_file_location("standins", Path(__file__).with_name("standins.py"))
standins = sys.modules.setdefault("standins", importlib.util.module_from_spec(_spec))
if not hasattr(standins, "Small"):
    _spec.loader.exec_module(standins)


def whole(images):
    return torch.ones_like(images)


def test_an_infinite_weight_of_total_variation_returns_the_input():
    y, brain = standins.slices()
    network = standins.Affine(offset=0.1, k=1.0)
    _, restored = restoration_scores(network, y, brain, 4, Restoration(tv_weight=1e6), "absolute")
    assert (restored - y).abs().max() < 1e-4
    _, moved = restoration_scores(network, y, brain, 4, Restoration(tv_weight=0.0), "absolute")
    assert (moved - y).abs().max() > 0.1


@pytest.mark.parametrize(("gain", "offset", "k"), [(0.0, 0.5, 0.0), (0.5, 0.2, 0.0), (0.0, 0.6, 1.5), (-0.5, 0.9, 1.0)])
def test_a_quadratic_is_restored_to_its_minimum(gain, offset, k):
    # (x - gain x - offset)^2 + (k x)^2 / 2 for each pixel
    y, brain = standins.slices(3)
    options = Restoration(steps=600, eta=0.05, clip=None, tv_weight=0.0, reconstruction="l2")
    _, restored = restoration_scores(standins.Affine(gain, offset, k), y, brain, 2, options)
    minimum = 2 * (1 - gain) * offset / (2 * (1 - gain) ** 2 + k**2)
    assert torch.allclose(restored, minimum * brain, atol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.01])
def test_a_constant_model_pulls_by_one_step_size_a_step(smoothing):
    y = torch.full((1, 1, 8, 8), 0.5)
    y[..., 2:5, 3:6] = 0.9  # farther from 0.5 than 150 steps of 0.001 reach
    options = Restoration(tv_weight=0.0, smoothing=smoothing)
    score, _ = restoration_scores(standins.Affine(offset=0.5), y, whole(y), 1, options)
    expected = torch.zeros_like(y)
    expected[..., 2:5, 3:6] = options.reach
    assert options.reach == pytest.approx(0.15)
    assert torch.allclose(score, expected, atol=1e-5)


def test_total_variation_keeps_what_is_smaller_than_four_weights_wide():
    # Taking a bright square of side a away saves a^2 a unit of height and costs 4 a weights of border.
    y = torch.full((2, 1, 24, 24), 0.3)
    y[0, :, 6:18, 6:18] = 0.5
    y[1, :, 10:14, 10:14] = 0.5
    options = Restoration(steps=800, eta=5e-3, tv_weight=1.8)
    score, _ = restoration_scores(standins.Affine(offset=0.3), y, whole(y), 2, options)
    # 12 > 4 * 1.8: gone, but for a corner's two borders, whose pull of 3.6 the smoothed terms share in 3 widths.
    assert score[0, :, 6:18, 6:18].min() > 0.2 - 3 * options.smoothing
    assert score[1].max() < 0.02  # 4 < 4 * 1.8


def test_the_published_total_variation_does_not_tie_the_image_to_the_observation():
    y = torch.full((1, 1, 24, 24), 0.3)
    y[0, :, 10:14, 10:14] = 0.5
    options = Restoration.baur_code(steps=200)
    score, _ = restoration_scores(standins.Affine(offset=0.3), y, whole(y), 2, options)
    assert score[0, :, 10:14, 10:14].min() > 0.18


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_gradient_of_total_variation_is_autograds(smoothing):
    images = torch.rand((2, 1, 7, 9), generator=torch.Generator().manual_seed(0)).requires_grad_()
    total = 0.0
    for axis in (2, 3):
        step = images.diff(dim=axis).abs()
        near = step**2 / (2 * smoothing) if smoothing else step
        total = total + torch.where(step < smoothing, near, step - smoothing / 2).sum()
    (expected,) = torch.autograd.grad(total, images)
    assert torch.allclose(total_variation_gradient(images.detach(), smoothing), expected, atol=1e-5)


def test_a_step_is_the_gradient_of_the_whole_loss():
    network = standins.Small().eval()
    y, brain = standins.slices(3)
    options = Restoration(steps=2, eta=1e-3, clip=None, tv_weight=1.8, smoothing=0.0)
    x = y.clone()
    for _ in range(2):
        given = x.clone().requires_grad_()
        found = network(given)
        moved = given - y
        loss = (given - found.x_hat).abs().sum() + 1.8 * sum(moved.diff(dim=axis).abs().sum() for axis in (2, 3))
        normal = torch.distributions.Normal(found.mu, found.log_sigma.exp())
        loss = loss + torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).sum()
        x = x - 1e-3 * brain * torch.autograd.grad(loss, given)[0]
    _, restored = restoration_scores(network, y, brain, 3, options)
    assert torch.allclose(restored, x, atol=1e-6)


def test_the_gradient_is_clipped_and_stays_in_the_brain():
    y, brain = standins.slices(2)
    far = standins.Affine(offset=1000.0)
    options = Restoration(steps=1, eta=1e-3, clip=50.0, tv_weight=0.0, reconstruction="l2")
    _, restored = restoration_scores(far, y, brain, 2, options)
    assert torch.allclose(restored, (y + 0.05) * brain, atol=1e-6)


@pytest.mark.parametrize("options", [Restoration(steps=60), Restoration.you(steps=60), Restoration.baur_code(steps=60)])
def test_batches_of_1_and_16_restore_alike(options):
    y, brain = standins.slices(6)
    network = standins.Small()
    alone, _ = restoration_scores(network, y, brain, 1, options, "absolute")
    together, _ = restoration_scores(network, y, brain, 16, options, "absolute")
    assert alone.max() > 0.01
    assert (alone - together).abs().max() < 1e-5


def test_a_slice_does_not_hang_on_its_neighbours():
    y, brain = standins.slices(4)
    network, other = standins.Small(), y.clone()
    other[1:] = 1 - other[1:]
    first, _ = restoration_scores(network, y, brain, 4, Restoration(steps=40), "absolute")
    again, _ = restoration_scores(network, other, brain, 4, Restoration(steps=40), "absolute")
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[1], again[1])


def test_the_network_stays_as_it_was():
    y, brain = standins.slices(2)
    network = standins.Small()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    restoration_scores(network, y, brain, 2, Restoration(steps=3))
    assert network.training
    assert all(weight.grad is None and weight.requires_grad for weight in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_frozen_network_is_the_same_function():
    network = standins.Small().eval()
    y, _ = standins.slices(3)
    given = y.clone()
    found = frozen(network)(given)
    assert not any(weight.requires_grad for weight in frozen(network).parameters())
    assert torch.equal(given, y)
    assert torch.allclose(found.x_hat, network(y).x_hat, atol=1e-6)
    assert torch.allclose(found.mu, network(y).mu, atol=1e-6)


@pytest.mark.parametrize("name", ["vae_restoration", "gmvae"])
def test_a_frozen_network_has_no_batch_norm_behind_a_convolution_and_says_the_same(name):
    torch.manual_seed(0)
    method = registry.load("methods", name)()
    network = method.network(method.architecture("test")).double()
    y = torch.rand(4, 1, method.architecture("test").size, method.architecture("test").size, dtype=torch.float64)
    for _ in range(5):
        network(y)  # running statistics that are not 0 and 1
    network.eval()
    ready = frozen(network)
    norms = [sum(isinstance(part, torch.nn.BatchNorm2d) for part in each.modules()) for each in (network, ready)]
    assert norms[0] > norms[1] <= 1  # the decoder's first has no convolution before it
    assert not any(weight.requires_grad for weight in ready.parameters())
    assert torch.allclose(ready(y).x_hat, network(y).x_hat, atol=1e-12)


def test_slices_that_have_arrived_stop():
    y, brain = standins.slices(3)
    y[0] = 0.5 * brain[0]  # is where it should be
    calls = []
    network = standins.Affine(offset=0.5)
    network.register_forward_hook(lambda module, inputs, result: calls.append(len(inputs[0])))
    settings = {"steps": 400, "eta": 0.05, "clip": None, "tv_weight": 0.0, "reconstruction": "l2"}
    _, every = restoration_scores(network, y, brain, 3, Restoration(**settings))
    calls.clear()
    _, stopped = restoration_scores(network, y, brain, 3, Restoration(**settings, tolerance=1e-5))
    assert sum(calls) < 3 * 200
    assert torch.allclose(every, stopped, atol=1e-3)


def test_steps_get_shorter_as_said():
    options = Restoration.you()
    assert [options.eta_at(step) for step in (0, 99, 100, 499)] == [5e-3, 5e-3, 2e-3, 2e-3]
    assert options.reach == pytest.approx(100 * 5e-3 + 400 * 2e-3)


def test_an_unknown_reconstruction_is_refused():
    y, brain = standins.slices(1)
    with pytest.raises(InputError, match="'l1' or 'l2', found 'mse'"):
        restoration_scores(standins.Affine(), y, brain, 1, Restoration(reconstruction="mse"))


def test_it_runs_where_gradients_are_off():
    y, brain = standins.slices(2)
    network, options = standins.Small(), Restoration(steps=5)
    expected, _ = restoration_scores(network, y, brain, 2, options)
    with torch.inference_mode():
        score, _ = restoration_scores(network, y.clone(), brain.clone(), 2, options)
    assert torch.equal(score, expected)
