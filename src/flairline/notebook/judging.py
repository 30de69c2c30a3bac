"""Methods against truths: `benchmark`, `evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flairline.errors import InputError
from flairline.notebook.given import cases_of, folder_or_scratch
from flairline.notebook.names import protocol as known_protocol
from flairline.notebook.names import recipe
from flairline.types import Scorer

if TYPE_CHECKING:
    from flairline.benchmarking.plan import Plan
    from flairline.benchmarking.run import Finished
    from flairline.benchmarking.source import MapSource
    from flairline.evaluation.protocols import Protocol
    from flairline.notebook.given import Cases


def benchmark(
    cases: Cases,
    methods: Sequence[str] = ("default",),
    protocol: str | Protocol = "sound",
    out: Path | str | None = None,
    jobs: int = 1,
    seed: int = 0,
    own: Mapping[str, Scorer] | None = None,
    by: Sequence[str] = (),
) -> Finished:
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
        Folder for rows.csv, manifest.json, tables and figures; None writes nothing that stays.
    jobs
        Processes to work in.
    seed
        Seed of the bootstrap intervals.
    own
        Scorers of your own, by the name they shall have: functions from a `Scan` to a `Volume` on its grid, higher is
        more abnormal, zero outside the brain. With several processes they must be functions of a module.
    by
        Further columns of the cases (age, sex, site, scanner) that figures are broken down by, in OUT/tables.

    Returns
    -------
    Finished
        Rows of every scan and of each cohort (`rows`, or one result a method: `results[i].rows`), and `failures`.

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
    >>> dice = next(row for row in finished.rows if row.metric == "dice_oracle")
    >>> 0.1 < dice.value < 1
    True
    """
    from flairline.benchmarking.plan import Plan
    from flairline.benchmarking.scorer_source import ScorerSource
    from flairline.benchmarking.seen import seen_cases
    from flairline.benchmarking.source import RecipeSource

    judged = cases_of(cases)
    sources: list[MapSource] = [ScorerSource(name, scorer) for name, scorer in (own or {}).items()]
    with folder_or_scratch(out) as folder:
        for chosen in map(recipe, methods):
            if seen := seen_cases(chosen, judged):
                msg = (
                    f"The model {chosen.model} has seen the patients of {len(seen)} of {len(judged)} scans"
                    f" ({', '.join(seen[:4])}), and no model is judged on what it was trained on. Leave them out."
                )
                raise InputError(msg)
            sources.append(RecipeSource(chosen, cache=folder / "preprocess"))
        return _judged(Plan(judged, sources, [_protocol(protocol)], folder, jobs, seed, by=tuple(by)))


def evaluate(
    cases: Cases,
    protocol: str | Protocol = "sound",
    name: str = "files",
    out: Path | str | None = None,
    jobs: int = 1,
    seed: int = 0,
) -> Finished:
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
    Finished
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
    from flairline.benchmarking.plan import Plan
    from flairline.benchmarking.source import FileSource

    with folder_or_scratch(out) as folder:
        return _judged(Plan(cases_of(cases), [FileSource(name)], [_protocol(protocol)], folder, jobs, seed))


def _protocol(given: str | Protocol) -> Protocol:
    return known_protocol(given) if isinstance(given, str) else given


def _judged(plan: Plan) -> Finished:
    from flairline.benchmarking.run import run

    finished = run(plan)
    finished.remove_scores()  # a page would need them, and none is written here
    return finished
