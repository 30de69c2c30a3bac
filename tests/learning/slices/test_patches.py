"""Patches: whole slices against single patches, nearest neighbours against brute force, and published slips."""

import itertools

import pytest

torch = pytest.importorskip("torch")

from flairline import registry
from flairline.errors import InputError
from flairline.learning.loop import Budget
from flairline.learning.networks.memory import PatchMemory, heights, nearest_of_all, spread_out
from flairline.learning.networks.patches import PatchSizes, PatchSvddModel, TwoScaleEncoder, cut, share_of, spread
from flairline.learning.slices.patch_objectives import (
    PATCHES,
    PatchSvdd,
    large_shifts,
    pairs,
    small_shifts,
)
from flairline.learning.slices.patch_scorers import PatchSearch, healthy_scale, remember, staggered, svdd_scores

SIZES = PatchSizes(size=32, patch=8, code=8, filters=8, levels=8, memory=500, memory_slices=30)


def drawn(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def slices():
    images = torch.rand((6, 1, 32, 32), generator=drawn())
    brains = torch.zeros_like(images)
    brains[..., 4:29, 5:30] = 1
    return images * brains, brains


# ---- networks -----------------------------------------------------------------------------------------------


def test_a_whole_slice_gives_the_codes_of_its_patches(slices):
    torch.manual_seed(0)
    encoder = TwoScaleEncoder(SIZES).eval()
    with torch.no_grad():
        on_grid = [encoder.on_grid(slices[0], scale) for scale in (0, 1)]
        for scale, (row, column) in itertools.product((0, 1), ((0, 0), (2, 1), (4, 3))):
            corner = (torch.tensor([4 * row]), torch.tensor([4 * column]))
            patch = cut(slices[0], torch.tensor([3]), *corner, 8 * 2**scale)
            alone = encoder.codes(patch, scale)[0, :, 0, 0]
            assert torch.allclose(on_grid[scale][3, :, row, column], alone, atol=1e-6)
    assert [codes.shape[-1] for codes in on_grid] == [SIZES.side(1), SIZES.side(2)] == [7, 5]


def test_patches_of_thirty_two_have_the_published_network():
    encoder = TwoScaleEncoder(PatchSizes(patch=32))
    assert sum(parameter.numel() for parameter in encoder.parameters()) == pytest.approx(401_000, abs=1_000)
    x = torch.rand((1, 1, 64, 64))
    assert [tuple(codes.shape[2:]) for codes in (encoder.codes(x[..., :32, :32], 0), encoder.codes(x, 1))] == [
        (1, 1),
        (1, 1),
    ]


def test_a_pixel_has_the_mean_of_the_patches_that_cover_it():
    values = torch.rand((1, 7, 7), generator=drawn())
    valid = torch.rand((1, 7, 7), generator=drawn(1)) > 0.3
    found = spread(values, valid, 8, 4, 34)[0, 0]
    for y, x in itertools.product(range(34), range(34)):
        covering = [
            float(values[0, r, c])
            for r, c in itertools.product(range(7), range(7))
            if 4 * r <= y < 4 * r + 8 and 4 * c <= x < 4 * c + 8 and valid[0, r, c]
        ]
        assert float(found[y, x]) == pytest.approx(sum(covering) / len(covering) if covering else 0, abs=1e-6)


def test_patches_that_fit_no_grid_are_refused():
    for wrong in ({"patch": 12}, {"stride": 3}, {"patch": 16, "stride": 32}, {"size": 16}):
        with pytest.raises(ValueError, match="no patches of"):
            PatchSizes(**wrong)


# ---- the memory ---------------------------------------------------------------------------------------------


def filled(capacity=500, count=400, side=5, levels=8):
    memory = PatchMemory(capacity, 6, side, levels)
    codes = torch.randn((count, 6), generator=drawn())
    places = torch.stack([torch.randint(most, (count,), generator=drawn(7)) for most in (levels, side, side)], dim=1)
    places[:, 1] = torch.randint(side, (count,), generator=drawn(8))
    places[:, 2] = torch.randint(side, (count,), generator=drawn(9))
    memory.keep(codes, places)
    return memory, codes.half().float(), places


@pytest.mark.parametrize("reach", [(0, 0), (1, 1), (2, 2), (100, 100)])
def test_the_nearest_is_that_of_brute_force(reach):
    memory, codes, places = filled()
    queries = torch.randn((6, 5, 5), generator=drawn(3))
    for level in (0, 4, 7):
        found = memory.nearest(queries, level, reach)
        for row, column in itertools.product(range(5), range(5)):
            away = (codes - queries[:, row, column]).norm(dim=1)
            apart = (places - torch.tensor([level, row, column])).abs()
            near = (apart[:, 0] <= reach[0]) & (apart[:, 1:] <= reach[1]).all(dim=1)
            wanted = away[near].min() if near.any() else away.min()
            assert float(found[row, column]) == pytest.approx(float(wanted), abs=1e-5)


def test_places_that_are_not_wanted_are_not_looked_for():
    memory, _, _ = filled()
    queries, wanted = torch.randn((6, 5, 5), generator=drawn(3)), torch.zeros((5, 5), dtype=torch.bool)
    wanted[1:4, 2:] = True
    for reach in ((0, 0), (1, 1)):
        whole = memory.nearest(queries, 4, reach)
        found = memory.nearest(queries, 4, reach, wanted)
        assert torch.allclose(found, torch.where(wanted, whole, torch.zeros(()))), reach


def test_a_chunked_search_is_the_whole_one(monkeypatch):
    codes, known = torch.randn((50, 6), generator=drawn(1)), torch.randn((90, 6), generator=drawn(2))
    whole = nearest_of_all(codes, known)
    monkeypatch.setattr("flairline.learning.networks.memory.MOST_DISTANCES", 200)
    assert torch.equal(nearest_of_all(codes, known), whole)
    assert torch.allclose(whole, (codes[:, None] - known[None]).norm(dim=2).min(dim=1).values, atol=1e-5)


def test_a_full_memory_keeps_every_place_and_what_is_farthest_apart():
    memory, _, places = filled(capacity=300, count=4000)
    kept = memory.places[memory.places[:, 0] >= 0]
    assert 200 <= len(kept) <= 300
    assert {tuple(place) for place in kept.tolist()} == {tuple(place) for place in places.tolist()}
    line = torch.tensor([[0.0], [0.1], [0.2], [5.0], [9.0], [9.1]])
    assert spread_out(line, 3).tolist() == [0, 3, 5] and len(spread_out(line, 99)) == 6


def test_its_bytes_are_those_that_are_stated():
    memory = PatchMemory(1000, 64, 29, 48)
    assert sum(buffer.numel() * buffer.element_size() for buffer in memory.buffers()) == 134 * 1000


def test_heights_go_from_the_lowest_slice_to_the_highest():
    brains = torch.zeros((7, 1, 32, 32))
    brains[1:6, :, 4:20, 4:20] = 1
    assert heights(brains).tolist() == pytest.approx([0, 0, 0.25, 0.5, 0.75, 1, 1])
    assert heights(brains[:2]).tolist() == [0.5, 0.5]


class Uniform:
    """A healthy scan of so many slices that are brain throughout."""

    def __init__(self, count):
        self.count = count

    def at(self, kept):
        return torch.ones((len(kept), 1, 32, 32)), torch.ones((len(kept), 1, 32, 32))


def test_few_slices_of_each_scan_fill_every_height():
    """Evenly spaced in each scan alike, they would lie at the same 5 of 24 heights."""
    memory = PatchMemory(4000, 6, 5, 24)
    scans = [Uniform(count) for count in (100, 90, 110, 95, 105, 120, 80, 100)]
    remember(lambda images: torch.randn((len(images), 6, 5, 5)), memory, scans, (8, 6), 40, 0.5)
    kept = memory.places[memory.places[:, 0] >= 0]
    assert len(kept[:, 0].unique()) >= 20
    assert int(kept[:, 0].min()) <= 1 and int(kept[:, 0].max()) >= 22
    assert staggered(3, 10, 1).tolist() == [0, 1, 2]


# ---- training -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("patch", [8, 64])
def test_no_patch_is_its_own_neighbour(patch):
    """Published code clips a shifted patch at the border, where it is the same one and its loss is zero."""
    brain = torch.ones((3, 1, 72, 72))
    shift = small_shifts(patch, drawn())
    assert shift.any(dim=1).all() and int(shift.abs().max()) == max(1, patch // 32)
    found = pairs(brain, patch, shift, 0.5, drawn(1))
    moved = torch.stack([found.second[axis] - found.first[axis] for axis in (0, 1)], dim=1)
    assert len(moved) == PATCHES and torch.equal(moved, shift[found.kind])
    for corner in (*found.first, *found.second):
        assert corner.min() >= 0 and corner.max() <= 72 - patch


def test_patches_lie_within_the_brain_and_in_the_place_that_is_said(slices):
    _, brain = slices
    shift, place = large_shifts(8, drawn())
    found = pairs(brain, 8, shift, 1.0, drawn(1))
    share = share_of(brain, 8, 1)
    for corner in (found.first, found.second):
        assert (share[found.number, corner[0], corner[1]] == 1).all()
    moved = torch.stack([found.second[axis] - found.first[axis] for axis in (0, 1)], dim=1)
    directions = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]
    for (y, x), kind in zip(moved.sign().tolist(), place[found.kind].tolist(), strict=True):
        assert (y, x) == directions[kind]
    assert 6 <= int(moved.abs().max()) <= 8
    assert len(pairs(brain[..., :12, :12], 8, shift, 1.0, drawn(1)).number) == 0


def test_the_classifiers_last_layer_learns(slices):
    """Published code normalises its weight without a gradient and uses the copy: it stays as it was drawn."""
    objective = PatchSvdd(PatchSvddModel(SIZES), Budget(1), 1e-3)
    objective.loss(slices).backward()
    assert objective.network.classifiers[0].layers[-1].weight.grad.abs().max() > 0


def test_neighbours_count_by_their_distance_not_its_square(slices):
    torch.manual_seed(0)
    model, generator = PatchSvddModel(SIZES), drawn()
    objective = PatchSvdd(model, Budget(1), 1e-3)
    near = pairs(slices[1], 8, small_shifts(8, generator), 0.5, generator)
    codes = [
        model.encoder.codes(cut(slices[0], near.number, *corner, 8), 0)[:, :, 0, 0]
        for corner in (near.first, near.second)
    ]
    lighter = PatchSvdd(model, Budget(1), 1e-3, near_weight=0.0)
    difference = objective._at_scale(slices, 0, drawn()) - lighter._at_scale(slices, 0, drawn())
    assert torch.allclose(difference, (codes[0] - codes[1]).norm(dim=1).mean(), atol=1e-5)


# ---- scores -------------------------------------------------------------------------------------------------


def test_a_healthy_scale_is_median_and_deviation():
    found = healthy_scale([torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0, 100.0])])
    assert found.tolist() == [3.0, 1.0]
    assert (healthy_scale([torch.zeros(5)]) > 0).all()


def test_both_scales_are_fused_as_they_are_said_to_be(slices):
    torch.manual_seed(0)
    model = PatchSvddModel(SIZES).eval()
    model.usual[:] = torch.tensor([[0.02, 0.01], [0.5, 0.1]])
    for memory in model.memories:
        memory.keep(torch.zeros((1, 8)), torch.zeros((1, 3), dtype=torch.long))
    x, brain = slices
    found = {fuse: svdd_scores(model, x, brain, 4, PatchSearch(), fuse)[0] for fuse in ("product", "sum")}
    maps = []
    for scale in (0, 1):  # all patches are compared with the one that is kept, a code of zeros
        codes = model.encoder.on_grid(x, scale).detach().norm(dim=1)
        valid = share_of(brain, 8 * 2**scale, 4) >= 0.5
        maps.append([spread(codes - less, valid, 8 * 2**scale, 4, 32) for less in (0, model.usual[scale, 0])])
    (first, first_less), (second, second_less) = maps
    product = (first / 0.02 * second / 0.5).clamp(min=1e-24).sqrt() * brain
    assert torch.allclose(found["product"], product, rtol=1e-4, atol=1e-5)
    wanted = ((first_less / 0.01 + second_less / 0.1) / 2).clamp(min=0) * brain
    assert torch.allclose(found["sum"], wanted, rtol=1e-4, atol=1e-4)
    with pytest.raises(InputError, match="product"):
        svdd_scores(model, x, brain, 4, PatchSearch(), "mean")


def test_a_product_of_tiny_distances_does_not_underflow(slices):
    model = PatchSvddModel(SIZES).eval()
    model.usual[:] = 1e-30
    for parameter in model.parameters():
        parameter.data *= 0
    model.encoder.small[-2].bias.data += 1e-30
    model.encoder.large[-2].bias.data += 1e-30
    for memory in model.memories:
        memory.keep(torch.zeros((1, 8)), torch.zeros((1, 3), dtype=torch.long))
    score, _ = svdd_scores(model, *slices, 4, PatchSearch())
    assert torch.isfinite(score).all()


def test_it_does_not_reconstruct_and_its_model_says_no_error(trained):
    pytest.importorskip("lightning")
    method = registry.load("methods", "patch_svdd")()
    config = method.load(trained("patch_svdd")).model.config()
    assert not method.info.reconstructs and "l1_healthy" not in config
    assert "Reconstruction error" not in (trained("patch_svdd") / "model_card.md").read_text()
