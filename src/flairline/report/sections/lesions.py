"""The table of lesions: volume, side, centre, where in the brain it lies; a click moves the viewer there."""

from __future__ import annotations

from collections import Counter
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
{% if has_probability %}<th scope="col" class="n">Probability</th>{% endif %}
{% if has_region %}<th scope="col">Lies in</th>{% endif %}{% if sides_known %}<th scope="col">Side</th>{% endif %}
<th scope="col" class="n">Centre {{ 'R, A, S' if sides_known else 'x, y, z' }} (mm)</th>
{% if has_atlas %}<th scope="col" class="n">Centre in the atlas (mm)</th>{% endif %}
{% if has_tissue %}<th scope="col">Nearest tissue</th>{% endif %}
{% if has_lobe %}<th scope="col">Nearest lobe</th>{% endif %}</tr></thead>
<tbody>
{% for row in rows %}<tr><td>{% if row.centre %}<button type="button" class="go" data-goto="{{ row.goto }}"
  aria-label="Show region {{ loop.index }} in the viewer">{{ loop.index }}</button>{% else %}{{ loop.index }}{% endif %}</td>
<td class="n">{{ row.volume | number }}</td>
{% if has_probability %}<td class="n">{{ row.probability | number(2) }}</td>{% endif %}
{% if has_region %}<td>{{ row.region }}</td>{% endif %}{% if sides_known %}<td>{{ row.side }}</td>{% endif %}<td class="n">{{ row.centre }}</td>
{% if has_atlas %}<td class="n">{{ row.atlas }}</td>{% endif %}
{% if has_tissue %}<td>{{ row.tissue }}</td>{% endif %}
{% if has_lobe %}<td>{{ row.lobe }}</td>{% endif %}</tr>
{% endfor %}
</tbody></table></div>
{% if by_region %}<table id="region-table"><thead><tr><th scope="col">Lies in</th><th scope="col" class="n">Volume (ml)</th>
<th scope="col" class="n">Regions</th><th scope="col">Share of all that is marked</th></tr></thead><tbody>
{% for name, ml, count, share in by_region %}<tr><td>{{ name }}</td><td class="n">{{ ml | number }}</td><td class="n">{{ count }}</td>
<td class="share"><i style="width: {{ '%.1f' | format(share * 8) }}rem"></i>{{ '%.0f' | format(100 * share) }} %</td></tr>
{% endfor %}</tbody></table>{% endif %}
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
        has_region=any(row["region"] for row in rows),
        by_region=_by_region(page),
        sides_known=page.scan.space.sides_known,
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


def _by_region(page: ScanPage) -> list[tuple[str, float, int, float]]:
    """Each region of the brain: volume and number of the lesions in it, its share; empty where nothing is known."""
    counts = Counter(lesion.region for lesion in page.summary.lesions or ())
    known = page.summary.region_ml or {}
    total = sum(known.values()) or 1.0
    return [(name, ml, counts[name], ml / total) for name, ml in known.items()]


def _row(page: ScanPage, lesion: Lesion) -> dict[str, Any]:
    centre, sides_known = lesion.centre_mm, page.scan.space.sides_known
    atlas: Any = lesion.centre_atlas_mm
    if atlas is None and centre is not None and page.native_to_atlas is not None:
        atlas = (page.native_to_atlas @ np.array([*centre, 1.0], dtype=float))[:3]
    lobe = lesion.lobe or ""
    if atlas is not None and page.lobes is not None:
        lobe = lobe or nearest_label(page.lobes, atlas)
    return {
        "volume": lesion.volume_ml,
        "probability": lesion.probability,
        "region": lesion.region or "",
        "side": lesion.side or "",
        "centre": _mm(centre),
        "goto": ",".join(f"{float(value):.2f}" for value in centre) if centre is not None else "",
        # A place in the atlas names a side, and so does the second half of a lobe's name.
        "atlas": _mm(atlas) if sides_known else "",
        "tissue": lesion.tissue or "",
        "lobe": lobe if sides_known else lobe.partition(",")[0],
    }


def _mm(place: Any) -> str:
    return ", ".join(f"{float(value):.1f}" for value in place) if place is not None else ""
