"""What keeps an autoencoder with skip connections from copying: channels that are dropped."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from torch.utils.data import DataLoader

from flairline.learning.data import TrainingData
from flairline.learning.loop import Budget
from flairline.learning.networks.autoencoders import Architecture, SkipAutoencoder
from flairline.learning.slices.objectives import Reconstruct
from flairline.learning.slices.scorers import residual_scores
from flairline.learning.slices.slice_cache import ValidationSlices, store_slices
from flairline.learning.slices.slices import SliceGrid


@pytest.fixture(scope="module")
def slices(phantoms, tmp_path_factory):
    """Healthy slices of two phantoms to learn from and of one to judge, 32 x 32."""
    stores = store_slices(TrainingData(phantoms(3)), SliceGrid(32), tmp_path_factory.mktemp("slices"))
    return [next(iter(DataLoader(ValidationSlices(part, 32), 32))) for part in (stores[:2], stores[2:])]


def left_of_the_disc(skip_dropout: float, slices) -> float:
    """Share of a foreign disc's brightness that stays in the residual after 300 steps; 0 is a perfect copy."""
    torch.manual_seed(0)
    architecture = Architecture(
        size=32, filters=8, max_filters=16, bottom=4, latent=16, dropout=0.0, skip_dropout=skip_dropout
    )
    network, ((images, brains), (held, held_brains)) = SkipAutoencoder(architecture), slices
    objective = Reconstruct(network, Budget(300), 3e-3)
    optimizer = torch.optim.Adam(objective.parameters(), 3e-3)
    for step in range(300):
        chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(step))[:8]
        optimizer.zero_grad()
        objective.loss((images[chosen], brains[chosen])).backward()
        optimizer.step()
    network.eval()
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    disc = (((y - 16) ** 2 + (x - 13) ** 2) <= 3**2)[None, None] & (held_brains > 0)
    with_disc = torch.where(disc, torch.ones_like(held), 0.5 * held)  # brighter by half or more than all around
    _, x_hat = residual_scores(network, with_disc, held_brains, 32, n_mc=20, seed=0)
    _, before = residual_scores(network, 0.5 * held, held_brains, 32, n_mc=20, seed=0)
    added = (with_disc - 0.5 * held)[disc].sum()
    return float(1 - (x_hat - before)[disc].sum() / added)


def test_dropped_skips_copy_a_foreign_disc_less(slices):
    copied, kept_out = (left_of_the_disc(share, slices) for share in (0.0, 0.9))
    assert copied < 0.5 * kept_out, "without dropout the disc passes through the skips"
