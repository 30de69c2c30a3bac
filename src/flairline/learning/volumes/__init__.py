"""The network that learns lesions from synthetic scans, whole volumes at a time: sizes, crops, training, scoring.

Label maps and lesion shapes come in, a calibrated model folder and scores go out.
"""
