"""The reliability plot of a model folder: ``python -m studies.reliability [MODEL] -o reliability.png``."""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

from flairline.learning.model import ModelFolder
from flairline.methods.synthetic_unet import SHIPPED


def draw(folder: Path, out: Path) -> None:
    """Predicted against observed, for voxels and for lesions, with the counts at the points."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    calibration = ModelFolder(folder).config_of("synthetic_unet")["calibration"]
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), constrained_layout=True)
    for axis, what in zip(axes, ("voxel", "lesion"), strict=True):
        rows = calibration[f"{what}_reliability"]
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        axis.plot([row["predicted"] for row in rows], [row["observed"] for row in rows], "o-", color="C0")
        for row in rows:
            axis.annotate(
                str(row["count"]),
                (row["predicted"], row["observed"]),
                fontsize=7,
                xytext=(4, -9),
                textcoords="offset points",
            )
        axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="predicted", ylabel="observed")
        axis.set_title(f"{what}s of {calibration['scans']} synthetic scans")
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", type=Path, default=SHIPPED)
    parser.add_argument("-o", "--out", type=Path, default=Path("reliability.png"))
    given = parser.parse_args()
    draw(given.model, given.out)
