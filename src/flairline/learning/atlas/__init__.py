"""Voxel-wise statistics of healthy brains: the mean and the deviation at every place of an atlas.

Comes in: healthy scans and a grid that they are carried to. Goes out: a model folder of two images, and a scorer that
reads them on a scan's own grid. It imports no torch and no method.
"""
