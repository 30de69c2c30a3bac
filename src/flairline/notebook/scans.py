"""One scan: `segment`, and one to try it on."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from flairline.notebook.given import image_file, nothing_beside_a_scan, recipe_name, threshold_rule
from flairline.types import Case, Mask, Scan

if TYPE_CHECKING:
    from flairline.notebook.given import Image
    from flairline.postprocess.threshold import ThresholdRule
    from flairline.segmentation import Found


DEMO_SPACING_MM = 4.0
DEMO_LESIONS = ("tumour", *("periventricular",) * 4, "dark")


def segment(
    flair: Image | Scan,
    t1: Image | None = None,
    t2: Image | None = None,
    brain: Image | None = None,
    method: str = "default",
    model: Path | str | None = None,
    threshold: float | str | ThresholdRule | None = None,
    subject: str = "",
) -> Found:
    """Find what is abnormal in one scan.

    Parameters
    ----------
    flair
        FLAIR, raw or skull-stripped: a path, an image of nibabel, or `(array, affine)` with an array (x, y, z) in any
        orientation and the 4x4 matrix from its voxels to RAS mm. A `Scan` is taken as it is, with all it has.
    t1, t2
        T1 on any grid, T2 on the FLAIR's.
    brain
        A mask of the brain, given as an image; or how to find it: "auto" (the default), "deepbet", "robex", "hdbet",
        or "none" where the scan is stripped.
    method
        A method or recipe of `list_methods`.
    model
        The model folder that the method reads; None where it needs none.
    threshold
        A value of the score; a text such as "q0.98", a quantile of the score in the brain; or a rule. None: the
        recipe's own.
    subject
        What to call it; by default what its file's name says.

    Returns
    -------
    Found
        `mask`, `score`, `lesions` and `summary`; the images are on the FLAIR's own grid, in RAS+ order.

    Raises
    ------
    InputError
        An image cannot be read, the images do not go together, or there is no brain.
    UnknownNameError
        There is no such method or recipe.
    MissingExtraError
        The method needs a package that is not installed.

    Examples
    --------
    >>> import flairline as fl
    >>> scan, truth = fl.demo_scan()
    >>> found = fl.segment((scan.flair.array, scan.space.vox_to_ras), method="brightest", threshold="q0.97")
    >>> found.mask.array.shape, found.threshold.rule
    ((50, 59, 48), 'quantile 0.97 of the brain')
    >>> round(found.mask.volume_ml / found.scan.brain.volume_ml, 2)
    0.03
    >>> sorted(found.lesions[0])
    ['centre_atlas_mm', 'centre_mm', 'id', 'region', 'side', 'volume_ml', 'voxels']
    """
    from dataclasses import replace

    from flairline.cases.names import named
    from flairline.preprocess.settings import BRAINS, preprocess_settings
    from flairline.segmentation import Settings, find, find_in

    settings = Settings(recipe_name(method, model), threshold_rule(threshold))
    if isinstance(flair, Scan):
        nothing_beside_a_scan(t1, t2, brain)
        return find_in(replace(flair, subject=subject or flair.subject), settings)
    how = brain if isinstance(brain, str) and brain in BRAINS else "auto"
    settings = replace(settings, preprocess=preprocess_settings(how, "t1", "greedy", "mni", bias=False))
    with TemporaryDirectory() as scratch:
        given = {"flair": flair, "t1": t1, "t2": t2, "brain": None if how == brain else brain}
        files = {role: image_file(image, Path(scratch), role) for role, image in given.items() if image is not None}
        case = Case("", subject, files["flair"], files.get("t1"), files.get("t2"), files.get("brain"))
        (case,) = named([case])
        return find(case, settings)


def demo_scan(seed: int = 0) -> tuple[Scan, Mask]:
    """A small patient that never was, made on the spot, and its truth.

    Parameters
    ----------
    seed
        The same one gives the same patient.

    Returns
    -------
    Scan, Mask
        FLAIR, T1 and brain, skull-stripped, on a grid of 4 mm, and the voxels of its lesions: a tumour, some beside the
        ventricles, and one that is dark.

    Examples
    --------
    >>> import flairline as fl
    >>> scan, truth = fl.demo_scan()
    >>> scan.space.shape, scan.spacing_mm, sorted(scan.images)
    ((50, 59, 48), (4.0, 4.0, 4.0), ['flair', 't1'])
    >>> bool(truth.array.any()) and not truth.array[~scan.brain.array].any()
    True
    """
    from flairline.synthesis.phantom import phantom

    scan, truth, _ = phantom(seed, DEMO_SPACING_MM, DEMO_LESIONS)
    return scan, truth
