"""Images of nobody: anatomy, contrast, lesions and scanner of synthetic scans, and phantoms whose truth is known.

Comes in: a seed, and label maps of brains. Goes out: scans with the lesions that were drawn into them, as files or
arrays. It imports no method and nothing of learning: what trains on these scans asks for them.
"""
