"""Tokens and transformers: likelihood by hand, orderings, drawing anew, and what published code gets wrong."""

import copy
import itertools

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("einops")

from flairline.errors import InputError
from flairline.learning.loop import Budget
from flairline.learning.networks.decoding import Reader
from flairline.learning.networks.tokens import MOST_ORDERINGS, TokenModel, TokenSizes, orderings
from flairline.learning.slices import token_objective
from flairline.learning.slices.token_objective import TokenBound, revive
from flairline.learning.slices.token_scorers import Resampling, gumbel, healthy_log_p, resampled, token_scores

SIZES = TokenSizes(32, (8, 8), codes=5, code_size=8, width=16, depth=2, heads=2, orderings=3)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    made = TokenModel(SIZES).eval().requires_grad_(False)
    for transformer in made.transformers:
        transformer.to_logits.weight *= 8  # far from all codes alike
    made.healthy_log_p.copy_(torch.linspace(-6, 0, 1001).expand(3, -1))
    return made


@pytest.fixture(scope="module")
def slices():
    images = torch.rand((5, 1, 32, 32), generator=torch.Generator().manual_seed(1))
    brains = torch.zeros_like(images)
    brains[..., 6:28, 4:30] = 1
    return images * brains, brains


# ---- orderings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [1, 4, 5])
def test_every_ordering_is_a_permutation_whose_way_back_undoes_it(side):
    found = orderings(side, MOST_ORDERINGS)
    for order in found:
        assert torch.equal(order.sort().values, torch.arange(side**2))
        assert torch.equal(order[order.argsort()], torch.arange(side**2))
    assert side == 1 or len({tuple(order.tolist()) for order in found}) == MOST_ORDERINGS
    assert torch.equal(orderings(side, MOST_ORDERINGS), found), "nothing is drawn, so nothing has to be kept"


def test_the_first_two_orderings_begin_at_either_end():
    first, second, *_ = orderings(4, 2)
    assert torch.equal(first, second.flip(0))


def test_what_is_put_in_order_comes_back_to_its_place(model):
    grid = torch.randint(0, 5, (2, 64), generator=torch.Generator().manual_seed(0))
    assert torch.equal(model.in_place(model.in_order(grid)), grid.expand(3, 2, 64))


def test_sizes_that_make_no_grid_are_refused():
    for wrong in ({"size": 30}, {"orderings": 9}):
        with pytest.raises(ValueError, match="no tokens of"):
            TokenSizes(**wrong)


# ---- likelihood ---------------------------------------------------------------------------------------------


def test_the_likelihood_is_the_sum_of_log_probabilities_by_hand():
    """Of a grid of 2 x 2 and two codes: each token's probability given the ones before it, one at a time."""
    torch.manual_seed(3)
    tiny = TokenModel(TokenSizes(4, (4,), codes=2, code_size=4, width=4, depth=1, heads=1, orderings=2)).eval()
    for number in range(2):
        total = 0.0
        for tokens in itertools.product((0, 1), repeat=4):
            sequence = torch.tensor([tokens])
            by_hand, before = 0.0, [2]
            for token in tokens:
                logits = tiny.transformers[number](torch.tensor([before]))[0, -1, :2]
                by_hand = by_hand + torch.log(torch.exp(logits[token]) / torch.exp(logits).sum())
                before.append(token)
            found = tiny.log_p(number, sequence).sum()
            assert torch.allclose(found, by_hand, atol=1e-5)
            total += float(found.detach().exp())
        assert total == pytest.approx(1.0, abs=1e-5), "over all grids; the token before the first takes no share"


def test_an_unlikely_token_has_a_finite_logarithm(model):
    """MONAI's get_likelihood takes the logarithm of a softmax, which underflows to minus infinity."""
    sure = copy.deepcopy(model)
    sure.transformers[0].to_logits.bias.data[:] = torch.tensor([400.0, 0, 0, 0, 0, 0])
    found = sure.log_p(0, torch.ones((1, 64), dtype=torch.long))
    assert torch.isfinite(found).all() and found.max() < -300


def test_the_likelihood_score_is_minus_the_mean_over_orderings(model, slices):
    x, brain = slices
    score, restored = token_scores(model, x, brain, 2, Resampling("likelihood"))
    tokens = model.tokens(x)
    log_p = torch.stack([model.log_p(k, tokens[:, model.order[k]])[:, model.back[k]] for k in range(3)])
    cells = -log_p.mean(dim=0).view(5, 1, 8, 8)
    wanted = torch.nn.functional.interpolate(cells, size=(32, 32), mode="bilinear", align_corners=False)
    assert torch.allclose(score, wanted * brain, atol=1e-5)
    assert torch.allclose(restored, model(x).x_hat * brain, atol=1e-5)


def test_quantiles_are_of_cells_with_brain(model, slices):
    x, brain = slices
    found = healthy_log_p(model, [slices], batch=2)
    tokens = model.tokens(x)
    log_p = torch.stack([model.log_p(k, tokens[:, model.order[k]])[:, model.back[k]] for k in range(3)])
    inside = torch.nn.functional.max_pool2d(brain, 4).flatten(1) > 0
    for k, values in enumerate(log_p[:, inside]):
        assert torch.allclose(found[k, [0, -1]], torch.stack([values.min(), values.max()]), atol=1e-5)
        assert torch.allclose(found[k, 500], values.median(), atol=0.05)
    assert model.healthy(0.5).tolist() == pytest.approx([-3] * 3)
    assert model.healthy(0.25).tolist() == pytest.approx([-4.5] * 3)


# ---- drawing anew -------------------------------------------------------------------------------------------


def one_by_one(model, sequences, unlikely, noise):
    """Slice by slice, ordering by ordering, and the whole prefix anew for each token, as MONAI's parts give it."""
    result = sequences.clone()
    for k, n in itertools.product(range(result.shape[0]), range(result.shape[1])):
        for place in torch.nonzero(unlikely[k, n])[:, 0].tolist():
            before = torch.cat([torch.tensor([model.sizes.codes]), result[k, n, :place]])
            logits = model.transformers[k](before[None])[0, -1, : model.sizes.codes]
            result[k, n, place] = (logits + noise[k, place]).argmax()
    return result


def test_all_slices_and_orderings_together_draw_what_a_loop_draws(model, slices):
    x, _ = slices
    sequences = model.in_order(model.tokens(x))
    unlikely = torch.rand(sequences.shape, generator=torch.Generator().manual_seed(2)) < 0.2
    unlikely[:, 3] = False
    noise = gumbel(model, 0)
    reader = Reader(list(model.transformers))
    known = torch.stack([model.log_shares(k, part) for k, part in enumerate(sequences)])
    found = resampled(reader, sequences, unlikely, noise, known, "sequential")
    assert torch.equal(found, one_by_one(model, sequences, unlikely, noise))
    assert torch.equal(found[~unlikely], sequences[~unlikely]), "what is likely stays"
    assert (found != sequences).any() and found.max() < SIZES.codes, "the token before the first is never drawn"
    parallel = resampled(reader, sequences, unlikely, noise, known, "parallel")
    assert not torch.equal(parallel, found), "the published short cut does not see what it drew before"
    assert torch.equal(parallel[~unlikely], sequences[~unlikely])


def test_the_noise_draws_by_the_probabilities(model):
    logits = torch.tensor([1.0, 0.0, -1.0, 0.5, -3.0])
    draws = torch.cat([(logits + gumbel(model, seed)).argmax(dim=-1).flatten() for seed in range(40)])
    shares = torch.bincount(draws, minlength=5) / len(draws)
    assert torch.allclose(shares, logits.softmax(dim=0), atol=0.02)


def test_the_reader_is_the_transformers(model):
    tokens = torch.randint(0, 5, (3, 2, 64), generator=torch.Generator().manual_seed(0))
    reader = Reader(list(model.transformers))
    reader.begin(2)
    for start, stop in ((0, 10), (10, 11), (11, 40)):
        logits = reader.go_on(tokens[..., start:stop])
        for k, transformer in enumerate(model.transformers):
            assert torch.allclose(logits[k], transformer(tokens[k, :, :stop])[:, -1], atol=1e-5)


def test_one_unlikely_token_a_sequence_needs_nothing_to_be_read_anew(model, slices):
    sequences = model.in_order(model.tokens(slices[0]))
    unlikely = torch.zeros(sequences.shape, dtype=torch.bool)
    for k, n in itertools.product(range(3), range(5)):
        unlikely[k, n, 7 * k + 3 * n] = True
    known = torch.stack([model.log_shares(k, part) for k, part in enumerate(sequences)])
    reader, noise = Reader(list(model.transformers)), gumbel(model, 1)
    found = resampled(reader, sequences, unlikely, noise, known, "sequential")
    assert torch.equal(found, one_by_one(model, sequences, unlikely, noise)) and reader.read == 0


@pytest.mark.parametrize("score", ["restoration", "restoration_masked", "likelihood"])
def test_a_slices_score_does_not_depend_on_the_batch(model, slices, score):
    options = Resampling(score, healthy_share=0.3, samples=2)
    alone = torch.cat([token_scores(model, *(p[n : n + 1] for p in slices), 1, options)[0] for n in range(5)])
    together, _ = token_scores(model, *slices, 16, options)
    assert together.max() > 0 and torch.allclose(alone, together, atol=1e-5)


def test_the_mask_takes_away_what_the_decoder_cannot_show(model, slices):
    x, brain = slices
    whole, _ = token_scores(model, x, brain, 4, Resampling("restoration", threshold=1e-30))
    masked, _ = token_scores(model, x, brain, 4, Resampling("restoration_masked", threshold=1e-30))
    assert whole.max() > 0 and not masked.any(), "nothing was unlikely, so nothing was drawn anew"
    some, _ = token_scores(model, x, brain, 4, Resampling("restoration_masked", healthy_share=0.3))
    assert some.any() and (some <= token_scores(model, x, brain, 4, Resampling("restoration", 0.3))[0] + 1e-5).all()


def test_unknown_words_are_refused(model, slices):
    for wrong in (Resampling("best"), Resampling(sampler="guess")):
        with pytest.raises(InputError, match="Wanted one of"):
            token_scores(model, *slices, 2, wrong)


# ---- training -----------------------------------------------------------------------------------------------


class Timed(TokenBound):
    """An objective whose budget is spent as the test says."""

    share = 0.0

    def spent(self, step=None):
        return self.share


def test_the_codebook_rests_while_the_transformers_learn(slices):
    torch.manual_seed(0)
    objective = Timed(TokenModel(SIZES), Budget(10), 1e-3).train()
    before = {name: tensor.clone() for name, tensor in objective.network.vq.state_dict().items()}
    objective.share = 0.5
    objective.loss(slices).backward()
    assert all(torch.equal(tensor, before[name]) for name, tensor in objective.network.vq.state_dict().items())
    assert all(p.grad is None for p in objective.network.vq.parameters())
    assert objective.network.transformers[0].to_logits.weight.grad.any()
    objective.share = 0.0
    objective.loss(slices).backward()
    assert not torch.equal(
        objective.network.vq.quantizer.quantizer.embedding.weight, before["quantizer.quantizer.embedding.weight"]
    )


def test_the_codebook_moves_slower_and_slower(slices):
    """MONAI's default decay of .5 would forget all but the last few batches."""
    objective = Timed(TokenModel(SIZES), Budget(10), 1e-3).train()
    decays = []
    for share in (0.0, 0.02, 0.04, 0.3):
        objective.share = share
        objective.loss(slices)
        decays.append(objective.network.vq.quantizer.quantizer.decay)
    assert decays == pytest.approx([0.5, 0.745, 0.99, 0.99])
    assert TokenModel(SIZES).vq.quantizer.quantizer.decay == 0.99


def test_codes_that_nobody_has_are_put_among_the_cells(slices):
    torch.manual_seed(0)
    made = TokenModel(TokenSizes(32, (8, 8), codes=16, code_size=8, width=16, depth=1, heads=2)).eval()
    before = len(made.tokens(slices[0]).unique())
    revive(made, *slices)
    assert len(made.tokens(slices[0]).unique()) > max(4, before)


def test_the_rates_follow_each_parts_share_of_the_budget():
    objective = Timed(TokenModel(SIZES), Budget(10), 1e-3)
    configured = objective.configure_optimizers()
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    rates = []
    for share in (0.0, token_objective.FIRST_SHARE / 2, token_objective.FIRST_SHARE + 0.05, 1.0):
        objective.share = share
        optimizer.step()
        scheduler.step()
        rates.append([group["lr"] for group in optimizer.param_groups])
    first, then = zip(*rates, strict=True)
    assert first == pytest.approx((1e-3, 5e-4, 0, 0), abs=2e-6)
    assert then[0] < 3e-5 and then[2] > 9e-4 and then[3] == pytest.approx(0, abs=2e-6)
