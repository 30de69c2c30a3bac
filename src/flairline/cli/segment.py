"""`flairline segment`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from flairline.cli.inputs import cases_of_table, with_model
from flairline.cli.options import (
    AtlasOption,
    CasesOption,
    JobsOption,
    JsonOption,
    OpenOption,
    RegistrationOption,
    StripOption,
)
from flairline.cli.show import leave, page_or_reason, print_segmented, progress_bar, say, show_page
from flairline.errors import InputError
from flairline.types import Case

if TYPE_CHECKING:
    from flairline.executor import Outcome
    from flairline.exports.after import Wanted
    from flairline.io.dicom import Study
    from flairline.segmentation import Done, Settings


def command(
    flairs: Annotated[
        list[Path] | None, typer.Argument(metavar="FLAIR...", help="FLAIR scans, raw or skull-stripped; DICOM folders.")
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the results.")] = Path("flairline-out"),
    cases: CasesOption = None,
    t1: Annotated[Path | None, typer.Option("--t1", help="T1 of the one FLAIR, on any grid.")] = None,
    t2: Annotated[Path | None, typer.Option("--t2", help="T2 of the one FLAIR, on its grid.")] = None,
    brain: Annotated[
        str, typer.Option("--brain", help="auto, deepbet, robex, hdbet, none (it is stripped), or a mask file.")
    ] = "auto",
    method: Annotated[str, typer.Option("--method", help="A method or recipe (flairline methods).")] = "default",
    model: Annotated[Path | None, typer.Option("--model", help="The model folder that the method reads.")] = None,
    threshold: Annotated[
        str | None, typer.Option("--threshold", help="0.95: a score; q0.98: a quantile of the brain.")
    ] = None,
    strip_on: StripOption = "t1",
    registration: RegistrationOption = "greedy",
    atlas: AtlasOption = "mni",
    space: Annotated[str, typer.Option("--space", help="Write results in native space, atlas space, or both.")] = (
        "native"
    ),
    bias: Annotated[bool, typer.Option("--bias/--no-bias", help="Correct the FLAIR's bias field (N4).")] = False,
    work: Annotated[
        Path | None, typer.Option("-w", "--work", help="Keep preprocessing steps here (default: OUT/work).")
    ] = None,
    flair_series: Annotated[
        int | None, typer.Option("--flair-series", help="Number of the FLAIR series in a DICOM folder.")
    ] = None,
    t1_series: Annotated[
        int | None, typer.Option("--t1-series", help="Number of the T1 series in a DICOM folder.")
    ] = None,
    dicom_seg: Annotated[
        bool,
        typer.Option(
            "--dicom-seg", help="Write mask.dcm, a DICOM Segmentation with its source's patient, and report.dcm on it."
        ),
    ] = False,
    label_map: Annotated[
        bool, typer.Option("--label-map", help="Write lesions and regions as label images, with tables for viewers.")
    ] = False,
    fill_t1: Annotated[
        bool, typer.Option("--fill-t1", help="Write the T1 with white matter in place of lesions (FreeSurfer, FSL).")
    ] = False,
    fmriprep_roi: Annotated[
        bool, typer.Option("--fmriprep-roi", help="Write the mask on the T1's grid as fMRIPrep looks for it.")
    ] = False,
    cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Keep preprocessing steps for later runs.")] = True,
    regions: Annotated[
        bool, typer.Option("--regions/--no-regions", help="Say in which region of the brain each lesion lies.")
    ] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Make results again that are there.")] = False,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Write report.html beside the mask.")] = True,
    open_page: OpenOption = False,
    jobs: JobsOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Scans -> lesion masks, scores and volumes, one folder a subject.

    Example: [bold]flairline segment flair.nii.gz --threshold q0.98 -o results[/bold]
    """
    from flairline.exports.after import Wanted
    from flairline.postprocess.threshold import parse_threshold
    from flairline.preprocess.settings import checked_space, preprocess_settings
    from flairline.segmentation import Settings

    if bool(flairs) == (cases is not None):
        msg = "Wanted FLAIR files or --cases TABLE, one of the two. See flairline segment --help."
        raise InputError(msg)
    prepare = preprocess_settings(brain, strip_on, registration, atlas, bias)
    brain_file = Path(brain) if prepare.brain == "auto" and brain != "auto" else None
    given = _Given(tuple(flairs or ()), cases, t1, t2, brain_file, flair_series, t1_series)
    given.check()
    rule = parse_threshold(threshold) if threshold is not None else None
    kept = (work or out / "work") if cache else None
    settings = Settings(with_model(method, model), rule, overwrite, prepare, checked_space(space), kept, regions)
    beside = _Beside(report, dicom_seg, Wanted(label_map, fill_t1, fmriprep_roi))
    outcomes = _segment(given, out, settings, beside, jobs)
    page, why_none = page_or_reason(out, lambda: _page(out, outcomes, report))
    print_segmented(outcomes, as_json)
    show_page(page, open_page, as_json)
    failed = sum(outcome.error is not None for outcome in outcomes)
    leave(failed + bool(why_none), len(outcomes) + bool(why_none))


@dataclass(frozen=True)
class _Beside:
    """What is written beside a mask."""

    report: bool
    dicom_seg: bool
    exports: Wanted


@dataclass(frozen=True)
class _Given:
    """The scans that were named: files and DICOM folders with what belongs to them, or a table of cases."""

    flairs: tuple[Path, ...]
    table: Path | None
    t1: Path | None
    t2: Path | None
    brain: Path | None
    flair_series: int | None
    t1_series: int | None

    def check(self) -> None:
        """Raise `InputError` where a file of one scan was given with a table."""
        for name, file in (("t1", self.t1), ("t2", self.t2), ("brain", self.brain)):
            if self.table is not None and file is not None:
                msg = (
                    f"Wanted --{name} FILE with one FLAIR, got it with --cases. Fill the table's column {name} instead."
                )
                raise InputError(msg)

    def cases(self, work: Path, dicom_seg: bool) -> _Found:
        """The cases, and the DICOM studies that some come from; those are converted into `work`."""
        from flairline.cases.names import cases_from_files

        if self.table is not None:
            return _Found(cases_of_table(self.table))
        folders = [path for path in self.flairs if path.is_dir()]
        files = [path for path in self.flairs if not path.is_dir()]
        cases = cases_from_files(files, self.t1, self.brain, self.t2) if files else []
        found = self._read_studies(folders, work, dicom_seg) if folders else _Found([])
        return replace(found, cases=[*found.cases, *cases])

    def _read_studies(self, folders: Sequence[Path], work: Path, dicom_seg: bool) -> _Found:
        """What lies in DICOM folders; one that is refused, or holds the study of another, fails alone."""
        from flairline import executor
        from flairline.cases.dicom import case_from_dicom
        from flairline.io.dicom import check_segmentation
        from flairline.io.files import readable

        def read(folder: Path) -> tuple[Case, Study]:
            case, study = case_from_dicom(folder, work, self.flair_series, self.t1_series)
            if study.name in studies:
                msg = f"{folder} holds the same study as another of the folders. Give it once, or its series by itself."
                raise InputError(msg)
            unsaid = check_segmentation(study.flair) if dicom_seg else ()
            notes = (*study.reasons, *(f"{note}." for note in unsaid))
            say(f"{study.name}: {' '.join(notes)}")
            return replace(case, notes=notes), study

        cases: list[Case] = []
        refused: list[Outcome[Case, Done]] = []
        studies: dict[str, Study] = {}
        for outcome in executor.run(read, folders):
            if outcome.result is None:
                case = Case("", readable(str(outcome.item)))
                refused.append(executor.Outcome(case, None, outcome.error, outcome.traceback))
            else:
                cases.append(outcome.result[0])
                studies[outcome.result[1].name] = outcome.result[1]
        return _Found(cases, studies, refused)


@dataclass(frozen=True)
class _Found:
    """What was named: cases, the DICOM studies that some come from (by name), and folders that were refused."""

    cases: list[Case]
    studies: dict[str, Study] = field(default_factory=dict)
    refused: list[Outcome[Case, Done]] = field(default_factory=list)

    def checked(self, exports: Wanted) -> _Found:
        """Without the cases that cannot have an export, which are refused."""
        from flairline import executor
        from flairline.cases.names import named

        def check(case: Case) -> Case:
            exports.check(case)
            return case

        if not exports.needs_t1:
            return self
        checked = list(executor.run(check, named(self.cases)))
        refused: list[Outcome[Case, Done]] = [
            executor.Outcome(each.item, None, each.error, each.traceback) for each in checked if each.error
        ]
        cases = [case for each, case in zip(checked, self.cases, strict=True) if not each.error]
        return replace(self, cases=cases, refused=[*self.refused, *refused])


def _segment(given: _Given, out: Path, settings: Settings, beside: _Beside, jobs: int) -> list[Outcome[Case, Done]]:
    from functools import partial

    from flairline import segmentation
    from flairline.exports.after import Exports
    from flairline.io.logs import with_log
    from flairline.report.build import COHORT_PAGE
    from flairline.report.scan_page import write_page

    with progress_bar() as progress, TemporaryDirectory() as scratch:
        found = given.cases(settings.work or Path(scratch), beside.dicom_seg).checked(beside.exports)
        outcomes = [with_log(outcome, out, outcome.item.subject) for outcome in found.refused]
        n_given = len(found.cases) + len(outcomes)
        with_page = partial(write_page, index=f"../{COHORT_PAGE}" if n_given > 1 else None)
        studies = found.studies if beside.dicom_seg else {}
        after = Exports(beside.exports, studies, with_page if beside.report else None)
        for outcome in segmentation.run(found.cases, out, settings, jobs=jobs, after=after) if found.cases else ():
            outcomes.append(outcome)
            progress("segmenting", len(outcomes), n_given)
    if after.writes and any(outcome.result is not None and outcome.result.kept for outcome in outcomes):
        say("Results that were there already got no new exports. Add --overwrite to make them again.")
    return outcomes


def _page(out: Path, outcomes: Sequence[Outcome[Case, Done]], report: bool) -> Path | None:
    """The page to show: the scan's own, or, written here, that of all scans; what failed is kept for it."""
    from flairline.report import build, segmented
    from flairline.report.volumes import write_volumes

    failures = {outcome.item.subject: outcome.error for outcome in outcomes if outcome.error is not None}
    folders = [outcome.result.folder for outcome in outcomes if outcome.result is not None]
    if (len(outcomes) > 1 and (report or (failures and folders))) or (out / segmented.DETAILS).exists():
        segmented.keep_failures(out, failures, [folder.name for folder in folders])
    if len(outcomes) > 1 and folders:
        write_volumes(out)
    if report and len(outcomes) > 1:
        from flairline.report import collect  # what only a cohort needs

        return collect.write_cohort(out)
    return folders[0] / build.SCAN_PAGE if report and folders else None
