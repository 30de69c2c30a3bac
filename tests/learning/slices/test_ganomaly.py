"""The distance of a patch's codes: by hand, by brute force, and whatever the batch."""

import itertools

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from torch.utils.data import DataLoader, TensorDataset

from flairline.errors import InputError
from flairline.learning.loop import Budget, train
from flairline.learning.networks.ganomaly import Ganomaly
from flairline.learning.networks.patches import PatchSizes, cut, share_of, spread
from flairline.learning.run import TrainingRun
from flairline.learning.slices.ganomaly import DISTANCES, CopyPatches, codes, patch_distance_scores, settle_ganomaly
from flairline.learning.slices.options import PatchSearch

SIZES = PatchSizes(size=32, patch=8, code=6, filters=4, levels=4, memory=2000, memory_slices=30)
CORNERS = list(itertools.product(range(7), range(7)))


class Stored:
    """Stands for the slices of a scan on disk."""

    def __init__(self, images, brains):
        self.images, self.brains, self.count = images, brains, len(images)

    def tensors(self, most=None):
        return self.images, self.brains

    def at(self, kept):
        return self.images[kept], self.brains[kept]


@pytest.fixture(scope="module")
def slices():
    images = torch.rand((6, 1, 32, 32), generator=torch.Generator().manual_seed(0))
    brains = torch.zeros_like(images)
    brains[..., 4:29, 5:30] = 1
    return images * brains, brains


@pytest.fixture(scope="module")
def model(slices):
    torch.manual_seed(0)
    made = Ganomaly(SIZES)
    with torch.no_grad():
        for _ in range(10):  # batch norm sees something
            made(torch.rand((32, 1, 8, 8)))
    made.eval().requires_grad_(False)
    healthy = Stored(
        torch.rand((5, 1, 32, 32), generator=torch.Generator().manual_seed(1)) * slices[1][:5], slices[1][:5]
    )
    settle_ganomaly(made, [healthy], [healthy], PatchSearch())
    return made, healthy


def alone(images, n, row, column):
    return cut(images, torch.tensor([n]), torch.tensor([4 * row]), torch.tensor([4 * column]), 8)


@pytest.fixture(scope="module")
def known(model):
    """Code, height, row and column of each healthy patch."""
    made, healthy = model
    share = share_of(healthy.brains, 8, 4)
    places = [(m, r, c) for m, (r, c) in itertools.product(range(5), CORNERS) if share[m, r, c] >= 0.5]
    return [(made.first(alone(healthy.images, m, r, c)).flatten(), round(3 * m / 4), r, c) for m, r, c in places]


def by_hand(model, known, patch, distance, place):
    """The distance of one patch, no two of them at once."""
    z = model.first(patch).flatten()
    if distance == "ganomaly":
        return (model.second(model.decoder(z.view(1, -1, 1, 1))).flatten() - z).norm()
    if distance == "knn":
        near = [
            (z - code.half().float()).norm()
            for code, *where in known
            if all(abs(a - b) <= 2 for a, b in zip(where, place, strict=True))
        ]
        return torch.stack(near).min()
    values = torch.stack([code for code, *_ in known]).double()
    covariance = torch.cov(values.T)
    largest = torch.linalg.eigvalsh(covariance).max()
    apart = z.double() - values.mean(dim=0)
    return (apart @ torch.linalg.inv(covariance + 1e-4 * largest * torch.eye(6)) @ apart).sqrt()


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_score_is_the_standardised_distance_by_hand(model, known, slices, distance):
    made, _ = model
    x, brain = slices
    found, _ = patch_distance_scores(made, x, brain, 4, PatchSearch(), distance)
    values = torch.zeros((1, 7, 7))
    for row, column in CORNERS:
        values[0, row, column] = by_hand(
            made, known, alone(x, 2, row, column), distance, (round(3 * 2 / 5), row, column)
        )
    median, deviation = made.usual[DISTANCES.index(distance)]
    valid = share_of(brain, 8, 4)[2:3] >= 0.5
    wanted = spread((values - median) / deviation, valid, 8, 4, 32).clamp(min=0)
    assert torch.allclose(found[2], (wanted * brain[2])[0], rtol=1e-3, atol=1e-3) and found[2].max() > 0


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_slices_score_does_not_depend_on_the_batch(model, slices, distance):
    made, _ = model
    one, many = (patch_distance_scores(made, *slices, batch, PatchSearch(), distance)[0] for batch in (1, 16))
    assert torch.allclose(one, many, atol=1e-4)


def test_half_of_held_out_healthy_patches_are_beyond_the_median(model):
    made, healthy = model
    away = torch.cat(
        [
            (made(alone(healthy.images, 0, r, c))[1] - made(alone(healthy.images, 0, r, c))[2]).norm(dim=1)
            for r, c in CORNERS
            if share_of(healthy.brains, 8, 4)[0, r, c] >= 0.5
        ]
    )
    assert 0.2 < float((away > made.usual[0, 0]).float().mean()) < 0.8
    assert codes(made, healthy.images).shape == (5, 6, 7, 7)


def test_an_unknown_distance_is_refused(model, slices):
    with pytest.raises(InputError, match="ganomaly, mahalanobis, knn"):
        patch_distance_scores(model[0], *slices, 2, PatchSearch(), "cosine")


def test_both_players_learn(slices, tmp_path):
    torch.manual_seed(0)
    objective = CopyPatches(Ganomaly(SIZES), Budget(6, validate_every=6, schedule="constant"), 1e-3)
    before = {name: tensor.clone() for name, tensor in objective.network.state_dict().items()}
    batches = DataLoader(TensorDataset(*(part.repeat(8, 1, 1, 1) for part in slices)), 8)
    train(objective, batches, batches, TrainingRun(tmp_path, device="cpu"))
    after = objective.network.state_dict()
    for part in ("first.0.weight", "decoder.0.weight", "second.0.weight", "features.0.weight", "last.weight"):
        assert (after[part] - before[part]).abs().max() > 1e-3, part
    assert objective.global_step == 6, "a batch is one step, of however many optimisers"


def test_patches_that_do_not_halve_are_refused():
    with pytest.raises(ValueError, match="do not halve"):
        Ganomaly(PatchSizes(patch=24, stride=8))
