"""The head of the page of two visits: volumes, what became of the lesions, and what of it can be believed."""

from __future__ import annotations

from flairline.imaging import changes
from flairline.report.comparison import Comparison
from flairline.report.pages import ComparisonPage, Page, Section
from flairline.report.templates import number, render_text

TEMPLATE = """
<h1>{{ found.earlier.name }} → {{ found.later.name }}</h1>
<p class="sub">Two visits, both brought half-way to each other. Recipe {{ found.recipe }}; {{ voxels }}</p>
<dl class="figures">
  <div><dt>{{ marked }} at the earlier visit</dt><dd>{{ found.earlier.lesion_volume_ml | number }} <small>ml</small>
    <span class="why">{{ found.earlier.n_lesions }} lesions</span></dd></div>
  <div><dt>{{ marked }} at the later visit</dt><dd>{{ found.later.lesion_volume_ml | number }} <small>ml</small>
    <span class="why">{{ found.later.n_lesions }} lesions</span></dd></div>
  <div><dt>Change</dt><dd>{{ change }} <small>ml</small><span class="why">{{ believed }}</span></dd></div>
  {% for kind, sum in kinds %}<div><dt>{{ kind | capitalize }}</dt><dd>{{ sum.lesions }}
    <span class="why">{{ sum_words[kind] }}</span></dd></div>{% endfor %}
</dl>
{% if found.note %}<p class="note" role="note"><strong>{{ found.note[0] | upper }}{{ found.note[1:] }}</strong>
The threshold fixes how much of the brain is marked, so the volumes above cannot tell whether there is more.</p>{% endif %}
<p class="note" role="note"><strong>{{ limit }}</strong>{{ found.stability }} A lesion whose volume changed by less than its own
smallest change (in the table) is called stable.</p>
{% if found.notes %}<ul class="flags" aria-label="What to mind">{% for note in found.notes %}<li>{{ note }}</li>{% endfor %}</ul>{% endif %}
<p class="sub">The heads lay {{ found.registration.turned_degrees | number(2) }}° and {{ found.registration.shifted_mm | number(2) }} mm
apart; registered, their brains overlap by {{ found.registration.brain_dice | number }} (Dice). Volumes are those of the visits'
own masks. New: no lesion touches it at the earlier visit. Resolved: none at the later one.{% if uncovered %} Not covered: it
lies where the other visit has no brain, so nothing is said of it.{% endif %}</p>
"""


def render(page: Page) -> Section | None:
    """None for a page that is not of two visits."""
    if not isinstance(page, ComparisonPage):
        return None
    found = page.comparison
    kinds = [(kind, total) for kind, total in found.kinds.items() if kind != changes.NOT_COVERED or total.lesions]
    html = render_text(
        TEMPLATE,
        found=found,
        marked="Marked" if found.note else "Lesions",
        voxels=_voxels(found),
        change=signed(found.change_ml),
        believed=_believed(found),
        kinds=kinds,
        sum_words={kind: _sum_words(kind, total.earlier_ml, total.later_ml) for kind, total in kinds},
        limit=_limit(found),
        uncovered=found.kinds[changes.NOT_COVERED].lesions,
    )
    return Section(0, "overview", "", html)


def signed(value: float) -> str:
    """A change with its sign, a minus of the right width."""
    if value != value:
        return "–"
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{number(abs(value))}"


def _sum_words(kind: str, earlier_ml: float, later_ml: float) -> str:
    if kind == changes.NEW and later_ml:
        return f"{number(later_ml)} ml"
    if kind == changes.RESOLVED and earlier_ml:
        return f"{number(earlier_ml)} ml before"
    return f"{number(earlier_ml)} → {number(later_ml)} ml" if earlier_ml or later_ml else "none"


def _believed(found: Comparison) -> str:
    words = {
        "unchanged": "smaller than what noise does: unchanged",
        "larger": "more than noise does: larger",
        "smaller": "more than noise does: smaller",
        "unknown": "nobody knows whether that is more than noise",
    }
    return words[found.verdict]


def _limit(found: Comparison) -> str:
    if found.smallest_change_ml != found.smallest_change_ml:
        return "The smallest change that can be believed is not known"
    mean = (found.earlier.lesion_volume_ml + found.later.lesion_volume_ml) / 2
    share = f" ({number(100 * found.smallest_change_ml / mean, 2)} %)" if mean > 0 else ""
    return (
        f"The smallest change of the whole volume that can be believed is {number(found.smallest_change_ml)} ml{share}"
    )


def _voxels(found: Comparison) -> str:
    shown = [" × ".join(f"{side:.3g}" for side in visit.voxel_mm) for visit in (found.earlier, found.later)]
    return f"voxels of {shown[0]} mm" + (f" and {shown[1]} mm" if shown[0] != shown[1] else "")
