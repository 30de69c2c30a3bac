"""A machine without a user's name, without a home, or with a read-only one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from flairline.io.surroundings import make_usable

NOBODY = 54321
CODE = "from flairline.cli.main import main; main()"


def as_nobody(words: list[object], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in `folder` as a user that the system does not know and that may write only where all may."""
    if os.name != "posix" or os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("Only root, with setpriv, can become another user")
    become = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    # Python may lie in a folder of root's: nobody may read everything here, and write nothing.
    become += ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
    kept = {name: os.environ[name] for name in ("PATH", "OMP_NUM_THREADS") if name in os.environ}
    kept |= {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    return subprocess.run(
        [*become, sys.executable, *map(str, words)], cwd=folder, env=kept, capture_output=True, text=True, timeout=300
    )


@pytest.fixture
def open_to_all(tmp_path):
    """A folder that everybody may write to, below folders that everybody may enter."""
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="flairline-open-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def own_files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture
def homes(open_to_all):
    """What HOME says: nothing, a folder without rights, one that is not there; and a TMPDIR without rights."""
    closed = open_to_all / "closed"
    closed.mkdir(mode=0o555)
    temporary = open_to_all / "tmp"
    temporary.mkdir()
    temporary.chmod(0o777)
    return {
        "none": {"TMPDIR": str(temporary)},
        "read-only": {"HOME": str(closed), "TMPDIR": str(temporary)},
        "missing": {"HOME": "/nonexistent", "TMPDIR": str(temporary)},
        "TMPDIR": {"HOME": str(closed), "TMPDIR": str(closed)},
    }


@pytest.mark.parametrize("home", ["none", "read-only", "missing", "TMPDIR"])
def test_a_user_without_name_and_home_judges_and_sees_pages(open_to_all, homes, save, head, home):
    """numba's cache, matplotlib's folder and what asks who runs it: it simply works, and no folder `~` is made."""
    save(open_to_all / "flair.nii.gz", head.flair)
    save(open_to_all / "truth.nii.gz", head.truth.astype(np.uint8))
    (open_to_all / "cases.csv").write_text("dataset,subject,flair,truth\nd,1,flair.nii.gz,truth.nii.gz\n")
    words = ["benchmark", "--cases", "cases.csv", "--method", "histeq", "--protocol", "native", "-o", "out"]
    before = own_files(open_to_all)
    ran = as_nobody(["-c", CODE, *words], open_to_all, **homes[home])
    assert (ran.returncode, [line for line in ran.stderr.splitlines() if "LOOK AT" not in line]) == (0, [])
    assert (open_to_all / "out" / "index.html").exists()
    made = {path.split("/")[0] for path in own_files(open_to_all) - before}
    assert made <= {"out", "tmp"}


@pytest.mark.parametrize("imported", ["monai.networks.nets", "matplotlib.pyplot", "nilearn.datasets", "torch"])
def test_libraries_can_be_imported_by_a_user_without_a_name(open_to_all, homes, imported):
    pytest.importorskip(imported.split(".")[0])
    code = f"import flairline, getpass; print(getpass.getuser())\nimport {imported}"
    ran = as_nobody(["-W", "ignore", "-c", code], open_to_all, **homes["none"])
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"user{NOBODY}\n", "")


def test_what_can_be_used_stays_as_it_is(tmp_path):
    given = {"HOME": str(tmp_path), "USER": "ada"}
    make_usable(environment := dict(given))
    assert environment == given and list(tmp_path.iterdir()) == []


def test_what_somebody_named_stays_as_it_is(tmp_path):
    given = {"HOME": "/nonexistent/x", "USER": "ada", "NUMBA_CACHE_DIR": "/n", "MPLCONFIGDIR": "/m"}
    given["XDG_CACHE_HOME"] = "/c"
    make_usable(environment := dict(given))
    assert environment == given


def test_a_folder_that_somebody_else_laid_out_is_not_trusted(open_to_all, homes):
    """Among the temporary files everybody can make a folder of that name and put compiled code into it."""
    theirs = open_to_all / "tmp" / f"flairline-{NOBODY}"
    theirs.mkdir()
    theirs.chmod(0o777)
    code = "import flairline, os; print(os.environ['NUMBA_CACHE_DIR'])"
    ran = as_nobody(["-c", code], open_to_all, **homes["read-only"])
    assert ran.returncode == 0 and Path(ran.stdout).parent.parent == open_to_all / "tmp"
    assert not ran.stdout.startswith(str(theirs) + "/") and list(theirs.iterdir()) == []


@pytest.mark.parametrize(
    ("closed", "words", "code"), [((1,), ("methods",), 0), ((0, 1, 2), ("segment", "missing.nii", "-o", "out"), 2)]
)
def test_without_input_output_or_errors_it_works_as_with_them(tmp_path, closed, words, code):
    """`flairline ... >&-`, as some schedulers start it."""
    closing = " ".join(f"{descriptor}>&-" for descriptor in closed)
    command = f'exec "{sys.executable}" -c "from flairline.cli.main import main; main()" {" ".join(words)} {closing}'
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == code and "Traceback" not in ran.stderr
    assert (len(ran.stderr.splitlines()) == 1) == (code == 2 and 2 not in closed), ran.stderr
    assert bool(ran.stdout) == (code == 0 and 1 not in closed)
