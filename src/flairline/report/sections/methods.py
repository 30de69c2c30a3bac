"""Text for a paper's methods section, with citations, ready to paste."""

from __future__ import annotations

from flairline import registry
from flairline.errors import FlairlineError
from flairline.report.citations import RULES, preprocessing_sentences
from flairline.report.pages import Page, ScanPage, Section
from flairline.report.templates import number, render_text
from flairline.summary import Preprocessing
from flairline.types import MethodInfo

PAPER = (
    "Meissen F, Kaissis G, Rueckert D. Challenging current semi-supervised anomaly segmentation methods for brain MRI."
    " BrainLes, MICCAI 2021. arXiv:2109.06023."
)
SHORT = "Meissen et al. 2021"
"""How a method's own file cites the paper."""
TEMPLATE = """
<div class="tools screen"><button type="button" data-copy="methods-text">Copy</button>
<span role="status" class="muted" id="methods-text-status"></span></div>
<pre id="methods-text" tabindex="0">{{ text }}</pre>
"""


def render(page: Page) -> Section | None:
    """Sentences from the summary: nothing is said of a step that it does not name."""
    if not isinstance(page, ScanPage):
        return None
    return Section(80, "methods", "Methods text", render_text(TEMPLATE, text=methods_text(page)))


def methods_text(page: ScanPage) -> str:
    """The text, with its references below."""
    summary, citations = page.summary, [PAPER]

    def cite(reference: str) -> str:
        if reference not in citations:
            citations.append(reference)
        return f" [{citations.index(reference) + 1}]"

    version = (summary.versions or {}).get("flairline", "")
    sentences = [f"Lesions were segmented with flairline {version}".rstrip() + ", which needs no lesion labels [1]."]
    sentences += preprocessing_sentences(summary.preprocessing or Preprocessing(), cite)
    if summary.method:
        cited = _paper_of(summary.method)
        mark = cite(PAPER if cited.startswith(SHORT) else cited) if cited else ""
        sentences.append(f"The FLAIR was scored by the method “{summary.method}”{mark}, higher meaning more abnormal.")
    threshold = page.threshold
    mark = cite(RULES[threshold.rule]) if threshold.rule in RULES else ""
    sentences.append(
        f"Voxels with a score of at least {number(threshold.value, 4)} were marked (threshold rule: {threshold.rule}"
        f"{mark}; chosen on {threshold.chosen_on})."
    )
    components = (summary.parameters.components if summary.parameters is not None else None) or {}
    if components.get("min_voxels"):
        sentences.append(
            f"{components.get('connectivity', 26)}-connected components of fewer than {components['min_voxels']} voxels"
            " were removed."
        )
    if summary.corrected is not None:
        sentences.append("A person then corrected the mask.")
    if summary.note:
        sentences.append(f"The marked volume is {summary.note}.")
    references = "\n".join(f"[{i}] {text}" for i, text in enumerate(citations, 1))
    return " ".join(sentences) + "\n\n" + references


def _paper_of(method: str) -> str:
    """What the method's own file cites; empty for a method that is not installed here."""
    try:
        info: MethodInfo = registry.load("methods", method).info
    except FlairlineError:
        return ""
    return info.paper
