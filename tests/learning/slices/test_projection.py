"""Projection against networks whose end is known."""

import importlib.util
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from flairline.learning.slices.projection import Projection, projection_scores

_spec = importlib.util.spec_from_file_location("standins", Path(__file__).with_name("standins.py"))
standins = sys.modules.setdefault("standins", importlib.util.module_from_spec(_spec))
if not hasattr(standins, "Small"):
    _spec.loader.exec_module(standins)


@pytest.mark.parametrize("options", [Projection(), Projection.dehaene(), Projection(through_network=False)])
def test_an_identity_leaves_the_slice(options):
    y, brain = standins.slices()
    score, moved = projection_scores(standins.Affine(gain=1.0, offset=0.0), y, brain, 2, options, "absolute")
    assert not score.any() and torch.equal(moved, y)


def test_a_constant_network_draws_the_slice_to_it_and_never_back():
    y, brain = standins.slices()
    constant, before = 0.5, None
    for steps in (0, 5, 20, 100, 1000):
        _, moved = projection_scores(standins.Affine(offset=constant), y, brain, 2, Projection(steps=steps))
        away = (moved - constant).abs()[brain > 0]
        if before is not None:
            # A pixel that starts within half the weight of the constant may be held at y, where it was.
            assert (away <= before + 1e-3).all() and away.mean() < before.mean()
        before = away
    # The gradient 2 (x - c) of a pixel is balanced by the weight of the observation, .05.
    assert away.max() < 0.05


def test_without_a_hold_a_constant_network_is_reached():
    y, brain = standins.slices()
    options = Projection(steps=3000, eta=0.5, observation_weight=0.0)
    _, moved = projection_scores(
        standins.Affine(offset=0.5), y[:1, :, 8:24, 8:24], brain[:1, :, 8:24, 8:24], 1, options
    )
    assert ((moved - 0.5).abs()[brain[:1, :, 8:24, 8:24] > 0] < 0.02).all()


def test_a_step_is_the_gradient_of_the_whole_energy_weighted_by_the_squared_error():
    """The port that is to be found on the net drops the path through the network; it would fail here."""
    network = standins.Small().eval()
    y, brain = standins.slices(3)
    options = Projection(steps=3, eta=0.3, observation_weight=0.2, normalised=False, smoothing=0.0)
    x, detached = y.clone(), y.clone()
    for _ in range(3):
        given = x.clone().requires_grad_()
        found = network(given).x_hat
        energy = ((given - found) ** 2).sum() + 0.2 * (given - y).abs().sum()
        weight = (x - found.detach()) ** 2 * brain
        x = x - 0.3 * weight * torch.autograd.grad(energy, given)[0]
        away = detached - network(detached).x_hat.detach()
        detached = detached - 0.3 * away**2 * brain * (2 * away + 0.2 * (detached - y).sign())
    _, moved = projection_scores(network, y, brain, 3, options)
    assert torch.allclose(moved, x * brain, atol=1e-6)
    assert (moved - detached).abs().max() > 1e-4
    options = Projection(3, 0.3, 0.2, normalised=False, through_network=False, smoothing=0.0)
    _, moved = projection_scores(network, y, brain, 3, options)
    assert torch.allclose(moved, detached * brain, atol=1e-6)


def test_the_papers_constants_do_in_unit_range_what_they_do_from_minus_one_to_one():
    y, brain = (part.double() for part in standins.slices())
    signed, target = 2 * y - 1, 2 * 0.25 - 1
    x = signed.clone()
    for _ in range(30):  # the paper: alpha .5, lambda .05, squared errors
        away = x - target
        x = x - 0.5 * brain * away**2 * (2 * away + 0.05 * (x - signed).sign())
    _, moved = projection_scores(standins.Affine(offset=0.25), y, brain, 4, Projection.dehaene(steps=30))
    assert torch.allclose(moved, (x + 1) / 2 * brain, atol=1e-9)


def test_batches_of_1_and_16_project_alike():
    y, brain = standins.slices(6)
    network = standins.Small()
    alone, _ = projection_scores(network, y, brain, 1, Projection(), "absolute")
    together, _ = projection_scores(network, y, brain, 16, Projection(), "absolute")
    assert alone.max() > 0.01
    assert (alone - together).abs().max() < 1e-5
