"""One vocabulary of tissue: from FreeSurfer's numbers, and from the average brain."""

import numpy as np
from scipy import ndimage

from flairline.synthesis import anatomy as brain
from flairline.synthesis.mni_classes import mni_classes
from flairline.synthesis.template import template


def test_freesurfers_numbers_become_classes_and_the_head_is_cut_to_the_brain():
    labels = np.zeros((60, 62, 64), np.float32)
    labels[5:55, 5:57, 5:59] = 515
    labels[20:40, 22:40, 24:40] = 2
    labels[25:30, 25:30, 25:30] = 43
    labels[22, 23, 25] = 999  # no number of theirs
    classes = brain.to_classes(labels)
    assert classes.shape == (40, 38, 36)  # ten voxels on each side
    assert classes.dtype == np.uint8
    assert (classes == brain.VENTRICLE).sum() == 125
    assert classes[12, 11, 11] == brain.SOFT
    assert classes[0, 0, 0] == brain.SKIN
    assert len(brain.CLASSES) == brain.SKIN + 1
    assert brain.CLASSES[brain.HIPPOCAMPUS] == "hippocampus"


def test_a_class_maps_millimetres_are_counted_from_its_middle():
    anatomy = brain.labelled(np.zeros((5, 6, 7), np.uint8))
    assert anatomy.origin_mm.tolist() == [-2.0, -2.5, -3.0]


def test_the_average_brain_has_its_parts_where_they_belong():
    classes = mni_classes()
    np.testing.assert_array_equal(classes, classes[::-1])  # left and right alike, as the template
    ml = np.bincount(classes.ravel(), minlength=len(brain.CLASSES)) / 1000
    assert 500 < ml[brain.WHITE] < 750
    assert 700 < ml[brain.CORTEX] < 1000
    assert 10 < ml[brain.VENTRICLE] < 40
    assert 20 < ml[brain.STEM] < 60
    assert 120 < ml[brain.CEREBELLAR_CORTEX] + ml[brain.CEREBELLAR_WHITE] < 250
    for nucleus in (brain.THALAMUS, brain.CAUDATE, brain.PUTAMEN):
        assert 5 < ml[nucleus] < 30
    assert not ml[[brain.SOFT, brain.SKULL, brain.SKIN]].any()
    around = ndimage.binary_dilation(classes == brain.VENTRICLE, iterations=3)
    assert not (around & (classes == brain.OUTSIDE)).any()
    height = [np.argwhere(classes == part)[:, 2].mean() for part in (brain.CEREBELLAR_CORTEX, brain.THALAMUS)]
    assert height[0] < height[1]
    inside = np.argwhere((classes > brain.CSF) & (classes <= brain.HIPPOCAMPUS))
    np.testing.assert_array_equal(inside.min(axis=0)[:2], 10)  # the template ends just below the brain stem
    np.testing.assert_array_equal(inside.max(axis=0), np.array(classes.shape) - 11)


def test_coarser_shares_are_averages_of_finer_ones():
    fine, coarse = template((1, 1, 1)), template((3, 2, 4))
    for part in (brain.CORTEX, brain.WHITE):
        block = fine.anatomy.shares[part][60:63, 100:102, 80:84]
        assert np.isclose(coarse.anatomy.shares[part][20, 50, 20], block.mean())
    np.testing.assert_allclose(coarse.anatomy.origin_mm, fine.anatomy.origin_mm + np.array([1, 0.5, 1.5]))
