"""The same drawn plan, rendered by numpy and by torch, is the same scan to a thousandth of white matter's signal."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from flairline.synthesis import anatomy as tissue
from flairline.synthesis import diseases, render_numpy
from flairline.synthesis.phantom import KINDS
from flairline.synthesis.phantom import draw as draw_phantom
from flairline.synthesis.plan import Rendered
from flairline.synthesis.training import MIN_LESION, draw, look

torch = pytest.importorskip("torch")
from flairline.synthesis import render_torch
from flairline.synthesis.render import render

TOLERANCE = 1e-3
TIES = 2


def assert_alike(one: Rendered, other: Rendered, unit: float = 1.0) -> None:
    """Images to `TOLERANCE` of white matter; masks up to voxels on their border."""
    assert one.images.keys() == other.images.keys()
    for channel, image in one.images.items():
        assert other.images[channel].dtype == image.dtype == np.float32
        assert np.abs(other.images[channel] - image).max() <= TOLERANCE * unit, channel
    assert np.abs(one.share - other.share).max() <= TOLERANCE
    for least in (MIN_LESION, 0.5):
        assert ((one.share >= least) ^ (other.share >= least)).sum() <= TIES
    assert (one.brain ^ other.brain).sum() <= TIES
    assert (one.numbers != other.numbers).sum() <= TIES


@pytest.mark.parametrize("seed", range(8))
def test_numpy_and_torch_render_the_same_training_scan(classes, seed):
    """Stored without steps, so that whole numbers do not tell a rounding error."""
    plan = draw(classes, np.random.default_rng(seed), channels=("flair", "t1"))
    plan = replace(plan, scanners={name: replace(scanner, step=None) for name, scanner in plan.scanners.items()})
    assert_alike(render_numpy.render(plan), render_torch.render(plan))


def test_numpy_and_torch_store_in_the_same_steps(classes):
    plan = draw(classes, np.random.default_rng(0))
    plan = replace(plan, scanners={"flair": replace(plan.scanners["flair"], step=0.02)})
    one, other = (renderer.render(plan).images["flair"] for renderer in (render_numpy, render_torch))
    apart = np.rint((one - other) / 0.02)
    np.testing.assert_allclose(one - other, apart * 0.02, atol=1e-5)
    assert np.abs(apart).max() <= 1
    assert (apart != 0).mean() < 1e-3


@pytest.mark.parametrize(
    "disease", [diseases.multiple_sclerosis, diseases.small_vessel, diseases.tumour, diseases.infarct, "shapes"]
)
def test_numpy_and_torch_render_the_same_disease(classes, disease):
    plan = draw(classes, np.random.default_rng(17), lesions=False, channels=("flair", "t1"))
    site = look(plan.anatomy, plan.axes_mm, plan.deformation, 1.3)
    pencil = diseases.Pencil(site, *(np.random.default_rng(i) for i in range(3)))
    shape = np.zeros((40, 44, 42), np.bool_)
    shape[10:20, 15:28, 18:30] = True
    lesions = diseases.drawn_shape(pencil, [shape]) if disease == "shapes" else disease(pencil)
    one, other = (renderer.render(replace(plan, lesions=lesions)) for renderer in (render_numpy, render_torch))
    assert one.share.max() > 0.3
    assert_alike(one, other)


@pytest.mark.parametrize("with_skull", [False, True])
def test_numpy_and_torch_render_the_same_phantom(with_skull):
    """Stored finer than phantoms are, so that whole numbers do not tell a rounding error."""
    plan, _ = draw_phantom(5, (4, 3, 5), tuple(KINDS), with_skull=with_skull)
    finer = {}
    for channel, scanner in plan.scanners.items():
        assert scanner.rician is not None
        finer[channel] = replace(scanner, rician=replace(scanner.rician, white=6e5))
    plan = replace(plan, scanners=finer)
    one, other = render_numpy.render(plan), render_torch.render(plan)
    assert set(np.unique(one.numbers)) >= {1, 3}
    assert_alike(one, other, 6e5)


class Elsewhere(render_torch.TorchArrays):
    """What a GPU does, on the CPU: torch's convolution instead of scipy's filter."""

    def blur(self, volume: torch.Tensor, sigma: Sequence[float]) -> torch.Tensor:
        return render_torch.convolved(volume, sigma)


def test_the_blur_of_a_gpu_is_scipys(classes):
    noise = np.random.default_rng(0).standard_normal((20, 23, 26)).astype(np.float32)
    sigma = (2.3, 0.1, 0.6)
    wanted = ndimage.gaussian_filter(noise, (2.3, 0, 0.6), mode="nearest", truncate=3)
    np.testing.assert_allclose(render_torch.convolved(torch.from_numpy(noise), sigma).numpy(), wanted, atol=1e-5)
    plan = draw(classes, np.random.default_rng(3), channels=("flair", "t1"))
    assert_alike(render(plan, render_torch.TorchArrays()), render(plan, Elsewhere()))


def test_a_scan_without_noise_and_bias_has_the_levels_of_its_contrast(classes):
    plan = draw(classes, np.random.default_rng(2), lesions=False)
    contrast = replace(plan.contrasts["flair"], uneven=(), flow=None, glows=(), septum=None, texture=(), blur_mm=0.0)
    scanner = plan.scanners["flair"]
    still = replace(
        scanner,
        bias=replace(scanner.bias, strength=0.0),
        blur_mm=(0, 0, 0),
        slices=None,
        noise=None,
        late_blur_mm=0,
        late_noise=None,
        gains=None,
        most=None,
        step=None,
    )
    found = render_torch.render(replace(plan, contrasts={"flair": contrast}, scanners={"flair": still}))
    seen = np.unique(found.images["flair"].round(5))
    assert set(seen) <= set(contrast.levels.astype(np.float32).round(5)) | {0}
    assert np.float32(1) in seen
    assert contrast.levels[tissue.CORTEX].astype(np.float32).round(5) in seen
