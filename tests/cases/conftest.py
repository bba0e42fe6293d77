"""Bodies that take `lib` run against PyTorch, too, where it is installed."""

import pytest

import engine


@pytest.fixture(params=["engine", "torch"])
def lib(request):
    return engine if request.param == "engine" else pytest.importorskip("torch")
