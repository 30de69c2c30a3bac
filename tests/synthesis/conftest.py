"""A small head of labels that tests of the simulator share."""

from __future__ import annotations

import numpy as np
import pytest

from flairline.synthesis.anatomy import to_classes


@pytest.fixture(scope="session")
def classes() -> np.ndarray:
    """White matter in cortex in CSF in skin, with a ventricle off the middle; unequal sides."""
    x, y, z = np.meshgrid(*(np.arange(n) for n in (50, 54, 46)), indexing="ij")
    r = np.sqrt(((x - 25) / 24) ** 2 + ((y - 27) / 25) ** 2 + ((z - 23) / 22) ** 2)
    ventricle = np.sqrt(((x - 27) / 24) ** 2 + ((y - 25) / 25) ** 2 + ((z - 22) / 22) ** 2) < 0.2
    labels = np.zeros(r.shape, np.float32)
    for limit, number in ((0.95, 515), (0.85, 24), (0.75, 3), (0.6, 2)):
        labels[r < limit] = number
    labels[ventricle] = 4
    return to_classes(labels)
