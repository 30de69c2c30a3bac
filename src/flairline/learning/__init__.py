"""What trained methods share: data to learn from, a training run and its loop, model folders, cards, calibration.

Scans or label maps come in, model folders and scorers go out. It knows no method by name and imports none.
"""
