"""Pure functions on arrays and voxel grids: resampling, components, tissue, ranks, labels, boxes.

Comes in: arrays (x, y, z) in RAS+ with the space they lie in. Goes out: new arrays; nothing given is changed. It
imports no file, no atlas and no method: what it needs to know is an argument.
"""
