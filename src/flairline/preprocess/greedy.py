"""Runs greedy, and nothing else, in a process of its own: it prints to stdout, and a crash takes only itself along.

``python -P _greedy.py COMMAND MATRIX`` runs one greedy command, whose image and matrix names are files except for
`matrix`, and saves that one in full precision as .npy (a matrix that greedy itself writes is rounded).
"""

import sys

import numpy as np
from picsl_greedy import Greedy3D

if __name__ == "__main__":
    greedy = Greedy3D()
    greedy.execute(sys.argv[1], matrix=None)
    np.save(sys.argv[2], np.asarray(greedy["matrix"], dtype=np.float64))
