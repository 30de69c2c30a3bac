"""Residual and gradient scores against what autograd and arithmetic say."""

import contextlib
import importlib.util
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from flairline.errors import InputError, ModelError
from flairline.learning.slices.scorers import Gradient, gradient_scores, residual_scores, smooth

_spec = importlib.util.spec_from_file_location("standins", Path(__file__).with_name("standins.py"))
standins = sys.modules.setdefault("standins", importlib.util.module_from_spec(_spec))
if not hasattr(standins, "Small"):
    _spec.loader.exec_module(standins)


def test_the_sign_says_which_differences_count():
    y, brain = standins.slices(2)
    network = standins.Affine(offset=0.5)
    positive, x_hat = residual_scores(network, y, brain, 2)
    absolute, _ = residual_scores(network, y, brain, 2, "absolute")
    assert torch.equal(x_hat, 0.5 * brain)
    assert torch.allclose(positive, torch.relu(y - 0.5) * brain)
    assert torch.allclose(absolute, (y - 0.5).abs() * brain)
    assert (absolute[brain == 0] == 0).all()
    assert positive[y < 0.5].max() == 0
    assert not torch.equal(positive, absolute)


def test_an_unknown_sign_is_refused():
    y, brain = standins.slices(1)
    with pytest.raises(InputError, match="'positive' or 'absolute', found 'both'"):
        residual_scores(standins.Affine(), y, brain, 1, "both")


class Drawn(torch.nn.Module):
    """x_hat is the next of some constants at each draw."""

    level = 0.0

    def forward(self, x):
        return standins.Output(torch.full_like(x, self.level), None, None)


@pytest.fixture
def draws(monkeypatch):
    """A network that draws from the generator it is given, in place of one with dropout."""

    @contextlib.contextmanager
    def drawn_masks(network, generator):
        network.level = float(torch.rand((), generator=generator))
        yield

    monkeypatch.setattr("flairline.learning.slices.scorers.drawn_masks", drawn_masks)
    generator = torch.Generator().manual_seed(3)
    return [float(torch.rand((), generator=generator)) for _ in range(5)]


def test_draws_are_averaged(draws):
    y, brain = standins.slices(3)
    score, x_hat = residual_scores(Drawn(), y, brain, 2, "absolute", n_mc=5, seed=3)
    mean = torch.tensor(draws).mean()
    assert torch.allclose(x_hat, mean * brain, atol=1e-6)
    assert torch.allclose(score, (y - mean).abs() * brain, atol=1e-6)


def test_draws_divide_the_residual_by_their_spread(draws):
    y, brain = standins.slices(3)
    score, _ = residual_scores(Drawn(), y, brain, 2, "absolute", n_mc=5, seed=3, normalise_by_std=True)
    mean, std = torch.tensor(draws).mean(), torch.tensor(draws).std(unbiased=False)
    assert torch.allclose(score, (y - mean).abs() * brain / (std + 0.01), atol=1e-5)


def test_draws_are_the_seeds(draws):
    y, brain = standins.slices(3)
    one, again, other = (residual_scores(Drawn(), y, brain, 2, n_mc=4, seed=seed)[1] for seed in (3, 3, 4))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_a_spread_needs_two_draws():
    y, brain = standins.slices(1)
    with pytest.raises(InputError, match="found 1"):
        residual_scores(standins.Affine(), y, brain, 1, n_mc=1, normalise_by_std=True)


def by_autograd(network, x, reconstruction="l1"):
    """Gradients of KL and of reconstruction, and the reconstruction error of each pixel, from the plain loss."""
    given = x.clone().requires_grad_()
    found = network(given)
    normal = torch.distributions.Normal(found.mu, found.log_sigma.exp())
    kl = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).sum()
    residual = given - found.x_hat
    error = residual.abs() if reconstruction == "l1" else 0.5 * residual**2
    (of_kl,) = torch.autograd.grad(kl, given, retain_graph=True)
    (of_rec,) = torch.autograd.grad(error.sum(), given)
    return of_kl, of_rec, error.detach()


def to_unit(values, brain):
    inside = values[brain > 0]
    return (values - inside.min()) / (inside.max() - inside.min())


@pytest.mark.parametrize("reconstruction", ["l1", "l2"])
@pytest.mark.parametrize("kind", ["kl", "rec", "elbo", "combi", "add"])
def test_gradient_scores_are_autograds(kind, reconstruction):
    network = standins.Small().eval()
    y, brain = standins.slices(4)
    of_kl, of_rec, error = by_autograd(network, y, reconstruction)
    unit = to_unit(of_kl.abs() * brain, brain)
    expected = {
        "kl": of_kl.abs(),
        "rec": of_rec.abs(),
        "elbo": (of_kl * 0.5 + of_rec).abs(),
        "combi": smooth(unit * brain, 6.0) * error,
        "add": unit + to_unit(error * brain, brain),
    }[kind]
    options = Gradient(kind, reconstruction=reconstruction, kl_weight=0.5)
    score, x_hat = gradient_scores(network, y, brain, 3, options)
    assert torch.allclose(score, expected * brain, atol=1e-5)
    assert torch.allclose(x_hat, network(y).x_hat * brain, atol=1e-6)
    assert (score >= 0).all()
    assert (score[brain == 0] == 0).all()
    assert score.max() > 0


def test_the_positive_sign_keeps_what_asks_for_a_darker_image():
    network = standins.Small().eval()
    y, brain = standins.slices(4)
    of_kl, _, _ = by_autograd(network, y)
    score, _ = gradient_scores(network, y, brain, 4, Gradient("kl"), "positive")
    assert (of_kl * brain < 0).any()
    assert torch.allclose(score, of_kl.clamp(min=0) * brain, atol=1e-6)


def test_the_positive_sign_leaves_combis_gradient_its_size():
    network = standins.Small().eval()
    y, brain = standins.slices(4)
    of_kl, _, _ = by_autograd(network, y)
    brighter = (y - network(y).x_hat).clamp(min=0) * brain
    score, _ = gradient_scores(network, y, brain, 4, Gradient("combi"), "positive")
    unit = to_unit(of_kl.abs() * brain, brain)
    assert torch.allclose(score, smooth(unit * brain, 6.0) * brighter, atol=1e-5)


@pytest.mark.parametrize("kind", ["kl", "combi", "add"])
def test_gradient_scores_do_not_hang_on_the_batch_size(kind):
    network = standins.Small().eval()
    y, brain = standins.slices(5)
    alone, _ = gradient_scores(network, y, brain, 1, Gradient(kind))
    together, _ = gradient_scores(network, y, brain, 16, Gradient(kind))
    assert torch.allclose(alone, together, atol=1e-5)


def test_scores_are_brought_to_one_scale_over_the_volume():
    network = standins.Small().eval()
    y, brain = standins.slices(4)
    y[0] = 3 * y[0]  # the volume's scale is this slice's
    of_volume, _ = gradient_scores(network, y, brain, 1, Gradient("add"))
    of_rest, _ = gradient_scores(network, y[1:], brain[1:], 1, Gradient("add"))
    assert of_volume[1:].max() < 0.9 * of_rest.max()


def test_smoothing_keeps_the_sum_and_spreads_with_the_size():
    images = torch.zeros(1, 1, 128, 128)
    images[..., 64, 64] = 1.0
    spread = smooth(images, 6.0)
    assert spread.sum() == pytest.approx(1.0, abs=1e-5)
    assert (spread > 0).sum() == 15 * 15
    assert spread[..., 64, 70] / spread[..., 64, 64] == pytest.approx(0.60653, abs=1e-4)  # exp(-1/2) at one sigma
    small = torch.zeros(1, 1, 64, 64)
    small[..., 32, 32] = 1.0
    assert smooth(small, 6.0)[..., 32, 35] / smooth(small, 6.0)[..., 32, 32] == pytest.approx(0.60653, abs=1e-4)


def test_no_gradient_reaches_the_weights():
    network = standins.Small().eval()
    y, brain = standins.slices(2)
    residual_scores(network, y, brain, 2)
    gradient_scores(network, y, brain, 2, Gradient("elbo"))
    assert all(weight.grad is None for weight in network.parameters())
    assert not y.requires_grad


def test_gradient_scores_run_where_gradients_are_off():
    network = standins.Small().eval()
    y, brain = standins.slices(2)
    expected, _ = gradient_scores(network, y, brain, 2, Gradient())
    with torch.inference_mode():
        score, _ = gradient_scores(network, y.clone(), brain.clone(), 2, Gradient())
    assert torch.equal(score, expected)


def test_a_network_without_a_variance_is_refused():
    y, brain = standins.slices(1)
    with pytest.raises(ModelError, match="without log_sigma"):
        gradient_scores(standins.Small(variational=False), y, brain, 1, Gradient())


def test_an_unknown_kind_is_refused():
    y, brain = standins.slices(1)
    with pytest.raises(InputError, match="kl, rec, elbo, combi, add, found 'grad'"):
        gradient_scores(standins.Small().eval(), y, brain, 1, Gradient("grad"))
