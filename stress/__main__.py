"""``python -m stress``."""

import os
import sys

# One BLAS thread for each of ours, or the machine is oversubscribed. BLAS reads this once, when
# NumPy is imported, so it is set before that, and child processes inherit it.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

if __name__ == "__main__":
    from stress.cli import main

    sys.exit(main())
