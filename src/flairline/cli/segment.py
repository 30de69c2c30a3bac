"""`flairline segment`."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

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
from flairline.cli.show import leave, print_segmented, progress_bar, say, show_page
from flairline.errors import InputError


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
        bool, typer.Option("--dicom-seg", help="Write mask.dcm, a DICOM Segmentation with its source's patient.")
    ] = False,
    cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Keep preprocessing steps for later runs.")] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Make results again that are there.")] = False,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Write report.html beside the mask.")] = True,
    open_page: OpenOption = False,
    jobs: JobsOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Scans -> lesion masks, scores and volumes, one folder a subject.

    Example: [bold]flairline segment flair.nii.gz --threshold q0.98 -o results[/bold]
    """
    from functools import partial

    from flairline import segmentation as segmenting
    from flairline.io import dicom
    from flairline.postprocess.threshold import parse_threshold
    from flairline.preprocess.pipeline import checked_space, preprocess_settings
    from flairline.report import build
    from flairline.report import scan_page as found

    if bool(flairs) == (cases is not None):
        msg = "Wanted FLAIR files or --cases TABLE, one of the two. See flairline segment --help."
        raise InputError(msg)
    prepare = preprocess_settings(brain, strip_on, registration, atlas, bias)
    brain_file = Path(brain) if prepare.brain == "auto" and brain != "auto" else None
    for name, given in (("t1", t1), ("t2", t2), ("brain", brain_file)):
        if cases is not None and given is not None:
            msg = f"Wanted --{name} FILE with one FLAIR, got it with --cases. Fill the table's column {name} instead."
            raise InputError(msg)
    rule = parse_threshold(threshold) if threshold is not None else None
    kept = (work or out / "work") if cache else None
    method = with_model(method, model)
    settings = segmenting.Settings(method, rule, overwrite, prepare, checked_space(space), kept)
    outcomes: list[Any] = []
    with progress_bar() as progress, TemporaryDirectory() as scratch:
        scans, studies = cases_of_table(cases) if cases is not None else [], {}
        for one in flairs or []:
            if one.is_dir():
                case, study = segmenting.case_from_dicom(one, kept or Path(scratch), flair_series, t1_series)
                scans, studies[study.name] = [*scans, case], study
                notes = dicom.check_segmentation(study.flair) if dicom_seg else ()
                say(f"{study.name}: {' '.join([*study.reasons, *(f'{note}.' for note in notes)])}")
        files = [one for one in flairs or [] if not one.is_dir()]
        scans += segmenting.cases_from_files(files, t1, brain_file, t2) if files else []
        write_page = partial(found.write_page, index=f"../{build.COHORT_PAGE}" if len(scans) > 1 else None)
        after = segmenting.DicomAfter(studies if dicom_seg else {}, write_page if report else None)
        for outcome in segmenting.run(scans, out, settings, jobs=jobs, after=after):
            outcomes.append(outcome)
            progress("segmenting", len(outcomes), len(scans))
    done = [outcome.result for outcome in outcomes if outcome.result is not None]
    page = done[0].folder / build.SCAN_PAGE if done else None
    if report and len(scans) > 1:
        from flairline.report import collect

        collect.keep_failures(out, {one.item.subject: one.error for one in outcomes if one.error is not None})
        page = collect.write_cohort(out)
    print_segmented(outcomes, as_json)
    show_page(page if report else None, open_page, as_json)
    leave(sum(outcome.error is not None for outcome in outcomes), len(outcomes))
