"""The participant level: every scan of a BIDS folder once, each in a worker, whatever happens to the others."""

from __future__ import annotations

import contextlib
import shutil
import time
import traceback
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from flairline import executor, recipes
from flairline.cases.columns import PARTICIPANTS
from flairline.cohort import counted, derivatives, memory
from flairline.cohort.layout import Layout, Visit, truth_of
from flairline.cohort.state import BusyError, FileStamp, ScanState, failed, key_of, locked, path_of, read_state
from flairline.errors import FlairlineError, InputError, OutputError
from flairline.executor import Outcome
from flairline.io.files import prepare_folder, remove_file, write_bytes
from flairline.io.logs import LOGS, write_log
from flairline.io.nifti import read_mask, read_volume
from flairline.io.versions import version_of
from flairline.preprocess.atlas import load_atlas
from flairline.preprocess.brain import BrainSource
from flairline.preprocess.prepared import Prepared
from flairline.segmentation import Found, Settings, find
from flairline.summary import Summary
from flairline.types import Scan, Threshold

NEEDED_GB = 3.0
"""Memory that a worker is given where a limit says how much there is for all: torch, a raw pair, and its page."""

AT_HAND = ("mni",)
"""Atlases that lie in a package, so that a page written again can show them."""
SEEN_SECONDS = 30.0
"""How long a file system may take to show a file that was written, as those on top of object stores do."""

How = Literal["done", "resumed", "failed", "elsewhere"]


@dataclass(frozen=True)
class Run:
    """What is asked for, the same for every scan.

    Attributes
    ----------
    root, out
        The BIDS folder, and the folder of derivatives.
    work
        Where preprocessing keeps its steps while a scan is worked on.
    truths
        A BIDS folder of masks that raters drew; None: nothing is judged.
    keep_work
        Whether a scan's folder in `work` stays.
    """

    root: Path
    out: Path
    work: Path
    settings: Settings
    truths: Path | None = None
    keep_work: bool = False


@dataclass(frozen=True)
class Ended:
    """How a scan ended: what became of it, or, where another process has it, that process in words."""

    name: str
    how: How
    state: ScanState | None = None
    words: str = ""

    @property
    def is_flagged(self) -> bool:
        """Whether somebody should look at it."""
        return self.state is not None and bool(self.state.flags)


@dataclass(frozen=True)
class Workers:
    """Who works.

    Attributes
    ----------
    processes
        Of this machine; 1 is this process.
    memory_gb
        For all of them together; None sets no limit.
    scheduler
        A Dask cluster instead, as `executor.cluster` takes it.
    """

    processes: int = 1
    memory_gb: float | None = None
    scheduler: str | None = None

    @property
    def that_fit(self) -> int:
        """The processes that the memory is enough for, at least one."""
        if self.memory_gb is None:
            return self.processes
        return max(1, min(self.processes, int(self.memory_gb / NEEDED_GB)))

    @property
    def notes(self) -> list[str]:
        """What of the numbers that were asked for does not come about, in words."""
        if self.scheduler is not None:
            ignored = self.processes > 1 or self.memory_gb is not None
            words = "--nprocs and --mem-gb are for processes of this machine; the cluster says what its workers have"
            return [words] if ignored else []
        if self.memory_gb is None:
            return []
        notes = []
        if self.that_fit < self.processes:
            notes.append(f"{self.memory_gb:g} GB are enough for {self.that_fit} of {self.processes} processes")
        if self.memory_gb < NEEDED_GB:
            notes.append(f"A scan may want {NEEDED_GB:g} GB, and gets {self.memory_gb:g}: then it fails")
        return notes

    def outcomes(self, function: Any, visits: Sequence[Visit]) -> Iterator[Outcome[Visit, Ended]]:
        """As `executor.run`, by these workers."""
        if self.scheduler is not None:
            with executor.cluster(self.scheduler) as there:
                yield from executor.run_on(there, function, visits, thread_count=1)
            return
        limit = None if self.memory_gb is None else int(self.memory_gb * 1024 / self.that_fit)
        if self.that_fit == 1 and limit is None:  # this process works itself
            executor.tell_libraries()
        yield from executor.run(function, visits, self.that_fit, worker_mb=limit)


def run(layout: Layout, asked: Run, workers: Workers) -> Generator[Ended, None, None]:
    """Segment every scan, yielding how each ended as it ends; one that fails does not stop the others.

    A scan whose worker died is tried once more; one that is bad is not. What a scan failed of stands in OUT/logs and,
    in one line, in its state.

    Raises
    ------
    OutputError
        OUT cannot be written to, or holds another data set.
    UnknownNameError
        There is no such recipe or method.
    """
    parameters = parameters_of(asked.settings)
    derivatives.check_folder(asked.out, layout.root)
    prepare_folder(asked.out)
    derivatives.write_description(asked.out, layout.root)
    if (table := layout.root / PARTICIPANTS).exists():  # the group level needs only OUT
        write_bytes(asked.out / "state" / PARTICIPANTS, table.read_bytes())
    work = partial(work_on, asked=asked, parameters=parameters)
    for outcome in workers.outcomes(work, layout.visits):
        yield outcome.result if outcome.result is not None else _never_came_back(outcome, asked.out)


def work_on(visit: Visit, asked: Run, parameters: Mapping[str, Any]) -> Ended:
    """One scan, in a worker: its derivatives and, last, its state; or why not. Never raises an `Exception`."""
    out = asked.out
    begun = ScanState(visit.name, "", "failed", notes=visit.notes)
    try:
        with locked(out, visit.name):
            known = read_state(path_of(out, visit.name))
            state = replace(begun, **_inputs(visit, asked, parameters, known))
            if known is not None and known.key == state.key and known.is_whole(out):
                return Ended(visit.name, "resumed", _with_stamps(known, state, out))
            path_of(out, visit.name).unlink(missing_ok=True)  # an interrupted scan must not look finished
            done = _segment(visit, asked, state)
            done.write(out)
            (out / LOGS / f"{visit.name}.txt").unlink(missing_ok=True)
            return Ended(visit.name, "done", done)
    except BusyError as error:
        return Ended(visit.name, "elsewhere", words=str(error))
    except Exception as error:  # whatever it is, the other scans go on
        return _failure(out, begun, error)


def parameters_of(settings: Settings) -> dict[str, Any]:
    """All that a result depends on besides its inputs and the version, as plain values.

    Raises
    ------
    UnknownNameError
        There is no such recipe or method.
    ModelError
        Its model folder is broken.
    """
    recipe = recipes.load(settings.recipe)
    rule = settings.threshold
    return {
        "recipe": recipe.name if recipe.model is None else recipe.method,
        "method": {"name": recipe.method, **asdict(recipe.configured())},
        "model": None if recipe.model is None else recipes.model_sha256(recipe.model),
        "components": asdict(recipe.components),
        "threshold": None if rule is None else repr(rule),
        "preprocess": None if settings.preprocess is None else asdict(settings.preprocess),
    }


def write_pages(layout: Layout, asked: Run) -> Generator[Ended, None, None]:
    """Write the pages again of the scans that are done, of their derivatives; no scan is segmented.

    Such a page shows the FLAIR as it lies in its file.
    """
    for visit in layout.visits:
        state = read_state(path_of(asked.out, visit.name))
        if state is None or state.status != "done":
            continue
        try:
            with locked(asked.out, visit.name):
                sizes = dict(state.outputs)
                found = _found_again(visit, asked, state)
                sizes |= _sizes(asked.out, derivatives.write_page(asked.out, visit, found))
                state = replace(state, outputs=sizes)
                state.write(asked.out)
            yield Ended(visit.name, "done", state)
        except BusyError as error:
            yield Ended(visit.name, "elsewhere", words=str(error))
        except FlairlineError as error:
            yield Ended(visit.name, "failed", failed(state, str(error)))


def _inputs(visit: Visit, asked: Run, parameters: Mapping[str, Any], known: ScanState | None) -> dict[str, Any]:
    """Stamps of a scan's files, and the key that they make."""
    before = {} if known is None else known.inputs
    stamps = {role: FileStamp.of(asked.root, path, before.get(role)) for role, path in visit.files.items()}
    if asked.truths is not None and (truth := truth_of(visit, asked.truths)) is not None:
        place = truth.relative_to(asked.truths).as_posix()
        stamps["truth"] = FileStamp.of(asked.truths, place, before.get("truth"))
    return {"inputs": stamps, "key": key_of(stamps, parameters, version_of("flairline"))}


def _with_stamps(known: ScanState, state: ScanState, out: Path) -> ScanState:
    """The known state with the files' stamps of now, so that a data set that was copied is hashed only once."""
    if known.inputs == state.inputs:
        return known
    moved = replace(known, inputs=state.inputs)
    moved.write(out)
    return moved


def _segment(visit: Visit, asked: Run, state: ScanState) -> ScanState:
    """Make everything of one scan but its state, and return that."""
    started, work = time.perf_counter(), asked.work / visit.name
    _clear(asked.out, visit)
    memory.forget_peak()
    truth = None if asked.truths is None else truth_of(visit, asked.truths)
    recipe = recipes.load(asked.settings.recipe)
    try:
        found = find(visit.case(asked.root, truth), replace(asked.settings, work=work))
        paths = derivatives.write_found(asked.out, visit, found, calibrated=recipe.rater is not None)
        if found.truth is not None:
            paths.append(counted.write_counts(asked.out, visit, found, recipe.components))
    finally:
        if not asked.keep_work:
            shutil.rmtree(work, ignore_errors=True)
            with contextlib.suppress(OSError):  # other scans are in it, or there is none
                asked.work.rmdir()
    quality = found.summary.qc
    return replace(
        state,
        status="done",
        outputs=_sizes(asked.out, paths),
        flags=tuple(quality.words) if quality is not None else (),
        seconds=time.perf_counter() - started,
        peak_mb=memory.peak_mb(),
    )


def _clear(out: Path, visit: Visit) -> None:
    """Remove what an earlier run left of this scan, whole or half-written; nobody else writes it, we hold its lock.

    With other parameters other files are made (a score and no probabilities, no transforms), and those of the run
    before would lie beside them as if they belonged together.
    """
    earlier = [out / path for path in (*derivatives.paths_of(out, visit), counted.counts_path(visit.name))]
    parts = [*(out / visit.folder / "anat").glob(".*.part"), *out.glob(f".{derivatives.page_path(visit)}.*.part")]
    for path in (*earlier, *parts):
        remove_file(path)


def _sizes(out: Path, paths: Sequence[str]) -> dict[str, int]:
    return {path: _size_when_seen(out / path) for path in paths}


def _size_when_seen(path: Path) -> int:
    """Bytes of a file that was written; some file systems show it under its new name only after a while."""
    end = time.monotonic() + SEEN_SECONDS
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.05)
    return path.stat().st_size


def _failure(out: Path, state: ScanState, error: Exception) -> Ended:
    """The end of a scan that raised: its traceback in OUT/logs, its state written where OUT can still be written to."""
    line = str(error) if isinstance(error, FlairlineError) else f"{type(error).__name__}: {error}"
    state = failed(state, " ".join(line.split()))
    try:
        write_log(out, state.name, traceback.format_exc())
        state.write(out)
    except OutputError:  # the disk is full or gone; the error itself is still told
        pass
    return Ended(state.name, "failed", state)


def _never_came_back(outcome: Outcome[Visit, Ended], out: Path) -> Ended:
    """The end of a scan whose worker died, or whose cluster vanished."""
    visit = outcome.item
    state = failed(ScanState(visit.name, "", "failed", notes=visit.notes), outcome.error or "", died=outcome.died)
    known = read_state(path_of(out, visit.name))
    try:
        write_log(out, visit.name, outcome.traceback or f"{outcome.error}\n")
        if known is None or not known.is_whole(out):  # a cluster's worker goes on where the scheduler vanished
            state.write(out)
    except OutputError:
        pass
    return Ended(visit.name, "failed", state)


def _found_again(visit: Visit, asked: Run, state: ScanState) -> Found:
    """What was found, read from its derivatives."""
    out = asked.out
    made_of = state.inputs["flair"]
    now = FileStamp.of(asked.root, visit.files["flair"], made_of)
    if now.sha256 != made_of.sha256:
        msg = f"Wanted the FLAIR that {visit.name} was made of, but {asked.root / now.path} is another now."
        raise InputError(f"{msg} Run the participant level without --reports-only.")
    flair = read_volume(asked.root / visit.files["flair"])
    brain, mask = (read_mask(out / derivatives.mask_path(visit, what)) for what in ("desc-brain", "label-lesion"))
    calibrated = derivatives.score_path(visit, calibrated=True) in state.outputs
    score = read_volume(out / derivatives.score_path(visit, calibrated))
    summary = Summary.read(out / derivatives.summary_path(visit))
    threshold = summary.threshold or Threshold(float("nan"), "unknown", "unknown")
    scan = Scan.of(visit.name, flair, brain)
    return Found(scan, score, mask, threshold, summary, prepared=_registered_again(visit, asked, scan))


def _registered_again(visit: Visit, asked: Run, scan: Scan) -> Prepared | None:
    """What a page needs to show the atlas beside a scan that was registered: the atlas, and the way there."""
    known = derivatives.read_transform(asked.out, visit)
    if known is None or known[0] not in AT_HAND:
        return None  # an atlas of the user's own, whose file nobody named here
    case = visit.case(asked.root)
    atlas = load_atlas(known[0])
    return Prepared(case, scan, BrainSource("given", "flair"), atlas=atlas, atlas_to_native=known[1])
