"""Which rules of a mask pay on synthetic scans: ``python -m studies.rules LABELS... --method default -n 40 -o OUT``.

Scans of nobody are made of the last two label maps, which no training learns from (one in five without lesions),
scored by the recipe's method, and kept in OUT; then every rule that is listed here is put into the recipe alone. A line
says what it gains in mean Dice, with the standard error over the scans, how many get better and worse, and what it
marks in scans without lesions. `--disease tumour` makes scans of one disease alone. No label of a person is looked at.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flairline import recipes
from flairline.imaging.measure import dice
from flairline.io.files import prepare_folder
from flairline.io.nifti import read_volume
from flairline.io.tables import markdown_text
from flairline.learning.volumes.label_maps import HELD_OUT
from flairline.postprocess.mask_rules import MaskRule
from flairline.postprocess.masses import BesideMass, ClosedMass, GrownMass, TighterScatter
from flairline.postprocess.recipe import Recipe
from flairline.synthesis import diseases
from flairline.synthesis.anatomy import to_classes
from flairline.synthesis.training import synthesise
from flairline.types import Mask, Scan, Space, Volume

DEPTHS_MM = (6.0, 8.0, 10.0)
LISTED: tuple[MaskRule, ...] = (
    *(BesideMass(depth, share) for depth, share in product(DEPTHS_MM, (0.02, 0.1, 0.3))),
    *(BesideMass(depth, 0.3, sure) for depth, sure in product(DEPTHS_MM, (0.5, 0.6, 0.7, 0.8))),
    *(BesideMass(depth, 0.3, 0.7, ramp) for depth, ramp in product(DEPTHS_MM, (1.0, 2.0, 3.0))),
    *(GrownMass(depth, level, reach) for depth, (level, reach) in product(DEPTHS_MM, ((0.7, 5.0), (0.5, 10.0)))),
    *(ClosedMass(depth, radius) for depth, radius in product(DEPTHS_MM, (3.0, 8.0))),
    *(TighterScatter(depth, level) for depth, level in product(DEPTHS_MM, (1.33, 1.67))),
)
"""Rules that are tried, each alone."""
FREE = 5
"""One scan in so many has no lesion."""


@dataclass(frozen=True)
class Tried:
    """What a rule does to one scan: Dice (NaN without lesions) and falsely marked ml, without and with it."""

    dice: tuple[float, float]
    false_ml: tuple[float, float]


def scored(recipe: Recipe, labels: Sequence[Path], count: int, out: Path, seed: int) -> list[Path]:
    """`count` synthetic scans with their scores, those that are not there yet made now."""
    heads = [to_classes(read_volume(path).array) for path in labels[-HELD_OUT:]]
    scorer, files = recipes.ready_scorer(recipe), []
    for number in range(count):
        files.append(out / f"{seed}_{number:04d}.npz")
        if files[-1].exists():
            continue
        rng = np.random.default_rng((seed, number))
        made = synthesise(heads[number % len(heads)], rng, lesions=number % FREE != FREE - 1)
        x, y, z = made.image.shape
        space = Space((x, y, z), np.eye(4))
        scan = Scan.of(str(number), Volume(made.image.astype(np.float32), space), Mask(made.brain, space))
        score = scorer(scan).array
        np.savez_compressed(files[-1], score=score.astype(np.float16), truth=made.truth, brain=made.brain)
    return files


def tried(
    score: NDArray[np.float32], truth: NDArray[np.bool_], brain: NDArray[np.bool_], recipe: Recipe
) -> dict[MaskRule, Tried]:
    """What each of `LISTED` does to a scan (x, y, z) at 1 mm, alone in the recipe."""
    assert recipe.threshold is not None
    x, y, z = score.shape
    space = Space((x, y, z), np.eye(4))
    volume, inside = Volume(score, space), Mask(brain, space)

    def figures(*rules: MaskRule) -> tuple[float, float]:
        mask, _ = replace(recipe, mask_rules=rules).mask(volume, inside, recipe.threshold)
        false_ml = float(np.count_nonzero(mask.array & ~truth)) * space.voxel_ml
        return (dice(mask.array, truth) if truth.any() else float("nan")), false_ml

    before = figures()
    found = {}
    for rule in LISTED:
        after = figures(rule)
        found[rule] = Tried((before[0], after[0]), (before[1], after[1]))
    return found


def table(scans: Sequence[dict[MaskRule, Tried]]) -> str:
    """A line a rule as Markdown."""
    head = ["rule", "mean Dice", "change", "standard error", "better", "worse", "false, ml", "ml without lesions"]
    lines = []
    for rule in LISTED:
        sick = [scan[rule] for scan in scans if not np.isnan(scan[rule].dice[0])]
        free = [scan[rule].false_ml[1] for scan in scans if np.isnan(scan[rule].dice[0])]
        change = np.array([of_scan.dice[1] - of_scan.dice[0] for of_scan in sick])
        error = change.std(ddof=1) / np.sqrt(len(change)) if len(change) > 1 else float("nan")
        counts = (int((change > 0).sum()), int((change < 0).sum()))
        false_ml = np.mean([of_scan.false_ml[1] for of_scan in sick])
        marked = f"{np.mean(free):.2f}" if free else ""
        dice_now = np.mean([of_scan.dice[1] for of_scan in sick])
        cells = [
            f"{dice_now:.4f}",
            f"{change.mean():+.4f}",
            f"{error:.4f}",
            *map(str, counts),
            f"{false_ml:.2f}",
            marked,
        ]
        lines.append([repr(rule), *cells])
    return markdown_text(head, lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make, score, try, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path, nargs="+", help="whole-head label maps, in the order of the training")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--method", default="default")
    parser.add_argument("-n", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--disease", choices=tuple(diseases.DISEASES), help="scans of this disease alone")
    given = parser.parse_args(arguments)
    if given.disease:
        for name in diseases.DISEASES:
            diseases.DISEASES[name] = float(name == given.disease)
    recipe = replace(recipes.load(given.method), mask_rules=())
    prepare_folder(given.out)
    found = []
    for path in scored(recipe, given.labels, given.n, given.out, given.seed):
        with np.load(path) as kept:
            found.append(tried(kept["score"].astype(np.float32), kept["truth"], kept["brain"], recipe))
    print(table(found))


if __name__ == "__main__":
    main()
