"""Writes digits.npz from the copy of the data set that scikit-learn ships.

Run `python -m stress.data.make_digits` with scikit-learn installed. The bytes are the same
every time: zip entries get a fixed date, and the arrays have a fixed order and dtype.
"""

import numpy as np

from stress.data import BUILT_IN


def main() -> None:
    """Write the file where `stress.data.load("digits")` reads it."""
    from sklearn.datasets import load_digits  # only whoever rewrites the file needs scikit-learn

    x, y = load_digits(return_X_y=True)
    np.savez_compressed(BUILT_IN["digits"], x=x.astype(np.uint8), y=y.astype(np.uint8))


if __name__ == "__main__":
    main()
