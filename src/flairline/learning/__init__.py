"""What trained methods share: training data, the training loop, model folders, model cards, calibration.

Comes in: healthy or synthetic scans, a network and what it is trained for. Goes out: a model folder (JSON and
safetensors, never a pickle) and what scores scans from one. It imports no method: a method hands in its values and
its network.
"""
