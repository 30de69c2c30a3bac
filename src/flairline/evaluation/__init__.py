"""What masks and scores are counted by: voxels at every threshold, lesions, protocols, intervals.

Comes in: score, mask and truth of one scan on one grid, and a protocol as data. Goes out: `Counts` of a fixed size
that add up over scans and shards, and lesions counted one by one. It imports no method, no recipe and no file format.
"""
