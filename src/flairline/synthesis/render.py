"""From what was drawn of a scan to its images, by either library of arrays: tissue, lesions, scanner, brain mask."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from flairline.synthesis import anatomy as tissue
from flairline.synthesis.arrays import Array, Arrays
from flairline.synthesis.contrast import Contrast, Glow
from flairline.synthesis.evaluate import along, anatomy_mm, field_values, interpolated, nearest_labels, pushed
from flairline.synthesis.fields import Field
from flairline.synthesis.lesions import EVERYWHERE, DrawnLesion, Paint, Within
from flairline.synthesis.plan import Rendered, ScanPlan
from flairline.synthesis.scanner import BrainMask, Scanner, Slices

LEAST = 0.1
"""Signal of a painted level whose texture would make it darker."""


def render(plan: ScanPlan, arrays: Arrays, points_mm: Array | None = None) -> Rendered:
    """One scan.

    Parameters
    ----------
    plan
        What was drawn.
    arrays
        The library that renders it.
    points_mm
        The anatomy's mm of the brain's voxels (3, n), for an anatomy of shares, where the caller has them already.
    """
    head = _MixedHead(plan, arrays, points_mm) if plan.anatomy.shares else _LabelledHead(plan, arrays)
    for number, lesion in enumerate(plan.lesions, start=1):
        head.draw(number, lesion)
    return head.scanned()


class _Head(ABC):
    """A head that is being rendered: the signal by channel, the lesions' share and number of each place."""

    axes_mm: tuple
    signals: dict[str, Array]
    share: Array
    numbers: Array

    def __init__(self, plan: ScanPlan, arrays: Arrays) -> None:
        self.plan, self.arrays, self.axes_mm = plan, arrays, plan.axes_mm

    def value(self, drawn: Field, box: tuple[slice, ...] = EVERYWHERE) -> Array:
        """A field over a box of the grid."""
        x, y, z = (axis[part] for axis, part in zip(self.axes_mm, box, strict=True))
        return field_values(self.arrays, drawn, (x, y, z))

    @abstractmethod
    def points_mm(self, pushed: bool) -> Array:
        """The anatomy's mm of the brain's voxels (3, n)."""

    @abstractmethod
    def within(self, place: object, within: Within) -> Array:
        """Share of each voxel of a place that can become lesion."""

    @abstractmethod
    def scanned(self) -> Rendered:
        """What a scanner makes of it."""

    def draw(self, number: int, lesion: DrawnLesion) -> None:
        """One lesion into all channels."""
        for part in lesion.parts:
            place, share, depth = part.outline.inside(self)
            if part.within.region != "anywhere":
                share = share * self.within(place, part.within)
            if part.paint is not None:
                self._paint(part.paint, place, share, depth)
            self.share[place] = self.arrays.maximum(self.share[place], share)
            numbers = self.numbers[place]
            numbers[(share >= 0.5) & (numbers == 0)] = number
            self.numbers[place] = numbers

    def _paint(self, paint: Paint, place: object, share: Array, depth: Array) -> None:
        texture = None if paint.texture is None else 1 + self.value(paint.texture, place)  # type: ignore[arg-type]
        for channel, signal in self.signals.items():
            there = signal[place]
            value: Array | float = paint.levels[channel]
            if paint.core is not None:
                core = self.arrays.clip(depth / 2 - paint.core.depth_mm / 2, 0, 1)
                value = value * (1 - core) + paint.core.levels[channel] * core
                value = value + paint.core.rims.get(channel, 0.0) * (1 - abs(2 * core - 1))
            if texture is not None:
                value = value * texture
            if paint.least is not None:
                bright = paint.levels[channel] >= 1
                value = (
                    self.arrays.maximum(paint.least * there, value)
                    if bright
                    else self.arrays.minimum(there / paint.least, value)
                )
            elif texture is not None:
                value = self.arrays.clip(value, LEAST, None)
            blend = 1 - share
            blend *= there
            blend += value * share
            signal[place] = blend


class _MixedHead(_Head):
    """Of an anatomy of shares; everything is a flat array over the brain's voxels until it is scanned."""

    def __init__(self, plan: ScanPlan, arrays: Arrays, points_mm: Array | None) -> None:
        super().__init__(plan, arrays)
        assert plan.extent is not None
        self._extent = plan.extent
        self._where = arrays.put(np.flatnonzero(plan.extent.brain))
        if points_mm is None:
            lines = (anatomy_mm(arrays, plan.deformation, plan.axes_mm, axis).reshape(-1) for axis in range(3))
            points_mm = arrays.stack([arrays.take(line, self._where, 0) for line in lines])
        self._points = self._pushed = points_mm
        for lesion in plan.lesions:
            if lesion.push is not None:
                self._pushed = pushed(arrays, self._pushed, lesion.push)
        anatomy = plan.anatomy
        grey, white = (
            arrays.linear(anatomy.shares[part], anatomy.origin_mm, np.array(anatomy.sides_mm), self._pushed)
            for part in (tissue.CORTEX, tissue.WHITE)
        )
        fluid = arrays.clip(1 - grey - white, 0, 1)
        self.signals = {}
        for channel, contrast in plan.contrasts.items():
            levels = [float(level) for level in contrast.levels]
            self.signals[channel] = white + levels[tissue.CORTEX] * grey + levels[tissue.CSF] * fluid
        self._tissue = 1 - fluid
        self.share = arrays.zeros(fluid.shape, np.float32)
        self.numbers = arrays.zeros(fluid.shape, np.int32)

    def points_mm(self, pushed: bool) -> Array:
        """The anatomy's mm of the brain's voxels (3, n)."""
        return self._pushed if pushed else self._points

    def within(self, place: object, within: Within) -> Array:
        """Share of tissue: an anatomy of grey and white matter has no other regions."""
        assert within.region == "tissue"
        return self._tissue[place]

    def scanned(self) -> Rendered:
        """What a scanner makes of it."""
        brain = self._extent.brain
        images = {channel: self.arrays.get(self._image(channel)) for channel in self.signals}
        share, numbers = np.zeros(brain.shape, np.float32), np.zeros(brain.shape, np.int32)
        share[brain], numbers[brain] = self.arrays.get(self.share), self.arrays.get(self.numbers)
        return Rendered(images, brain, share, numbers)

    def _image(self, channel: str) -> Array:
        arrays, scanner = self.arrays, self.plan.scanners[channel]
        assert scanner.rician is not None
        image = arrays.put(self._background(self.plan.contrasts[channel])).reshape(-1)
        image[self._where] = self.signals[channel]
        where = arrays.put(np.flatnonzero(self._extent.signal))
        image = image[where] * arrays.exp(self.value(scanner.bias.field)).reshape(-1)[where]
        noisy = arrays.hypot(image + arrays.put(scanner.rician.real), arrays.put(scanner.rician.imaginary))
        stored = arrays.zeros(self._extent.brain.shape, np.float32).reshape(-1)
        stored[where] = arrays.clip(arrays.rint(scanner.rician.white * noisy), 1, None)
        return stored.reshape(self._extent.brain.shape)

    def _background(self, contrast: Contrast) -> np.ndarray:
        """What is around the brain."""
        shells = self._extent.shells
        if shells is None:
            return np.zeros(self._extent.brain.shape, np.float32)
        return np.array([0, *contrast.shells], np.float32)[shells]


class _LabelledHead(_Head):
    """Of an anatomy of labels at 1 mm; everything is a whole grid."""

    def __init__(self, plan: ScanPlan, arrays: Arrays) -> None:
        super().__init__(plan, arrays)
        self._labels = nearest_labels(arrays, plan.anatomy, plan.deformation, plan.axes_mm)
        self.signals = {channel: self._colour(contrast) for channel, contrast in plan.contrasts.items()}
        self.share = arrays.zeros(plan.shape, np.float32)
        self.numbers = arrays.zeros(plan.shape, np.int16)
        self._tissue: Array = None
        if plan.lesions:
            self._tissue = self._smoothed((self._labels >= tissue.CORTEX) & (self._labels <= tissue.HIPPOCAMPUS), 0.6)

    def points_mm(self, pushed: bool) -> Array:
        """Raise `ValueError`: outlines of a labelled head are drawn over boxes of the grid, never over the brain."""
        msg = "wanted an outline over a box of the grid, found one over the brain's voxels, in a labelled head"
        raise ValueError(msg)

    def _smoothed(self, mask: Array, sigma: float) -> Array:
        return self.arrays.blur(self.arrays.cast(mask, np.float32), (sigma,) * 3)

    def _is(self, classes: tuple[int, ...]) -> Array:
        """Which voxels are of some classes."""
        found = self._labels == classes[0]
        for index in classes[1:]:
            found = found | (self._labels == index)
        return found

    def _colour(self, contrast: Contrast) -> Array:
        """Signal of one channel before there are lesions."""
        arrays = self.arrays
        table = arrays.put(contrast.levels.astype(np.float32))
        image = arrays.take(table, arrays.cast(self._labels.reshape(-1), np.int32), 0).reshape(self.plan.shape)
        for uneven in contrast.uneven:
            factor = self.value(uneven.field)
            if uneven.limits is not None:
                factor = arrays.clip(factor, *uneven.limits)
            factor *= uneven.strength
            factor += 1
            image = arrays.where(self._is(uneven.classes), image * factor, image)
        if contrast.flow is not None:
            flow = contrast.flow.strength * arrays.clip(self.value(contrast.flow.field), 0, None)
            image = arrays.where(self._is((tissue.CSF, tissue.VENTRICLE)), image + flow, image)
        if contrast.septum is not None:
            sheet = contrast.septum
            x = anatomy_mm(arrays, self.plan.deformation, self.axes_mm, 0) - sheet.middle_mm
            there = (abs(x) < sheet.half_mm) & self._is((tissue.VENTRICLE,))
            image = arrays.where(there, 0 * image + sheet.level, image)
        for glow in contrast.glows:
            image = self._glowing(image, glow)
        if contrast.wide_plexus:
            plexus = self._smoothed(self._is((tissue.CHOROID,)), 1.0) * (self._labels <= tissue.CHOROID)
            level = float(contrast.levels[tissue.CHOROID])
            image = arrays.maximum(image, arrays.clip(plexus, 0, 0.6) / 0.6 * level)
        if contrast.texture:
            texture = self.value(contrast.texture)
            texture += 1
            image *= texture
        return arrays.blur(image, (contrast.blur_mm,) * 3)

    def _glowing(self, image: Array, glow: Glow) -> Array:
        arrays = self.arrays
        field = self.value(glow.field)
        height = arrays.clip(field if glow.patchy else 1 + 0.5 * field, 0, None)
        near = self._smoothed(self._is(glow.near), glow.reach_mm)
        near *= glow.depth
        near *= height
        near = arrays.clip(near, 0, 1)
        near *= glow.strength
        return arrays.where(self._is(glow.onto), image + near, image)

    def within(self, place: object, within: Within) -> Array:
        """Share of each voxel of a box that can become lesion."""
        if within.region == "tissue":
            return self._tissue[place]
        if within.region == "lesion":
            return self.share[place] > 0.3
        labels = self._labels[place]
        if within.region == "white":
            return self._smoothed(labels == tissue.WHITE, 0.5)
        if within.region == "brain":
            return self._smoothed((labels >= tissue.VENTRICLE) & (labels <= tissue.VESSEL), 1.0)
        assert within.region == "oedema"
        spared = (labels == tissue.CORTEX) | ((labels >= tissue.THALAMUS) & (labels <= tissue.PALLIDUM))
        solid = self.arrays.cast(labels >= tissue.CORTEX, np.float32)
        open_share = self.arrays.where(spared, within.grey_share * solid, solid)
        return self.arrays.blur(open_share, (0.7,) * 3) * self._tissue[place]

    def scanned(self) -> Rendered:
        """What scanner and brain extraction make of it."""
        assert self.plan.brain_mask is not None
        self._tissue = None
        share, images = self.share, {}
        for number, (channel, scanner) in enumerate(self.plan.scanners.items()):
            images[channel] = self.arrays.get(self._image(self.signals.pop(channel), scanner))
            if number == 0 and self.plan.lesions:
                share = self._resolved(share, scanner)
        brain = self.arrays.get(self._brain(self.plan.brain_mask))
        return Rendered(images, brain, self.arrays.get(share), self.arrays.get(self.numbers).astype(np.int32))

    def _image(self, image: Array, scanner: Scanner) -> Array:
        arrays = self.arrays
        bias = self.value(scanner.bias.field)
        if scanner.bias.limit is not None:
            bias = arrays.clip(bias, -scanner.bias.limit, scanner.bias.limit)
        bias *= scanner.bias.strength
        bias = arrays.exp(bias)
        image *= bias
        del bias  # a whole grid, as everything is, so what is done with goes
        image = self._resolved(image, scanner, noisy=True)
        image = arrays.blur(image, (scanner.late_blur_mm,) * 3)
        if scanner.late_noise is not None:
            image += arrays.put(scanner.late_noise.draw(tuple(image.shape)))
        if scanner.most is not None:
            image = arrays.clip(image, None, scanner.most)
        if scanner.step is not None:
            image = arrays.rint(image / scanner.step) * scanner.step
        for axis, shift_mm in enumerate(scanner.shift_mm):
            if shift_mm:
                image = _shifted(arrays, image, axis, shift_mm)
        return image

    def _resolved(self, image: Array, scanner: Scanner, noisy: bool = False) -> Array:
        """At the scanner's resolution, back on the grid, as a resampled scan and its truth are."""
        image = self.arrays.blur(image, scanner.blur_mm)
        side = self.plan.shape[scanner.slices.axis] if scanner.slices is not None else 0
        if scanner.slices is not None:
            image = _along(self.arrays, image, Slices(scanner.slices.axis, scanner.slices.count, False))
        if noisy and scanner.gains is not None and scanner.slices is not None:
            image = image * self.arrays.put(along(scanner.gains, scanner.slices.axis))
        if noisy and scanner.noise is not None:
            image += self.arrays.put(scanner.noise.draw(tuple(image.shape)))
        if scanner.slices is not None:
            image = _along(self.arrays, image, Slices(scanner.slices.axis, side, scanner.slices.nearest))
        return image

    def _brain(self, mask: BrainMask) -> Array:
        arrays = self.arrays
        level = self.value(mask.wobble)
        level += mask.level
        if mask.residue is not None:
            level -= 0.4 * arrays.clip(self.value(mask.residue) - 1, 0, 1)
        brain = self._smoothed((self._labels >= tissue.VENTRICLE) & (self._labels <= tissue.VESSEL), 3.0)
        brain = brain > arrays.clip(level, 0.03, 0.75)
        for remnant in mask.remnants:
            box, share, _ = remnant.inside(self)
            brain[box] = brain[box] | ((share > 0.5) & (self._labels[box] != tissue.OUTSIDE))
        if mask.filled:
            brain = arrays.fill_holes(brain)
        if mask.cut is not None:
            gone = slice(None, mask.cut.voxel) if mask.cut.before else slice(mask.cut.voxel, None)
            brain[tuple(gone if axis == mask.cut.axis else slice(None) for axis in range(3))] = False
        return brain


def _along(arrays: Arrays, image: Array, slices: Slices) -> Array:
    """An image with so many slices along an axis over the same length, by lines or by nearest neighbour."""
    side = image.shape[slices.axis]
    if slices.nearest:
        index = np.floor(np.arange(slices.count) * (side / slices.count)).astype(np.int64)
        return arrays.take(image, arrays.put(np.minimum(index, side - 1)), slices.axis)
    place = np.clip((np.arange(slices.count) + 0.5) * (side / slices.count) - 0.5, 0, side - 1)
    before = np.floor(place).astype(np.int64)
    after = np.minimum(before + 1, side - 1)
    return interpolated(arrays, image, slices.axis, before, after, (place - before).astype(np.float32))


def _shifted(arrays: Arrays, image: Array, axis: int, shift_mm: float) -> Array:
    """An image of 1 mm moved along an axis by less than some voxels; what comes in from beyond repeats the border."""
    side = image.shape[axis]
    place = np.clip(np.arange(side) + shift_mm, 0, side - 1)
    before = np.floor(place).astype(np.int64)
    after = np.minimum(before + 1, side - 1)
    return interpolated(arrays, image, axis, before, after, (place - before).astype(np.float32))
