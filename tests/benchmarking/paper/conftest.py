"""What tests of the paper's tables and figures share: a finished benchmark, and one with a network."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flairline import recipes
from flairline.benchmarking import controls
from flairline.benchmarking.plan import Plan
from flairline.benchmarking.run import run
from flairline.benchmarking.source import RecipeSource
from flairline.datasets.phantom import Dataset as Phantoms
from flairline.evaluation import protocols
from flairline.learning.data import TrainingData
from flairline.learning.run import TrainingRun


@pytest.fixture
def done(cases, small, tmp_path):
    sources = [RecipeSource(recipes.load(name)) for name in ("histeq", *controls.names())]
    return run(Plan(cases, sources, [small, replace(small, name="experiment-2", slices=(6, 12))], tmp_path / "out"))


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory):
    """A tiny autoencoder after a few steps."""
    pytest.importorskip("lightning")
    from flairline import registry

    folder = tmp_path_factory.mktemp("model")
    healthy = Phantoms(folder / "healthy", spacing_mm=4.0, seed=3).healthy(2)
    registry.load("methods", "ae_dense")().train(TrainingData(healthy), TrainingRun(folder / "ae", "test", 0.2))
    return folder / "ae"


@pytest.fixture(scope="module")
def judged(autoencoder, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    cases = Phantoms(out / "phantoms", subjects=2, spacing_mm=4.0, seed=1).cases()
    sources = [RecipeSource(recipes.load(name)) for name in (f"ae_dense={autoencoder}", "histeq")]
    return out, cases, sources, run(Plan(cases, sources, [protocols.load("sound")], out))
