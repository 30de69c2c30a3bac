"""The table of lesions: volume, side, centre, what it lies in; a click moves the viewer there."""

from __future__ import annotations

from typing import Any

import numpy as np

from flairline.report.pages import LabelMap, Page, ScanPage, Section
from flairline.report.templates import render_text
from flairline.types import Lesion

MAX_ROWS = 200
TEMPLATE = """
{% if rows %}
<div class="scroll tall" tabindex="0" role="region" aria-label="Table of regions"><table id="lesion-table">
<thead><tr><th scope="col">Region</th><th scope="col" class="n">Volume (ml)</th>
{% if has_probability %}<th scope="col" class="n">Probability</th>{% endif %}<th scope="col">Side</th>
<th scope="col" class="n">Centre R, A, S (mm)</th>
{% if has_atlas %}<th scope="col" class="n">Centre in the atlas (mm)</th>{% endif %}
{% if has_tissue %}<th scope="col">Nearest tissue</th>{% endif %}
{% if has_lobe %}<th scope="col">Nearest lobe</th>{% endif %}</tr></thead>
<tbody>
{% for row in rows %}<tr><td>{% if row.centre %}<button type="button" class="go" data-goto="{{ row.goto }}"
  aria-label="Show region {{ loop.index }} in the viewer">{{ loop.index }}</button>{% else %}{{ loop.index }}{% endif %}</td>
<td class="n">{{ row.volume | number }}</td>
{% if has_probability %}<td class="n">{{ row.probability | number(2) }}</td>{% endif %}<td>{{ row.side }}</td><td class="n">{{ row.centre }}</td>
{% if has_atlas %}<td class="n">{{ row.atlas }}</td>{% endif %}
{% if has_tissue %}<td>{{ row.tissue }}</td>{% endif %}
{% if has_lobe %}<td>{{ row.lobe }}</td>{% endif %}</tr>
{% endfor %}
</tbody></table></div>
{% if has_probability %}<p class="muted">Probability: how often a region of such scores and such a volume touched a lesion on
synthetic scans.</p>{% endif %}
{% if more %}<p class="muted">The {{ rows | length }} largest of {{ more }}; all are in summary.json.</p>{% endif %}
{% else %}<p>Nothing reaches the threshold and the smallest size.</p>{% endif %}
"""


def render(page: Page) -> Section | None:
    """Rows of the summary's lesions, largest first."""
    if not isinstance(page, ScanPage):
        return None
    lesions = sorted(page.summary.lesions or (), key=lambda lesion: -lesion.volume_ml)
    rows = [_row(page, lesion) for lesion in lesions[:MAX_ROWS]]
    html = render_text(
        TEMPLATE,
        rows=rows,
        more=len(lesions) if len(lesions) > MAX_ROWS else 0,
        has_probability=any(row["probability"] is not None for row in rows),
        has_atlas=any(row["atlas"] for row in rows),
        has_tissue=any(row["tissue"] for row in rows),
        has_lobe=any(row["lobe"] for row in rows),
    )
    return Section(20, "lesions", "Regions", html)


def nearest_label(labels: LabelMap, place_mm: Any, reach_mm: float = 15.0) -> str:
    """Name of the region at a place in the atlas's RAS mm, or of the nearest within `reach_mm`; empty without one."""
    voxel = (np.linalg.inv(labels.space.vox_to_ras) @ np.array([*place_mm, 1.0], dtype=float))[:3]
    spacing = np.array(labels.space.spacing_mm)
    low = np.maximum(0, np.floor(voxel - reach_mm / spacing)).astype(int)
    high = np.minimum(labels.array.shape, np.ceil(voxel + reach_mm / spacing) + 1).astype(int)
    if (high <= low).any():
        return ""
    near = labels.array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    where = np.argwhere(near > 0)
    if where.size == 0:
        return ""
    apart = np.linalg.norm((where + low - voxel) * spacing, axis=1)
    best = int(np.argmin(apart))
    if apart[best] > reach_mm:
        return ""
    number = int(near[tuple(where[best])])
    return str(labels.names.get(number, number))


def _row(page: ScanPage, lesion: Lesion) -> dict[str, Any]:
    centre = lesion.centre_mm
    atlas: Any = lesion.centre_atlas_mm
    if atlas is None and centre is not None and page.native_to_atlas is not None:
        atlas = (page.native_to_atlas @ np.array([*centre, 1.0], dtype=float))[:3]
    tissue, lobe = lesion.tissue or "", lesion.lobe or ""
    if atlas is not None:
        tissue = tissue or (nearest_label(page.tissues, atlas) if page.tissues else "")
        lobe = lobe or (nearest_label(page.lobes, atlas) if page.lobes else "")
    return {
        "volume": lesion.volume_ml,
        "probability": lesion.probability,
        "side": lesion.side or "",
        "centre": _mm(centre),
        "goto": ",".join(f"{float(value):.2f}" for value in centre) if centre is not None else "",
        "atlas": _mm(atlas),
        "tissue": tissue,
        "lobe": lobe,
    }


def _mm(place: Any) -> str:
    return ", ".join(f"{float(value):.1f}" for value in place) if place is not None else ""
