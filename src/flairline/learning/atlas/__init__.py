"""Voxel-wise statistics of registered healthy scans, without a network.

Scans come in; mean and deviation at each place, and scores, go out.
"""
