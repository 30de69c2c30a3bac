"""From a score to a mask: steps before the threshold, threshold rules, component rules, and recipes of them.

Scores come in, masks go out. It knows no method by name: a recipe holds the name of its own.
"""
