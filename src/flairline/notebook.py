"""The verbs of `import flairline as fl`: what the commands do, for a notebook or a script.

In come paths, arrays and cases; out come objects of the library. Nothing is printed, and nothing is written but where
`out` or `save` says. Every function loads what it needs when it is called.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from flairline.types import Case, Mask, Scan, no_progress

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage
    from numpy.typing import ArrayLike

    from flairline.benchmarking.judge import FileMaps, RecipeMaps
    from flairline.benchmarking.run import Done
    from flairline.evaluation.protocols import Protocol
    from flairline.postprocess.threshold import ThresholdRule
    from flairline.recipes import Recipe
    from flairline.segmentation import Found

    Image = Path | str | SpatialImage | tuple[ArrayLike, ArrayLike]
    """A file (NIfTI), an image of nibabel, or an array (x, y, z) and its 4x4 affine from voxels to RAS mm."""

    Cases = Path | str | Sequence[Case]
    """A table of cases (CSV), or cases."""

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
    ['centre_mm', 'id', 'side', 'volume_ml', 'voxels']
    """
    from dataclasses import replace

    from flairline.cases.names import named
    from flairline.preprocess.pipeline import BRAINS, preprocess_settings
    from flairline.segmentation import Settings, find, find_in

    settings = Settings(_recipe_name(method, model), _rule(threshold))
    if isinstance(flair, Scan):
        _nothing_beside_a_scan(t1, t2, brain)
        return find_in(replace(flair, subject=subject or flair.subject), settings)
    how = brain if isinstance(brain, str) and brain in BRAINS else "auto"
    settings = replace(settings, preprocess=preprocess_settings(how, "t1", "greedy", "mni", bias=False))
    with TemporaryDirectory() as scratch:
        given = {"flair": flair, "t1": t1, "t2": t2, "brain": None if how == brain else brain}
        files = {role: _file(image, Path(scratch), role) for role, image in given.items() if image is not None}
        case = Case("", subject, files["flair"], files.get("t1"), files.get("t2"), files.get("brain"))
        (case,) = named([case])
        return find(case, settings)


def benchmark(
    cases: Cases,
    methods: Sequence[str] = ("default",),
    protocol: str | Protocol = "sound",
    out: Path | str | None = None,
    jobs: int = 1,
    seed: int = 0,
) -> Done:
    """Judge methods against truths, all by one protocol.

    Parameters
    ----------
    cases
        Cases with a truth, or a table of them (CSV with the columns dataset, subject, flair, truth ...).
    methods
        Methods or recipes of `list_methods`; METHOD=FOLDER takes the model in a folder.
    protocol
        A protocol or its name: "sound", "experiment-1", "experiment-2", "native" or "baur".
    out
        Folder for rows.csv, tables and figures; None writes nothing that stays.
    jobs
        Processes to work in.
    seed
        Seed of the bootstrap intervals.

    Returns
    -------
    Done
        Rows of every scan and of each cohort (`results[i].rows`, one result a method), and `failures`.

    Raises
    ------
    InputError
        A table cannot be read, or a model has seen a patient that it would be judged on.
    UnknownNameError
        There is no such method, recipe or protocol.

    Examples
    --------
    >>> import flairline as fl
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> scan, truth = fl.demo_scan()
    >>> folder = Path(mkdtemp())
    >>> fl.write_volume(folder / "flair.nii.gz", scan.flair)
    >>> fl.write_mask(folder / "truth.nii.gz", truth)
    >>> case = fl.Case("demo", "sub-1", flair=folder / "flair.nii.gz", truth=folder / "truth.nii.gz")
    >>> finished = fl.benchmark([case], methods=["histeq", "intensity"], protocol="native")
    >>> [result.method for result in finished.results], finished.failures
    (['histeq', 'intensity'], {})
    >>> dice = next(row for row in finished.results[0].rows if row.metric == "dice_oracle")
    >>> 0.1 < dice.value < 1
    True
    """
    from flairline.benchmarking.judge import RecipeMaps, seen_cases
    from flairline.errors import InputError

    judged = _cases(cases)
    sources = []
    with _folder(out) as folder:
        for chosen in map(recipe, methods):
            if seen := seen_cases(chosen, judged):
                msg = (
                    f"The model {chosen.model} has seen the patients of {len(seen)} of {len(judged)} scans"
                    f" ({', '.join(seen[:4])}), and no model is judged on what it was trained on. Leave them out."
                )
                raise InputError(msg)
            sources.append(RecipeMaps(chosen, cache=folder / "preprocess"))
        return _judged(judged, sources, protocol, folder, jobs, seed)


def evaluate(
    cases: Cases,
    protocol: str | Protocol = "sound",
    name: str = "files",
    out: Path | str | None = None,
    jobs: int = 1,
    seed: int = 0,
) -> Done:
    """Judge scores or masks that another program made, by the same code as `benchmark`.

    Parameters
    ----------
    cases
        Cases with a truth and a score or mask, or a table of them.
    protocol, out, jobs, seed
        As for `benchmark`.
    name
        What to call the program in the column `method`.

    Returns
    -------
    Done
        As of `benchmark`, with one result.

    Raises
    ------
    InputError
        A table cannot be read.
    UnknownNameError
        There is no such protocol.

    Examples
    --------
    >>> import flairline as fl
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> scan, truth = fl.demo_scan()
    >>> folder = Path(mkdtemp())
    >>> fl.write_volume(folder / "score.nii.gz", scan.flair)
    >>> fl.write_mask(folder / "truth.nii.gz", truth)
    >>> case = fl.Case("demo", "sub-1", score=folder / "score.nii.gz", truth=folder / "truth.nii.gz")
    >>> finished = fl.evaluate([case], protocol="native", name="theirs")
    >>> finished.results[0].method
    'theirs'
    """
    from flairline.benchmarking.judge import FileMaps

    with _folder(out) as folder:
        return _judged(_cases(cases), [FileMaps(name)], protocol, folder, jobs, seed)


def fit(
    method: str,
    scans: Cases | Sequence[Path],
    out: Path | str,
    preset: str = "small",
    max_minutes: float = 60.0,
    device: str = "auto",
    resume: bool = False,
    seed: int = 0,
) -> Path:
    """Train a method on healthy scans; no lesion label is ever learned from.

    Parameters
    ----------
    method
        A method that can be trained.
    scans
        Healthy scans: paths of FLAIRs, cases, or a table of cases. Label maps for a method that learns from them.
    out
        The model folder to write.
    preset
        Size of the network and of its training ("small", "paper" ...).
    max_minutes
        Stop after so many minutes.
    device
        "auto", "cpu", "cuda" or "mps".
    resume
        Go on from the last checkpoint in the folder.
    seed
        Of everything random.

    Returns
    -------
    Path
        The model folder: `segment(..., method=method, model=folder)`.

    Raises
    ------
    InputError
        The method needs no training, there are too few scans, or a scan has lesions by its truth.
    MissingExtraError
        The method needs a package that is not installed.

    Examples
    --------
    >>> import flairline as fl
    >>> fl.fit("histeq", [], "model")
    Traceback (most recent call last):
    flairline.errors.InputError: The method histeq needs no training. Use it at once: segment(..., method='histeq').
    """
    from dataclasses import replace

    from flairline.errors import InputError
    from flairline.learning.data import TrainingData

    chosen = _method(method)
    try:
        train = chosen.train
    except AttributeError:
        msg = f"The method {method} needs no training. Use it at once: segment(..., method={method!r})."
        raise InputError(msg) from None
    if device != "auto":
        train = replace(chosen, device=device).train
    given: Any = scans if chosen.learns_from == "label maps" else TrainingData(_healthy(scans))
    train(given, Path(out), preset=preset, max_minutes=max_minutes, resume=resume, seed=seed)
    return Path(out)


def recipe(name: str) -> Recipe:
    """A method with all that makes a mask of its score: steps, threshold rule, component rule.

    Parameters
    ----------
    name
        A name of `list_methods`; METHOD=FOLDER takes the model in a folder.

    Raises
    ------
    UnknownNameError
        There is none; the closest name is told.

    Examples
    --------
    >>> import flairline as fl
    >>> chosen = fl.recipe("brightest")
    >>> chosen.method, chosen.threshold
    ('histeq', BrainQuantile(quantile=0.98))
    """
    from flairline import recipes

    return recipes.load(name)


def method(name: str) -> Any:
    """A method with its usual configuration: `info` says what it is, `fit(scans)` gives its scorer.

    A scorer is a function from a `Scan` to a `Volume` on the scan's grid: higher is more abnormal, zero outside the
    brain.

    Raises
    ------
    UnknownNameError
        There is none; the closest name is told.
    MissingExtraError
        It needs a package that is not installed.

    Examples
    --------
    >>> import flairline as fl
    >>> scan, truth = fl.demo_scan()
    >>> score = fl.method("histeq").fit([])(scan)
    >>> score.array.shape == scan.space.shape, float(score.array[~scan.brain.array].max())
    (True, 0.0)
    """
    return _method(name)


def protocol(name: str) -> Protocol:
    """How published numbers are made, as data: grid, slices, thresholds, filters.

    Raises
    ------
    UnknownNameError
        There is none; the closest name is told.

    Examples
    --------
    >>> import flairline as fl
    >>> fl.protocol("sound").brain_only
    True
    """
    from flairline.evaluation import protocols

    return protocols.load(name)


def list_methods() -> list[dict[str, str]]:
    """Every method and recipe with its paper, training and cost, as plain rows: `pandas.DataFrame(list_methods())`.

    Examples
    --------
    >>> import flairline as fl
    >>> [row["kind"] for row in fl.list_methods() if row["name"] in ("brightest", "histeq")]
    ['recipe of histeq', 'method']
    """
    from flairline import recipes

    return recipes.listing()


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


def _recipe_name(name: str, model: Path | str | None) -> str:
    from flairline.errors import InputError

    if model is None:
        return name
    if "=" in name:
        msg = f"The method {name!r} names a model already. Leave out model={str(model)!r}."
        raise InputError(msg)
    return f"{name}={model}"


def _method(name: str) -> Any:
    from flairline import registry

    return registry.load("methods", name)()


def _rule(threshold: float | str | ThresholdRule | None) -> ThresholdRule | None:
    from flairline.postprocess.threshold import parse_threshold

    if isinstance(threshold, str):
        return parse_threshold(threshold)
    if isinstance(threshold, (float, Real)):  # Real: numpy's numbers as well
        return parse_threshold(str(float(threshold)))
    return threshold


def _nothing_beside_a_scan(*images: object) -> None:
    from flairline.errors import InputError

    if any(image is not None for image in images):
        msg = "Wanted a Scan or images, got both. A Scan has its own T1, T2 and brain: leave the others out."
        raise InputError(msg)


def _file(image: Any, folder: Path, role: str) -> Path:
    """The file of an image; what is in memory is written into `folder`, so that it is read as any file is."""
    import nibabel as nib
    import numpy as np
    from nibabel.spatialimages import SpatialImage

    from flairline.errors import InputError

    if isinstance(image, (str, Path)):
        return Path(image)
    path = folder / f"{role}.nii"
    if isinstance(image, SpatialImage):
        nib.save(nib.Nifti1Image.from_image(image), path)
        return path
    try:
        array, affine = (np.asarray(part) for part in image)
    except (TypeError, ValueError) as error:
        msg = f"Wanted {role} as a path, an image of nibabel, or (array, affine), found {type(image).__name__}."
        raise InputError(msg) from error
    if affine.shape != (4, 4) or array.ndim != 3:
        msg = (
            f"Wanted {role} as an array (x, y, z) and a 4x4 affine, found shapes {array.shape} and {affine.shape}."
            " Give the matrix from voxels to RAS mm."
        )
        raise InputError(msg)
    stored = array.astype(np.uint8 if array.dtype == np.bool_ else np.float32)
    nib.save(nib.Nifti1Image(stored, affine.astype(float)), path)
    return path


def _cases(cases: Cases) -> list[Case]:
    from flairline.cases.table import CaseTable

    return CaseTable(Path(cases)).cases() if isinstance(cases, (str, Path)) else list(cases)


def _healthy(scans: Cases | Sequence[Path]) -> list[Case]:
    """Cases to learn from; FLAIRs without a table are named by their files."""
    from flairline.cases.names import cases_from_files, named

    if isinstance(scans, (str, Path)):
        return _cases(scans)
    cases = [scan for scan in scans if isinstance(scan, Case)]
    files = [Path(scan) for scan in scans if not isinstance(scan, Case)]
    return [*cases, *named(cases_from_files(files))]


@contextmanager
def _folder(out: Path | str | None) -> Iterator[Path]:
    """The folder to write to; one that is gone afterwards where nothing shall stay."""
    from flairline.io.files import prepare_folder

    if out is not None:
        yield prepare_folder(Path(out))
        return
    with TemporaryDirectory() as scratch:
        yield Path(scratch)


def _judged(
    cases: list[Case],
    sources: Sequence[RecipeMaps | FileMaps],
    by: str | Protocol,
    out: Path,
    jobs: int,
    seed: int,
) -> Done:
    from flairline.benchmarking.run import Settings, run

    return run(cases, sources, [protocol(by) if isinstance(by, str) else by], Settings(out, jobs, seed), no_progress)
