"""Make the map of `postprocess.prior` from a cache of synthetic scans: ``python -m ... CACHE_FOLDER OUT.npz``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.synthesis.scan_store import read_scan
from flairline.synthesis.training import Z_RANGE

SHAPE = (44, 52, 44)


def excess_brightness(stems: Sequence[Path]) -> NDArray[np.float32]:
    """Mean plus standard deviation of max(z, 0) outside lesions over the brain's box, symmetric; `SHAPE`."""
    total, square, count = np.zeros(SHAPE), np.zeros(SHAPE), np.zeros(SHAPE)
    for stem in stems:
        image, truth = read_scan(stem)
        normal = (image > Z_RANGE[0]) & ~truth
        step = (np.array(image.shape) - 1) / (np.array(SHAPE) - 1)
        where = np.ix_(*(np.rint(np.arange(n) * s).astype(int) for n, s in zip(SHAPE, step, strict=True)))
        valid = normal[where]
        value = np.where(valid, np.maximum(image[where], 0), 0)
        total, square, count = total + value, square + value**2, count + valid
    total, square, count = (ndimage.gaussian_filter(a + a[::-1], 1.0) for a in (total, square, count))
    mean = total / np.maximum(count, 1e-3)
    return (mean + np.sqrt(np.maximum(square / np.maximum(count, 1e-3) - mean**2, 0))).astype(np.float32)


if __name__ == "__main__":
    stems = [path.with_suffix("") for path in sorted(Path(sys.argv[1]).glob("*.json"))]
    np.savez_compressed(sys.argv[2], excess=excess_brightness(stems).astype(np.float16))
