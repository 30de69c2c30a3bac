import numpy as np
import pytest

from flairline import recipes, registry
from flairline.errors import InputError, UnknownNameError
from flairline.postprocess.threshold import BrainQuantile, GivenValue


def test_the_paper_and_the_default():
    paper, brightest = recipes.load("paper"), recipes.load("brightest")
    assert paper.method == "histeq" and paper.threshold is None and paper.components.legacy_filled_area
    assert brightest.threshold is not None and brightest.components.smallest_kept_voxels == 20
    assert recipes.load("default").threshold is not None


def test_every_method_is_a_recipe():
    assert set(registry.names("methods")) <= set(recipes.names())
    for name in registry.names("methods"):
        recipe = recipes.load(name)
        assert (recipe.name, recipe.method) == (name, name)


def test_an_unknown_recipe_names_the_closest():
    with pytest.raises(UnknownNameError, match="Did you mean 'paper'"):
        recipes.load("papr")


@pytest.mark.parametrize(
    ("method", "rule", "fixed"),
    [
        ("histeq", BrainQuantile(0.98), True),
        ("histeq", GivenValue(0.95), True),
        ("intensity", BrainQuantile(0.98), True),
        ("intensity", GivenValue(300), False),
    ],
)
def test_a_fixed_share_is_called_one(method, rule, fixed):
    note = recipes.load(method).note(rule)
    assert ("a fixed share of every brain, not a measurement" in note) == fixed


def test_an_equalised_map_marks_the_same_share_of_every_brain(scan):
    """Why the note is there."""
    recipe = recipes.load("histeq")
    score = recipe.scorer()(scan)
    for value in (0.5, 0.9):
        share = (score.array >= value)[scan.brain.array].mean()
        assert share == pytest.approx(1 - value, abs=0.02)


def test_mask_and_threshold(scan, head):
    recipe = recipes.load("intensity")
    mask, threshold = recipe.mask(recipe.scorer()(scan), scan.brain, GivenValue(300))
    np.testing.assert_array_equal(mask.array, head.truth)
    assert threshold.value == 300 and threshold.chosen_on == "user"


def test_the_listing_has_every_name_with_paper_training_and_cost():
    rows = recipes.listing()
    assert [row["name"] for row in rows] == recipes.names()
    assert all(row[key] for row in rows for key in ("name", "kind", "paper", "training", "cost", "needs"))


def test_default_asks_the_methods_in_the_order_of_their_rank(monkeypatch):
    """What keeps the first from running is said, and the next is taken."""
    from flairline.methods import local_zscore, synthetic_unet

    assert synthetic_unet.Method.info.default_rank < local_zscore.Method.info.default_rank
    monkeypatch.setattr(synthetic_unet.Method, "obstacle", lambda self: "for lack of power")
    recipe = recipes.load("default")
    assert (recipe.name, recipe.method) == ("default", "local_zscore")
    assert recipe.why == "the best rule without training, for lack of power"
    monkeypatch.setattr(local_zscore.Method, "obstacle", lambda self: "for lack of time")
    with pytest.raises(InputError, match=r"for lack of power; for lack of time.*flairline methods"):
        recipes.load("default")


def test_what_one_method_has_and_what_it_lacks_is_said_by_its_info():
    assert recipes.ready_reconstruction(recipes.load("histeq")) is None
    assert recipes.load("synthetic_unet").rater is not None and recipes.load("histeq").rater is None
