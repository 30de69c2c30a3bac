"""What every method that is found must keep to, whoever wrote it."""

import dataclasses
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from flairline import recipes, registry
from flairline.errors import MissingExtraError
from flairline.types import Mask, MethodInfo, Scan, Space, Volume

METHODS = registry.names("methods")


@pytest.fixture(scope="module")
def brain_scan() -> Scan:
    """An ellipsoid of 3 mm voxels with two tissues, a bright block, and rubbish outside the brain."""
    shape, rng = (45, 54, 41), np.random.default_rng(0)
    middle = (np.array(shape) - 1) / 2
    away = [(axis - m) / (side / 2 - 4) for axis, m, side in zip(np.indices(shape), middle, shape, strict=True)]
    brain = sum(axis**2 for axis in away) <= 1
    texture = ndimage.gaussian_filter(rng.normal(size=shape), 2)
    flair = np.where(texture > 0, 130.0, 100.0) + rng.normal(0, 4, shape)
    flair[12:17, 25:30, 20:25] += 80
    flair[~brain] = rng.normal(500, 100, (~brain).sum())
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = -middle * 3
    space = Space(shape, affine)
    t1 = Volume((300 - flair).astype(np.float32), space)
    return Scan("contract", Volume(flair.astype(np.float32), space), Mask(brain, space), t1=t1)


@pytest.fixture(params=METHODS)
def method(request):
    try:
        method = registry.load("methods", request.param)()
    except MissingExtraError as error:
        pytest.skip(str(error))
    shipped = getattr(method, "shipped", None)
    if shipped is not None and not shipped.exists():
        pytest.skip(f"the weights of {request.param} are not in this checkout")
    return method


def test_its_configuration_is_a_frozen_dataclass_with_defaults(method):
    assert dataclasses.is_dataclass(method)
    with pytest.raises(dataclasses.FrozenInstanceError):
        method.anything = 1
    assert type(method)() == method and isinstance(hash(method), int)


def test_it_says_paper_training_and_cost(method):
    assert isinstance(method.info, MethodInfo)
    assert method.info.paper and method.info.training and method.info.cost


def test_its_score_keeps_the_contract(method, brain_scan):
    flair, brain = brain_scan.flair.array.copy(), brain_scan.brain.array.copy()
    score = method.fit(())(brain_scan)
    assert isinstance(score, Volume) and score.space.same_grid(brain_scan.space)
    assert score.array.dtype == np.float32 and np.isfinite(score.array).all()
    assert (score.array[~brain] == 0).all() and score.array[brain].std() > 0
    np.testing.assert_array_equal(brain_scan.flair.array, flair)  # the scan is not changed
    np.testing.assert_array_equal(brain_scan.brain.array, brain)


def test_it_is_deterministic(method, brain_scan):
    one, two = (type(method)().fit(())(brain_scan).array for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_it_needs_no_t1(method, brain_scan):
    score = method.fit(())(replace(brain_scan, t1=None))
    assert np.isfinite(score.array).all() and score.array.any()


def test_what_lies_outside_the_brain_does_not_matter(method, brain_scan):
    """All that is outside may be noise, zero or anything: a skull, say."""
    cleared = np.where(brain_scan.brain.array, brain_scan.flair.array, np.float32(0))
    t1 = np.where(brain_scan.brain.array, brain_scan.t1.array, np.float32(0))
    space = brain_scan.space
    other = replace(brain_scan, flair=Volume(cleared, space), t1=Volume(t1, space))
    one, two = (method.fit(())(scan).array for scan in (brain_scan, other))
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def test_every_method_can_be_imported_and_listed_without_torch():
    script = """
import sys
from importlib.machinery import PathFinder
class WithoutDeep(PathFinder):  # as if the extra were not installed
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        hidden = name.split(".")[0] in ("torch", "monai", "lightning", "safetensors")
        return None if hidden else PathFinder.find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutDeep
from flairline import recipes, registry
from flairline.errors import MissingExtraError
for name in registry.names("methods"):
    try:
        registry.load("methods", name)
    except MissingExtraError as error:
        print(name, error.extra)
print(*[row["name"] for row in recipes.listing()])
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1].split() == recipes.names()
