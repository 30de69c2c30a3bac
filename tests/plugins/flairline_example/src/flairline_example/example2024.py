"""A data set: a folder a patient, with the files that its owners call image and lesions."""

from dataclasses import dataclass
from typing import ClassVar

from flairline.cases.folder import FolderDataset, Pattern

SCAN = r"(?P<subject>patient\d+)"


@dataclass(frozen=True)
class Dataset(FolderDataset):
    name: ClassVar[str] = "example2024"
    title: ClassVar[str] = "Example 2024"
    licence: ClassVar[str] = "CC0"
    how_to_get: ClassVar[str] = "Make it."
    address: ClassVar[str] = "https://example.org/2024"
    citation: ClassVar[str] = "Somebody et al., 2024"
    layout: ClassVar[str] = "patient1/image.nii.gz"
    patterns: ClassVar[tuple[Pattern, ...]] = (
        Pattern("flair", rf"{SCAN}/image\.nii\.gz"),
        Pattern("brain", rf"{SCAN}/brain\.nii\.gz"),
        Pattern("truth", rf"{SCAN}/lesions\.nii\.gz"),
    )
