"""Six cases, two attributes and two outcomes, small enough to be scored by hand."""

from __future__ import annotations

import numpy as np

CODES = np.array([[0, 0, 1, 1, 2, -1], [0, 1, 1, 1, 0, 0]])
DSC = np.array([0.9, 0.7, 0.5, 0.7, 0.6, 0.2])
NORMHD = np.array([0.1, 0.1, 0.3, 0.5, 0.2, 0.6])
