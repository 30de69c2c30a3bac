"""Two raw heads of nobody as BIDS: python phantom.py FOLDER."""

import sys
from pathlib import Path

from flairline.io.nifti import write_volume
from flairline.synthesis.phantom import phantom

for number in (1, 2):
    scan, _, _ = phantom(number, 2.0, with_skull=True)
    anat = Path(sys.argv[1]) / f"sub-{number:02d}" / "anat"
    for suffix, image in (("FLAIR", scan.flair), ("T1w", scan.t1)):
        anat.mkdir(parents=True, exist_ok=True)
        write_volume(anat / f"sub-{number:02d}_{suffix}.nii.gz", image)
