"""Every page of the documentation in Chromium, wide and narrow, light and dark: axe-core, and what sticks out.

    make docs && npm ci --ignore-scripts && python -m studies.site [SITE] [--axe FILE] [--pictures FOLDER]

SITE is the folder that was built (site), FILE axe-core's script (node_modules/axe-core/axe.min.js). Needs chromium,
chromium-driver and selenium. Prints each page where something is found and how many looks there were; exit code 1 where
there is anything. With --pictures a picture of each page's beginning is kept. tests/test_docs.py looks at some of them.
"""

from __future__ import annotations

import argparse
import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WIDTHS, SCHEMES = (1280, 390), ("light", "dark")
HEIGHT = 900
FIND = """
const done = arguments[0];
const page = document.documentElement;
const found = [];
if (page.scrollWidth > page.clientWidth) found.push(`wider than the window by ${page.scrollWidth - page.clientWidth}`);
for (const image of document.querySelectorAll("img:not([alt])")) found.push(`an image without words: ${image.src}`);
axe.run(document).then((result) => {
  for (const { id, nodes } of result.violations) {
    const places = nodes.slice(0, 3).map((node) => node.target.join(" ")).join(", ");
    found.push(`${id} at ${places}: ${nodes[0].failureSummary}`);
  }
  done(found);
});
"""


def look(driver: Any, axe: str, page: Path, width: int, scheme: str) -> list[str]:
    """Open a page from its file and say what axe-core (its script is `axe`) finds, its width, its images."""
    size = {"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    driver.get(page.resolve().as_uri())
    driver.execute_script("localStorage.clear()")  # the theme keeps the scheme of the first page
    driver.refresh()
    driver.execute_script(axe)
    found = [" ".join(words.split()) for words in driver.execute_async_script(FIND)]
    shown = driver.execute_script("return document.body.getAttribute('data-md-color-scheme')")
    return found if (shown == "slate") == (scheme == "dark") else [*found, f"the scheme is {shown}"]


@contextmanager
def browser() -> Iterator[Any]:
    """Headless Chromium, with nothing of anybody's settings."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    for word in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars"):
        options.add_argument(f"--{word}")
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def main() -> int:
    """Look at every page of a site."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path, nargs="?", default=Path("site"))
    parser.add_argument("--axe", type=Path, default=Path("node_modules/axe-core/axe.min.js"))
    parser.add_argument("--pictures", type=Path)
    asked = parser.parse_args()
    axe = asked.axe.read_text(encoding="utf-8")
    looks = bad = 0
    with browser() as driver:
        for page in sorted(asked.site.rglob("*.html")):
            name = page.relative_to(asked.site).with_suffix("").as_posix()
            for width in WIDTHS:
                for scheme in SCHEMES:
                    looks += 1
                    found = look(driver, axe, page, width, scheme)
                    bad += bool(found)
                    for words in found:
                        print(f"{name}, {width} px, {scheme}: {words}", flush=True)
                    if asked.pictures is not None:
                        asked.pictures.mkdir(parents=True, exist_ok=True)
                        shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
                        path = asked.pictures / f"{name.replace('/', '_')}_{width}_{scheme}.png"
                        path.write_bytes(base64.b64decode(shot))
    print(f"{looks} looks at {looks // len(WIDTHS) // len(SCHEMES)} pages, {bad} with something found")
    return bool(bad)


if __name__ == "__main__":
    raise SystemExit(main())
