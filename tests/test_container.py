"""The image: what can be told without building it. `make container-test` builds it, as root, from a bare Debian."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONTAINER = ROOT / "container"
DOCKERFILE, DEFINITION = CONTAINER / "Dockerfile", CONTAINER / "flairline.def"
INSTALL, CHECK = CONTAINER / "install.sh", CONTAINER / "test.sh"


def lines(path: Path) -> list[str]:
    """Without comments and empty ones."""
    stripped = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


def installed_parts() -> set[str]:
    """What install.sh takes from the repository."""
    found = re.search(r"^for part in (.*); do$", INSTALL.read_text(encoding="utf-8"), re.MULTILINE)
    return set(found[1].split())


def test_both_recipes_are_install_sh_on_the_same_debian_and_nothing_else():
    base, run, entry = lines(DOCKERFILE)
    assert run == "RUN --mount=type=bind,target=/source sh /source/container/install.sh"
    assert entry == 'ENTRYPOINT ["flairline"]'
    definition = lines(DEFINITION)
    assert definition[:2] == ["Bootstrap: docker", f"From: {base.removeprefix('FROM ')}"]
    sections = " ".join(definition[2:]).split("%")
    words = {name: rest for name, _, rest in (section.strip().partition(" ") for section in sections if section)}
    assert words["post"] == "sh /source/container/install.sh rm -rf /source"
    assert words["runscript"] == 'exec flairline "$@"'
    assert set(words) == {"files", "post", "runscript"}


def test_the_test_begins_with_the_same_debian():
    suite = re.search(r"^SUITE=(\w+)", CHECK.read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert lines(DOCKERFILE)[0] == f"FROM debian:{suite}-slim"


def test_both_recipes_hand_over_what_install_sh_takes():
    wanted = {*installed_parts(), "container/install.sh"}
    assert all((ROOT / part).exists() for part in wanted)
    definition = " ".join(lines(DEFINITION))
    handed = re.findall(r"(\S+) /source/(\S+)", definition.partition("%files")[2].partition("%post")[0])
    assert all(source == target for source, target in handed)
    assert {source for source, _ in handed} == wanted
    ignored = lines(CONTAINER / "Dockerfile.dockerignore")
    assert ignored[0] == "*" and {line[1:] for line in ignored if line.startswith("!")} == wanted


def test_what_the_package_is_built_of_is_handed_over():
    building = (ROOT / "hatch_build.py").read_text(encoding="utf-8")
    for name in ("package.json", "package-lock.json"):
        assert name in building and name in installed_parts()
    assert {"src", "pyproject.toml", "README.md", "LICENSE", "hatch_build.py"} <= installed_parts()


@pytest.mark.parametrize(("shell", "script"), [("sh", INSTALL), ("bash", CHECK)])
def test_the_scripts_are_clean(shell, script):
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    ran = subprocess.run([shell, "-n", script], capture_output=True, text=True, check=False)
    assert ran.returncode == 0 and not ran.stderr
    assert script.read_text(encoding="utf-8").startswith(f"#!/bin/{shell}\n")


def test_an_old_python_is_refused_before_anything_is_installed(tmp_path):
    programs = {"apt-get": "exit 0", "python3": 'if [ "$1" = -c ]; then exit 1; else echo Python 3.9.2; fi'}
    for name, what in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{what}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    ran = subprocess.run(["sh", INSTALL], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 1 and "wanted Python 3.11 or later, got Python 3.9.2" in ran.stderr


def test_the_test_takes_root_alone(tmp_path):
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    ran = subprocess.run(["bash", CHECK], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 1 and "wanted root" in ran.stderr and not ran.stdout


def test_the_workflow_builds_tests_and_publishes_with_what_is_there():
    text = (ROOT / ".github" / "workflows" / "container.yml").read_text(encoding="utf-8")
    assert "file: container/Dockerfile" in text and "ghcr.io" in text
    assert "--read-only" in text and "--network none" in text and "container/phantom.py" in text
