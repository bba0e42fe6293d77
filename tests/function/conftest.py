"""``lib``: the engine, and PyTorch where it is installed, so that the oracle is checked too."""

import pytest

from tests.function.lib import ENGINE, torch_lib


@pytest.fixture(params=["engine", "torch"])
def lib(request):
    return ENGINE if request.param == "engine" else torch_lib()
