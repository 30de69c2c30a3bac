"""What a mask leaves of the head: lumps of what is not brain, in some scans."""

from dataclasses import replace

import numpy as np

from flairline.synthesis import anatomy as tissue
from flairline.synthesis.evaluate import nearest_labels
from flairline.synthesis.pencil import Pencil
from flairline.synthesis.remnants import FARTHEST_MM, draw_remnants
from flairline.synthesis.render_numpy import NumpyArrays, render
from flairline.synthesis.training import draw, look


def test_some_masks_hold_lumps_of_the_head_near_the_brain(classes):
    plan = draw(classes, np.random.default_rng(3), lesions=False)
    site = look(plan.anatomy, plan.axes_mm, plan.deformation, 1.3)
    drawn = [draw_remnants(Pencil(site, *(np.random.default_rng((seed, i)) for i in range(3)))) for seed in range(120)]
    assert 0.15 < np.mean([bool(lumps) for lumps in drawn]) < 0.36
    labels = nearest_labels(NumpyArrays(), plan.anatomy, plan.deformation, plan.axes_mm)
    assert plan.brain_mask is not None
    bare = replace(plan.brain_mask, cut=None, filled=False, remnants=())
    without = render(replace(plan, brain_mask=bare)).brain
    lumps = next(lumps for lumps in drawn if lumps)
    with_lumps = render(replace(plan, brain_mask=replace(bare, remnants=lumps))).brain
    more = with_lumps & ~without
    assert more.any()
    assert not (without & ~with_lumps).any()
    assert (labels[more] != tissue.OUTSIDE).all()
    assert (labels[more] >= tissue.SOFT).any()
    middles = [np.linalg.norm(lump.centre_mm) for lump in lumps]
    assert max(middles) < FARTHEST_MM + 40
