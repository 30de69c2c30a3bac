"""Methods that learn what healthy axial slices look like: cutting, training, scoring.

Scans come in, scores and model folders go out. What a method is (network, objective, score) it says itself.
"""
