"""Methods that learn from whole volumes: crops of synthetic scans, the U-Net, its training and calibration.

Comes in: label maps of brains, from which scans of nobody are made. Goes out: a model folder with a calibrated
threshold, and logits of a whole scan. It imports no method, and no Lightning where a scan is scored.
"""
