"""What training needs beside tensors."""

from . import functional as functional

__all__ = ["functional"]
