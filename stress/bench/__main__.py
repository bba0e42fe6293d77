"""``python -m stress.bench``: the bench alone."""

import argparse
import sys

from stress.bench.command import add_arguments, main

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m stress.bench")
    add_arguments(parser)
    sys.exit(main(parser.parse_args()))
