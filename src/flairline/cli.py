"""The command line: parse, load, call, write. Heavy imports stay inside the command that needs them.

Exit codes: 0 done (a fragment of a data set, or a truth without lesions, is no error); 1 some inputs failed and are
named, the rest is done; 2 nothing could be done.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flairline.errors import FlairlineError, InputError

if TYPE_CHECKING:
    from flairline.benchmark import Progress, Row

app = typer.Typer(
    help="Find what is abnormal in a brain MRI without lesion labels. Research use only, not for diagnosis.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

SOME_FAILED, NOTHING_DONE, STOPPED = 1, 2, 130

_UsageError: Any = typer.BadParameter.__mro__[1]  # click's; recent versions of typer bring a copy of their own

CasesOption = Annotated[
    Path | None, typer.Option("--cases", help="Table of cases (CSV): dataset,subject,flair,t1,t2,brain,truth.")
]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes to work in.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print machine-readable results instead of tables.")]
ProtocolOption = Annotated[
    str, typer.Option("--protocol", help="experiment-1, experiment-2, native (as published), baur or sound.")
]
StripOption = Annotated[str, typer.Option("--strip-on", help="Take the brain from the t1 or from the flair.")]
RegistrationOption = Annotated[str, typer.Option("--registration", help="greedy, or dipy (the paper's engine).")]
AtlasOption = Annotated[str, typer.Option("--atlas", help="mni, sri24, or a skull-stripped T1 as a file.")]
OpenOption = Annotated[bool, typer.Option("--open", help="Open the page in the browser at the end.")]
VerdictsOption = Annotated[
    Path | None, typer.Option("--verdicts", help="Verdicts saved from a page; what failed is left out.")
]
PagesOption = Annotated[
    str,
    typer.Option(
        "--pages",
        help="A page of each scan: all, none, or some: the 3 best and the 3 worst of each method and data set,"
        " everything flagged, every outlier.",
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of the bootstrap intervals.")]


STDOUT = 1


def main() -> None:
    """Run the command line; a user's mistake ends with one line and exit code 2."""
    # Read when torch is loaded. By default its threads spin while they wait for each other, and beside one busy
    # neighbour a training step then takes ten times as long; waiting costs 4 % on an idle machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        code = app(standalone_mode=False) or 0
        if code == STOPPED:
            _say("flairline: stopped. Run the same command again to go on.")
        sys.exit(code)
    except FlairlineError as error:
        _say(f"flairline: {error}")
        sys.exit(NOTHING_DONE)
    except _UsageError as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "flairline"
        message = error.format_message().rstrip(".")
        if message:  # it has none where the help was printed already
            _say(f"flairline: {message}. See {command} --help.")
        sys.exit(NOTHING_DONE)
    except KeyboardInterrupt:
        _say("flairline: stopped. Run the same command again to go on.")
        sys.exit(STOPPED)
    except SystemExit as leaving:
        # typer answers a broken pipe itself, with 1. Whoever read our output has seen enough
        # (`flairline methods | head`).
        if not (isinstance(leaving.__context__, BrokenPipeError) and _reader_has_left()):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
        sys.exit(0)


def _reader_has_left() -> bool:
    """Whether stdout is a pipe that nobody reads any more: a pipe may break elsewhere, and that is no success."""
    import select

    if os.fstat(STDOUT).st_rdev == Path(os.devnull).stat().st_rdev:
        return True  # rich met the broken pipe first, and put this in its place
    watched = select.poll()
    watched.register(STDOUT, 0)
    return any(event & select.POLLERR for _, event in watched.poll(0))


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        from importlib.metadata import version as version_of

        typer.echo(f"flairline {version_of('flairline')}")
        raise typer.Exit


@app.command()
def segment(
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

    from flairline import segment as segmenting
    from flairline.postprocess.threshold import parse_threshold
    from flairline.preprocess.pipeline import checked_space, preprocess_settings
    from flairline.report import build, found

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
    method = _with_model(method, model)
    settings = segmenting.Settings(method, rule, overwrite, prepare, checked_space(space), kept)
    outcomes: list[Any] = []
    with _progress() as progress, TemporaryDirectory() as scratch:
        scans, studies = _table(cases) if cases is not None else [], {}
        for one in flairs or []:
            if one.is_dir():
                case, study = segmenting.case_from_dicom(one, kept or Path(scratch), flair_series, t1_series)
                scans, studies[study.name] = [*scans, case], study
                _say(f"{study.name}: {' '.join(study.reasons)}")
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
        from flairline.report import collect  # with it comes numba, which one scan does not need

        collect.keep_failures(out, {one.item.subject: one.error for one in outcomes if one.error is not None})
        page = collect.write_cohort(out)
    _print_segmented(outcomes, as_json)
    _show(page if report else None, open_page, as_json)
    _leave(sum(outcome.error is not None for outcome in outcomes), len(outcomes))


@app.command()
def benchmark(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for rows.csv, tables, figures and manifest.json.")],
    cases: CasesOption = None,
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", metavar="NAME=DIR", help="A data set on disk; repeatable.")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", help="Methods or recipes, METHOD=MODEL for a trained one; repeatable."),
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            "--protocol",
            help="experiment-1, experiment-2, native, baur or sound; repeatable. Default: sound, with --dataset"
            " experiment-1 and experiment-2.",
        ),
    ] = None,
    brain: Annotated[str, typer.Option("--brain", help="Of raw scans: auto, deepbet, robex, hdbet or none.")] = "auto",
    registration: RegistrationOption = "greedy",
    atlas: Annotated[
        str | None, typer.Option("--atlas", help="sri24 or a file: where scans go that a protocol wants on SRI24.")
    ] = None,
    bias: Annotated[bool, typer.Option("--bias/--no-bias", help="Correct the FLAIR's bias field (N4).")] = False,
    work: Annotated[
        Path | None, typer.Option("-w", "--work", help="Keep preprocessing steps here (default: OUT/preprocess).")
    ] = None,
    controls: Annotated[
        bool | None,
        typer.Option("--controls/--no-controls", help="Run intensity and highpass too. Default: with --dataset."),
    ] = None,
    ablate: Annotated[
        bool, typer.Option("--ablate", help="Turn one field of the protocol after the other: what is each worth?")
    ] = False,
    allow_seen: Annotated[
        bool, typer.Option("--allow-seen", help="Judge a model on patients it was trained on, too; rows are marked.")
    ] = False,
    jobs: JobsOption = 1,
    seed: SeedOption = 0,
    keep_maps: Annotated[
        bool, typer.Option("--keep-maps", help="Keep OUT/work, to judge the same maps again.")
    ] = False,
    verdicts: VerdictsOption = None,
    pages: PagesOption = "some",
    open_page: OpenOption = False,
    as_json: JsonOption = False,
) -> None:
    """Methods x data sets x protocols -> rows.csv, the paper's tables and figures, manifest.json.

    Example: [bold]flairline benchmark --dataset mslub=DIR --method histeq -o OUT[/bold]
    """
    from flairline import benchmark as judging
    from flairline import recipes
    from flairline.preprocess.pipeline import preprocess_settings
    from flairline.tables import CONTROLS

    if bool(dataset) == (cases is not None):
        msg = "Wanted --cases CASES.csv or --dataset NAME=DIR, one of the two. See flairline benchmark --help."
        raise InputError(msg)
    names = list(method or ["default"])
    if controls if controls is not None else bool(dataset):
        names += [name for name in CONTROLS if name not in names]
    prepare = preprocess_settings(brain, "t1", registration, atlas or "mni", bias)
    found, incomplete = _cases_of(dataset) if dataset else (_table(cases), {})  # type: ignore[arg-type]
    maps = []
    for recipe in map(recipes.load, names):
        seen = _unseen(recipe, found, allow_seen)
        maps.append(judging.RecipeMaps(recipe, atlas, work or out / "preprocess", prepare, seen))
    protocols = protocol or (["experiment-1", "experiment-2"] if dataset else ["sound"])
    _judge(found, maps, protocols, out, jobs, seed, verdicts, pages, open_page, as_json, keep_maps, incomplete, ablate)


@app.command()
def evaluate(
    cases: Annotated[Path, typer.Argument(metavar="CASES.csv", help="Table of cases with a column score or mask.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for rows.csv.")] = Path("flairline-evaluate"),
    protocol: ProtocolOption = "sound",
    name: Annotated[str, typer.Option("--name", help="What to call the maps in the column method.")] = "files",
    jobs: JobsOption = 1,
    seed: SeedOption = 0,
    verdicts: VerdictsOption = None,
    pages: PagesOption = "some",
    open_page: OpenOption = False,
    as_json: JsonOption = False,
) -> None:
    """Judge maps that another program made, by the same code.

    Example: [bold]flairline evaluate maps.csv --protocol sound -o OUT[/bold]
    """
    from flairline import benchmark as judging
    from flairline.datasets.cases import Dataset

    table = Dataset(cases)
    if not {"score", "mask"} & set(table.columns()):
        msg = f"{cases}, line 1: wanted a column 'score' or 'mask', found {', '.join(table.columns())}. Add one."
        raise InputError(msg)
    judged = table.cases(required=("truth",))
    _judge(judged, [judging.FileMaps(name)], [protocol], out, jobs, seed, verdicts, pages, open_page, as_json)


@app.command()
def report(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of segment or benchmark.")],
    verdicts: Annotated[
        Path | None, typer.Option("--verdicts", help="Verdicts saved from a page; they are shown and kept.")
    ] = None,
    open_page: OpenOption = False,
) -> None:
    """Write the page of all results again, reading back the viewers' verdicts.

    Example: [bold]flairline report results --verdicts verdicts.json[/bold]
    """
    from flairline.report import collect

    if not out.is_dir():
        msg = f"Wanted a folder with results, but there is none at {out}. Name the folder given to -o."
        raise InputError(msg)
    _show(collect.write_cohort(out, verdicts), open_page, False)


@app.command()
def serve(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of segment or benchmark.")],
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8377,
    open_page: OpenOption = False,
) -> None:
    """Serve the pages on 127.0.0.1, saving verdicts at once to OUT/verdicts.json.

    Example: [bold]flairline serve results --open[/bold]
    """
    from flairline.report.serve import Server

    server = Server(out, port)
    typer.echo(f"{server.address} serves {out} to this machine only; stop it with Ctrl+C.")
    if open_page:
        import webbrowser

        webbrowser.open(server.address)
    server.run()


datasets_app = typer.Typer(help="What data sets are known; what is missing in a folder; get one.")
app.add_typer(datasets_app, name="datasets")


@datasets_app.callback(invoke_without_command=True)
def datasets(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the data sets that flairline reads, with scans, licence and address.

    Example: [bold]flairline datasets[/bold]
    """
    if context.invoked_subcommand is not None:
        return
    from flairline.datasets import _listing as listing

    rows = listing.rows()
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    elif sys.stdout.isatty():
        _print_table("Data sets", list(rows[0]), [list(row.values()) for row in rows])
    else:
        for row in rows:
            typer.echo("\t".join(row.values()))


@datasets_app.command("check")
def datasets_check(
    name: Annotated[str, typer.Argument(help="A data set (flairline datasets).")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The unpacked folder, or one below it.")],
    jobs: JobsOption = 1,
    as_json: JsonOption = False,
) -> None:
    """What was found, what is missing, what is odd, file by file, and the next step.

    Example: [bold]flairline datasets check mslub open_ms_data[/bold]
    """
    from dataclasses import asdict

    from flairline.datasets import _listing as listing
    from flairline.datasets._check import check

    dataset = listing.on_disk(name, folder)
    with _progress() as progress:
        result = check(dataset, _through(progress, f"checking {name}", jobs))
    if as_json:
        typer.echo(json.dumps({**asdict(result), "folder": str(result.folder)}, indent=2))
    else:
        lines = [[finding.kind, finding.scan, finding.file, finding.what] for finding in result.findings]
        if lines:
            _print_table(f"{dataset.title} in {folder}", ["", "scan", "file", "what"], lines)
        expected = f" of {result.expected}" if result.expected else ""
        note = f" ({dataset.scans_note})" if dataset.scans_note else ""
        typer.echo(f"{result.usable}{expected} scans can be used{note}.")
        typer.echo(f"Next: {result.next_step}")
    _leave(result.failed, result.there)
    if result.there == 0:
        raise typer.Exit(NOTHING_DONE)


@datasets_app.command("fetch")
def datasets_fetch(
    name: Annotated[str, typer.Argument(help="A data set (flairline datasets).")],
    folder: Annotated[Path, typer.Option("-o", "--out", help="Where it goes.")] = Path("datasets"),
    part: Annotated[str | None, typer.Option("--part", help="A part of the data set (mslub: MNI).")] = None,
    as_json: JsonOption = False,
) -> None:
    """Get a data set where its licence allows it; elsewhere, say how a person gets it.

    Example: [bold]flairline datasets fetch mslub -o datasets[/bold]
    """
    from flairline.datasets import _listing as listing
    from flairline.datasets._fetch import fetch

    files = listing.remote_files(name, part)
    failures, counts = {}, dict[str, int]()
    with _progress() as progress:
        for one in fetch(files, folder / name, progress):
            counts[one.status] = counts.get(one.status, 0) + 1
            if one.error is not None:
                failures[one.file.path] = one.error
    if as_json:
        typer.echo(json.dumps({"folder": str(folder / name), "files": counts, "failures": failures}, indent=2))
    else:
        typer.echo(f"{folder / name}: " + ", ".join(f"{count} {status}" for status, count in counts.items()))
    _say_failures(failures)
    if failures:
        _say("Run the same command again to go on; what is there is kept.")
    _leave(len(failures), len(files))


@app.command()
def fit(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="A method that can be trained.")],
    scans: Annotated[
        list[Path] | None,
        typer.Argument(metavar="SCANS...", help="What it learns from: healthy FLAIRs; label maps for synthetic_unet."),
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="The model folder to write.")] = Path("flairline-model"),
    cases: CasesOption = None,
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", metavar="NAME=DIR", help="A data set on disk; repeatable.")
    ] = None,
    lesion_free_slices: Annotated[
        bool, typer.Option("--lesion-free-slices", help="Learn from patients' slices without lesions by the truths.")
    ] = False,
    brain: Annotated[str, typer.Option("--brain", help="Of raw scans: auto, deepbet, robex, hdbet or none.")] = "auto",
    max_minutes: Annotated[float, typer.Option("--max-minutes", min=0.01, help="Stop training after this.")] = 60.0,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "auto",
    preset: Annotated[
        str, typer.Option("--preset", help="Size of the network and of its training: small, paper (slice-wise), ...")
    ] = "small",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in the folder.")] = False,
    start: Annotated[
        list[Path] | None,
        typer.Option("--start", help="Model folder to start from; of several the mean (synthetic_unet)."),
    ] = None,
    shapes: Annotated[
        list[Path] | None,
        typer.Option("--shape", help="Lesion mask of another patient to synthesise from (synthetic_unet); repeat."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of everything random.")] = 0,
) -> None:
    """Train a method on healthy scans and write a model folder. No lesion label is ever learned from.

    Example: [bold]flairline fit vae healthy/*.nii.gz -o MODEL --max-minutes 60[/bold]
    """
    import dataclasses

    from flairline import registry

    chosen = registry.load("methods", method)()
    if not hasattr(chosen, "train"):
        msg = f"The method {method} needs no training. Use it at once: flairline segment --method {method}."
        raise InputError(msg)
    if [bool(scans), cases is not None, bool(dataset)].count(True) != 1:
        msg = "Wanted scans, --cases TABLE or --dataset NAME=DIR, one of the three. See flairline fit --help."
        raise InputError(msg)
    if device not in ("auto", "cpu") and not hasattr(chosen, "device"):
        msg = f"{method} learns on the CPU alone, but --device {device} was given. Leave it out."
        raise InputError(msg)
    if device != "auto" and hasattr(chosen, "device"):
        chosen = dataclasses.replace(chosen, device=device)
    options: dict[str, Any] = {"preset": preset, "max_minutes": max_minutes, "resume": resume, "seed": seed}
    options["progress"] = sys.stderr.isatty()
    if chosen.learns_from == "label maps":
        if not scans or lesion_free_slices:
            msg = f"{method} learns from label maps. Name their files: flairline fit {method} LABELS... -o MODEL."
            raise InputError(msg)
        with _resumable():
            chosen.train(scans, out, shapes=shapes or (), start=start or (), **options)
    else:
        if shapes or start:
            msg = f"--shape and --start are for synthetic_unet, and {method} learns from scans. Leave them out."
            raise InputError(msg)
        with _progress() as progress, _resumable():
            data, licences = _training_data(scans, cases, dataset, lesion_free_slices, brain, out)
            chosen.train(data, out, licences=licences, say=progress, **options)
    typer.echo(f"Model: {out}. Use it with --method {method} --model {out}.")


@app.command()
def methods(as_json: JsonOption = False) -> None:
    """List every method with its paper, training and cost.

    Example: [bold]flairline methods[/bold]
    """
    from flairline import recipes

    rows = recipes.listing()
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    elif sys.stdout.isatty():
        _print_table("Methods", list(rows[0]), [list(row.values()) for row in rows])
    else:
        for row in rows:
            typer.echo("\t".join(row.values()))


@app.command()
def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the results.")] = Path("flairline-demo"),
    patients: Annotated[int, typer.Option("--patients", min=1, help="Phantoms to make.")] = 4,
    spacing_mm: Annotated[float, typer.Option("--spacing-mm", help="Voxel side of the phantoms: 1 or 2.")] = 2.0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the phantoms.")] = 0,
) -> None:
    """The whole way on a synthetic cohort made on the spot.

    Example: [bold]flairline demo -o demo[/bold]
    """
    from flairline.demo import run

    with _progress() as progress:
        shown = run(out, patients, spacing_mm, seed, progress)
    _print_rows(shown.result.rows)
    _print_table("Found, by kind of lesion", ["kind", "lesions", "found"], shown.found_by_kind)
    typer.echo(f"Segmented with {shown.recipe}{f': {shown.note}' if shown.note else ''}.")
    typer.echo("Pages:    " + ", ".join(str(path) for path in shown.pages))
    typer.echo("Pictures: " + ", ".join(str(path) for path in shown.pictures))


def _table(path: Path) -> list[Any]:
    from flairline.datasets.cases import Dataset

    return Dataset(path).cases()


def _cases_of(datasets: list[str], need_truth: bool = True) -> tuple[list[Any], dict[str, str]]:
    """Cases of all data sets NAME=DIR, and what had to be left out, with reasons."""
    from flairline.datasets import _listing as listing

    cases: list[Any] = []
    left_out: dict[str, str] = {}
    for text in datasets:
        name, equals, folder = text.partition("=")
        if not equals or not folder:
            msg = f"Wanted --dataset NAME=DIR (mslub=open_ms_data), got {text!r}. Names: flairline datasets."
            raise InputError(msg)
        dataset = listing.on_disk(name, Path(folder))
        cases += dataset.cases() if need_truth else dataset.scans()
        left_out.update(dataset.left_out() if need_truth else {})
    return cases, left_out


def _training_data(
    scans: list[Path] | None,
    table: Path | None,
    datasets: list[str] | None,
    lesion_free_slices: bool,
    brain: str,
    out: Path,
) -> tuple[Any, list[str]]:
    """Healthy scans to train on, and what is known of their licences."""
    from dataclasses import replace

    from flairline import registry
    from flairline import segment as segmenting
    from flairline.methods._training_data import TrainingData
    from flairline.preprocess.pipeline import preprocess_settings

    if scans:
        found = segmenting.cases_from_files(scans)
        named = zip(found, segmenting.folder_names(found), strict=True)
        found = [replace(case, subject=name) for case, name in named]
    elif table is not None:
        found = _table(table)
    else:
        # Healthy people have no truths; of a patient without one nobody knows which slices are free of lesions.
        found, left_out = _cases_of(datasets or [], need_truth=lesion_free_slices)
        _say_failures(left_out)
    prepare = preprocess_settings(brain, "t1", "greedy", "mni", bias=False)
    known = [name for name in sorted({case.dataset for case in found}) if name in registry.names("datasets")]
    licences = [f"{name}: {getattr(registry.load('datasets', name), 'licence', 'not stated')}" for name in known]
    return TrainingData(found, lesion_free_slices, prepare, out / "training" / "brains"), licences


def _with_model(method: str, model: Path | None) -> str:
    """METHOD, or METHOD=MODEL."""
    if model is None:
        return method
    if "=" in method:
        msg = f"The method {method!r} names a model already. Leave out --model {model}."
        raise InputError(msg)
    return f"{method}={model}"


def _unseen(recipe: Any, cases: list[Any], allowed: bool) -> frozenset[str]:
    """Cases of patients that the recipe's model was trained on; that must be allowed."""
    from flairline.benchmark import seen_cases

    seen = seen_cases(recipe, cases)
    if seen and not allowed:
        shown = ", ".join(seen[:4]) + (" ..." if len(seen) > 4 else "")
        msg = (
            f"The model {recipe.model} has seen the patients of {len(seen)} of {len(cases)} scans ({shown}), and no"
            " model is judged on what it was trained on. Leave them out, give another model, or add --allow-seen,"
            " which marks the rows."
        )
        raise InputError(msg)
    return frozenset(seen)


def _through(progress: Progress, what: str, jobs: int) -> Any:
    """A `map` over this machine's processes that shows progress and keeps the order."""
    from flairline import engine

    def go(function: Any, items: Any) -> Iterator[Any]:
        results = {}
        for done, outcome in enumerate(engine.run(function, items, jobs), 1):
            progress(what, done, len(items))
            results[outcome.item.name] = outcome.result
        return iter([results[item.name] for item in items])

    return go


def _judge(
    cases: list[Any],
    maps: list[Any],
    protocols: list[str],
    out: Path,
    jobs: int,
    seed: int,
    verdicts: Path | None,
    pages: str,
    open_page: bool,
    as_json: bool,
    keep_maps: bool = False,
    incomplete: dict[str, str] | None = None,
    ablate: bool = False,
) -> None:
    """Run every method, write everything, print the cohorts' rows, leave with the right exit code.

    `incomplete` are scans of a data set that lack a file, with reasons: they count as failed.
    """
    import shutil

    from flairline import benchmark as judging
    from flairline import experiments
    from flairline import protocols as known
    from flairline.io.files import prepare_folder
    from flairline.report import collect, judged

    wanted_pages = judged.checked_pages(pages)
    chosen = [known.load(protocol) for protocol in protocols]
    cases, left_out = _without_failed(cases, verdicts)
    incomplete = incomplete or {}
    prepare_folder(out)
    settings = experiments.Settings(out, jobs, seed, ablate)
    with _progress() as progress:
        done = experiments.run(cases, maps, chosen, settings, progress)
    rows = [row for result in done.results for row in result.rows]
    failures = {**incomplete, **done.failures}
    if failures and not rows:  # results of an earlier run, if there are any, stay as they are
        _say_failures(failures)
        raise typer.Exit(NOTHING_DONE)
    # The page draws one protocol's curves and pictures: the first one's.
    of_first = [result for result in done.results if result.protocol == chosen[0]]
    collect.keep_details(out, of_first, chosen[0], left_out)
    with _progress() as progress:
        pageless = judged.write_pages(out, of_first, maps, chosen[0], wanted_pages, jobs=jobs, progress=progress)
    for scan, reason in pageless.items():
        _say(f"flairline: no page of {scan}: {reason}")
    if not keep_maps:
        shutil.rmtree(out / "work", ignore_errors=True)
    parameters = {**done.parameters, "left_out": left_out}
    judging.write_manifest(out / "manifest.json", cases, parameters, done.results, incomplete)
    if as_json:
        plain = {"rows": [_plain_row(row) for row in rows], "failures": failures, "left_out": left_out}
        typer.echo(json.dumps(plain, indent=2))
    else:
        _print_rows(rows)
        without = sorted({scan for result in done.results for scan in result.without_truth})
        if without:
            typer.echo(f"Without a truth, so not judged: {', '.join(without)}")
        if left_out:
            typer.echo(f"Left out by verdict: {len(left_out)} of {len(left_out) + len(cases)}: {', '.join(left_out)}")
        typer.echo(f"All rows: {out / 'rows.csv'}")
        for what, path in done.written.items():
            typer.echo(f"{what}: {path}")
    _show(collect.write_cohort(out), open_page, as_json)
    _say_failures(failures)
    _leave(len(failures), len(cases) + len(incomplete))


def _without_failed(cases: list[Any], verdicts: Path | None) -> tuple[list[Any], list[str]]:
    """Cases that no verdict failed, and the names of those that one did."""
    if verdicts is None:
        return cases, []
    from flairline.report import verdicts as saying

    said = saying.read(verdicts)
    kept, left_out = saying.without_failed(cases, said)
    if strangers := saying.of_no_case(cases, said):
        shown = ", ".join(strangers[:5]) + (" ..." if len(strangers) > 5 else "")
        _say(f"flairline: {verdicts} also names {len(strangers)} that are not judged here: {shown}.")
    if not kept:
        msg = f"Wanted at least one case, but {verdicts} fails all {len(left_out)}. Give another table."
        raise InputError(msg)
    return kept, left_out


def _show(page: Path | None, open_page: bool, quiet: bool) -> None:
    """Say where the page is, and open it if asked to."""
    if page is None or not page.exists():
        return
    if not quiet:
        typer.echo(f"Page: {page}")
    if open_page:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())


def _print_rows(rows: list[Row]) -> None:
    from flairline.benchmark import COHORT

    cohort = [row for row in rows if row.subject == COHORT]
    if not cohort:
        return
    for protocol in dict.fromkeys(row.protocol for row in cohort):
        lines = [
            [
                row.dataset,
                _method_of(row),
                row.metric,
                f"{row.value:.4f}",
                f"{row.low:.4f} to {row.high:.4f}",
                str(row.n),
            ]
            for row in cohort
            if row.protocol == protocol
        ]
        title = f"Cohorts by the protocol {protocol} (oracle: chosen on the labels it is judged by)"
        _print_table(title, ["data set", "method", "metric", "value", "95 % interval", "scans"], lines)


def _method_of(row: Row) -> str:
    return f"{row.method} (has seen these patients)" if row.seen else row.method


def _print_segmented(outcomes: list[Any], as_json: bool) -> None:
    done = [outcome.result for outcome in outcomes if outcome.result is not None]
    failures = {outcome.item.subject: outcome.error for outcome in outcomes if outcome.error is not None}
    if as_json:
        typer.echo(json.dumps({"subjects": [one.summary for one in done], "failures": failures}, indent=2))
        _say_failures(failures)
        return
    lines = []
    for one in done:
        summary = one.summary
        threshold = f"{summary['threshold']['value']:.4g} ({summary['threshold']['rule']})"
        status = "was there already" if one.kept else "done"
        volume = f"{summary['lesion_volume_ml']:.2f}"
        lines.append([summary["subject"], volume, str(summary["n_lesions"]), threshold, status, str(one.folder)])
    if lines:
        columns = ["subject", "volume ml", "lesions", "threshold", "status", "folder"]
        _print_table(f"Segmented with {done[0].summary['recipe']}", columns, lines)
    for one in done:
        for flag in (one.summary.get("qc") or {}).get("flags", []):
            _say(f"flairline: LOOK AT {one.summary['subject']}: {flag['figure']} {flag['reason']}.")
    for note in sorted({one.summary["note"] for one in done if one.summary.get("note")}):
        typer.echo(f"Mind: the volume is {note}.")
    if done:
        typer.echo("Research use only, not for diagnosis.")
    _say_failures(failures)


def _print_table(title: str, columns: list[str], lines: list[list[str]]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), box=SIMPLE, title_justify="left")
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for line in lines:
        table.add_row(*(Text(cell) for cell in line))
    # A pipe or a log has no width; nothing must be cut there.
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _plain_row(row: Row) -> dict[str, Any]:
    from dataclasses import asdict

    return {key: None if value != value else value for key, value in asdict(row).items()}


@contextmanager
def _progress() -> Iterator[Progress]:
    """A progress bar on a terminal, nothing in a log."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


@contextmanager
def _resumable() -> Iterator[None]:
    """A training that is stopped does not go on by itself."""
    try:
        yield
    except KeyboardInterrupt:
        _say("flairline: stopped. Run the same command with --resume to go on.")
        raise SystemExit(STOPPED) from None


def _say(line: str) -> None:
    typer.echo(" ".join(line.split()), err=True)


def _say_failures(failures: dict[str, str]) -> None:
    if len(failures) > 1:
        _say(f"flairline: {len(failures)} failed:")
    for scan, reason in failures.items():
        _say(f"{'flairline: ' if len(failures) == 1 else '  '}{scan}: {reason}")


def _leave(failed: int, total: int) -> None:
    """Exit with 1 if some inputs failed, 2 if all did."""
    if failed:
        raise typer.Exit(NOTHING_DONE if failed >= total else SOME_FAILED)
