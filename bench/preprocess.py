"""Raw T1 and FLAIR onto the atlas by the published recipe (ROBEX, then dipy) and by ours (deepbet, then greedy).

Both start cold, each in a process of its own that is timed from outside, imports included, and nothing is kept between
them. Both do the same: the brain from the T1, the T1 to the atlas with twelve degrees of freedom, and T1, FLAIR and
brain on the atlas's grid with one interpolation each; the FLAIR follows the T1 by the headers, as in the paper, whose
images were registered to each other beforehand. A third run does all that `flairline segment` prepares: the FLAIR's
own brain, FLAIR to T1, quality figures.

    FLAIRLINE_DATA=... python -m bench.preprocess [FLAIR T1] [--quick]

takes mslub_raw/patient19_study2 if no pair is given. With `--quick` it takes a phantom's head and an atlas, both
coarse, and deepbet for all, since ROBEX needs a minute for whatever it gets: that it runs is checked, nothing is
measured. It ends with one JSON line: ratio is the recipe's seconds over ours, an overlap the Dice of the registered
brain with the atlas's.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

QUICK_T1_MM, QUICK_FLAIR_MM, QUICK_ATLAS_MM = 3.0, (3.0, 3.0, 4.0), 4.0
ENGINES = {"paper": ("robex", "dipy"), "ours": ("deepbet", "greedy")}


def carry(flair_file: Path, t1_file: Path, atlas_name: str, extractor: str, engine: Any) -> float:
    """Overlap of the registered brain with the atlas's, after T1, FLAIR and brain are on the atlas's grid."""
    from flairline.imaging.measure import dice
    from flairline.imaging.points import PointMap, carry_mask, carry_volume
    from flairline.io.nifti import read_volume
    from flairline.preprocess.atlas import load_atlas
    from flairline.preprocess.brain import extract_brain
    from flairline.preprocess.register import register_affine

    with ThreadPoolExecutor(1) as pool:  # for both recipes: the atlas is read while the brain is searched for
        loading = pool.submit(load_atlas, atlas_name), pool.submit(read_volume, flair_file)
        t1 = read_volume(t1_file)
        brain = extract_brain(t1, extractor)
        atlas, flair = loading[0].result(), loading[1].result()
    to_t1 = PointMap("atlas", "t1", register_affine(atlas.t1, atlas.brain, t1, brain, engine))
    for image in (t1, flair):
        carry_volume(image, atlas.space, to_t1)
    return dice(carry_mask(brain, atlas.space, to_t1).array, atlas.brain.array)


def prepare_whole(flair_file: Path, t1_file: Path, atlas_name: str) -> float:
    """As `carry`, by the pipeline that `flairline segment` runs."""
    from flairline.preprocess.read import read_scan
    from flairline.preprocess.settings import PreprocessSettings
    from flairline.types import Case

    prepared = read_scan(
        Case("bench", "pair", flair=flair_file, t1=t1_file), PreprocessSettings(brain="deepbet", atlas=atlas_name)
    )
    prepared.atlas_scan()
    return float(prepared.figures["atlas_overlap"])


def run_cold(what: str, flair: Path, t1: Path, *options: str) -> dict[str, float]:
    """Seconds, processor seconds and overlap of one recipe in a fresh process."""
    begun, used = time.perf_counter(), _cpu_seconds()
    done = subprocess.run(
        [sys.executable, "-m", "bench.preprocess", str(flair), str(t1), "--only", what, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - begun
    if done.returncode != 0:
        sys.exit(f"bench.preprocess {what}: {done.stderr.strip().splitlines()[-1]}")
    return {"seconds": seconds, "cpu_seconds": _cpu_seconds() - used, **json.loads(done.stdout.splitlines()[-1])}


def quick_files(folder: Path) -> tuple[Path, Path, Path]:
    """FLAIR and T1 of a phantom's head, and an atlas, with so few voxels that every recipe takes seconds."""
    from dataclasses import replace

    from flairline.imaging.resample import resample_volume
    from flairline.io.nifti import write_volume
    from flairline.preprocess.atlas import load_atlas
    from flairline.preprocess.register import isotropic_space, stripped
    from flairline.synthesis.phantom import phantom

    t1 = phantom(0, QUICK_T1_MM, with_skull=True)[0].t1
    flair = phantom(0, QUICK_FLAIR_MM, with_skull=True)[0].flair
    atlas = load_atlas("mni")
    coarse = replace(isotropic_space(atlas.space, atlas.brain, QUICK_ATLAS_MM), stored=None)
    files = folder / "flair.nii.gz", folder / "t1.nii.gz", folder / "atlas.nii.gz"
    for path, image in zip(files, (flair, t1, resample_volume(stripped(atlas.t1, atlas.brain), coarse)), strict=True):
        assert image is not None
        write_volume(path, image)
    return files


def _cpu_seconds() -> float:
    """Processor time of all processes that were started from here and have ended: a busy machine changes it less."""
    times = os.times()
    return times.children_user + times.children_system


def _overlap(flair: Path, t1: Path, chosen: argparse.Namespace) -> float:
    if chosen.only == "whole":
        return prepare_whole(flair, t1, chosen.atlas)
    extractor, engine = ENGINES[chosen.only]
    return carry(flair, t1, chosen.atlas, "deepbet" if chosen.quick else extractor, engine)


def main() -> None:
    """Run all three and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("flair", nargs="?", type=Path)
    parser.add_argument("t1", nargs="?", type=Path)
    parser.add_argument("--atlas", default="mni", help="a name, or a stripped T1")
    parser.add_argument("--quick", action="store_true", help="a coarse phantom and atlas: seconds, no data")
    parser.add_argument("--only", choices=("paper", "ours", "whole"))
    chosen = parser.parse_args()
    folder = Path(os.environ.get("FLAIRLINE_DATA", ".")) / "mslub_raw" / "patient19_study2"
    flair, t1 = chosen.flair or folder / "flair.nii.gz", chosen.t1 or folder / "t1.nii.gz"
    if chosen.only:
        overlap = _overlap(flair, t1, chosen)
        usages = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        print(json.dumps({"overlap": overlap, "peak_mb": max(usages) / 1024}))
        return
    with tempfile.TemporaryDirectory() as name:
        options: list[str] = []
        if chosen.quick:
            flair, t1, atlas = quick_files(Path(name))
            options = ["--quick", "--atlas", str(atlas)]
        results = {what: run_cold(what, flair, t1, *options) for what in ("ours", "whole", "paper")}
    for what, found in results.items():
        print(
            f"{what:6} {found['seconds']:7.1f} s ({found['cpu_seconds']:.1f} s of processor)"
            f"  overlap {found['overlap']:.4f}  peak {found['peak_mb']:.0f} MB"
        )
    ours, paper = results["ours"], results["paper"]
    print(
        json.dumps(
            {
                "ratio": paper["seconds"] / ours["seconds"],
                "seconds_ours": ours["seconds"],
                "seconds_paper": paper["seconds"],
                "overlap_ours": ours["overlap"],
                "overlap_paper": paper["overlap"],
            }
        )
    )


if __name__ == "__main__":
    main()
