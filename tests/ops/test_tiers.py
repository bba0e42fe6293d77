"""The operations that practical programs need, by how soon one misses them: all are there.

Names are NumPy's or PyTorch's, with the namespace where it is not the engine's; `T.` are methods.
"""

from typing import Any

import pytest

import engine

FIRST = {
    "elementwise": """negative neg positive abs exp expm1 log log1p sqrt square reciprocal sin cos
        tanh sigmoid relu leaky_relu nn.elu nn.gelu nn.silu nn.softplus nn.logsigmoid rsqrt erf
        add subtract sub multiply mul divide div power pow maximum minimum where clip clamp
        masked_fill T.masked_fill""",
    "reductions": """sum mean var std max amax min amin logsumexp softmax log_softmax
        linalg.vector_norm""",
    "shapes": """reshape ravel flatten permute_dims permute swapaxes matrix_transpose T.mT moveaxis
        movedim expand_dims unsqueeze squeeze broadcast_to concat cat stack split tensor_split
        unstack unbind pad nn.pad flip tril triu astype T.to copy clone""",
    "indices": """T.__getitem__ take index_select take_along_axis gather nn.embedding index_add
        scatter_add T.__setitem__""",
    "products": "matmul dot einsum outer tensordot",
    "networks": """nn.linear nn.conv1d nn.conv2d nn.max_pool2d nn.avg_pool2d nn.layer_norm
        nn.batch_norm nn.dropout nn.scaled_dot_product_attention""",
    "losses": """nn.mse_loss nn.l1_loss nn.huber_loss nn.cross_entropy nn.nll_loss
        nn.binary_cross_entropy nn.binary_cross_entropy_with_logits""",
    "graph": "T.detach T.add_",
    "constants": """equal eq not_equal ne less lt less_equal le greater gt greater_equal ge
        logical_and logical_or logical_not isnan isinf isfinite sign floor ceil round argmax argmin
        argsort nonzero all any nn.one_hot zeros_like ones_like full_like""",
}

SECOND = {
    "elementwise": """exp2 log2 log10 tan arcsin arccos arctan sinh cosh arcsinh arccosh arctanh
        rad2deg degrees deg2rad radians fabs sinc real imag conj angle nan_to_num real_if_close fmax
        fmin logaddexp logaddexp2 mod remainder true_divide arctan2 hypot""",
    "reductions": "prod amax amin cumsum diff gradient sort partition kthvalue",
    "shapes": """transpose rollaxis roll repeat repeat_interleave tile fliplr flipud rot90 diag
        diagonal make_diagonal diag_embed trace full linspace array_split hsplit vsplit dsplit
        hstack vstack dstack column_stack append array atleast_1d atleast_2d atleast_3d select""",
    "products": "inner kron cross",
    "linalg": """linalg.norm linalg.det linalg.slogdet linalg.inv linalg.pinv linalg.solve
        linalg.cholesky linalg.eig linalg.eigh linalg.svd""",
    "fft": """fft.fft fft.ifft fft.fft2 fft.ifft2 fft.fftn fft.ifftn fft.rfft fft.irfft fft.rfft2
        fft.irfft2 fft.rfftn fft.irfftn fft.fftshift fft.ifftshift""",
    "special": """special.beta special.betainc special.betaln special.digamma special.psi
        special.polygamma special.erf special.erfc special.erfcinv special.erfinv special.expit
        special.logit special.gamma special.gammainc special.gammaincc special.gammaln
        special.gammasgn special.rgamma special.multigammaln special.i0 special.i1 special.iv
        special.ive special.j0 special.j1 special.jn special.y0 special.y1 special.yn
        special.logsumexp""",
    "scipy": """linalg.sqrtm linalg.solve_triangular linalg.solve_sylvester linalg.solve_banded
        scipy.signal.convolve scipy.integrate.odeint""",
}
DISTRIBUTIONS = {
    "norm": "pdf cdf sf logpdf logcdf logsf",
    "t": "pdf cdf logpdf logcdf",
    "beta": "pdf cdf logpdf",
    "gamma": "pdf cdf logpdf",
    "chi2": "pdf cdf logpdf",
    "dirichlet": "pdf logpdf",
    "multivariate_normal": "pdf logpdf entropy",
    "poisson": "cdf pmf logpmf",
}
THIRD = {
    "elementwise": """acos acosh asin asinh atan atan2 atanh copysign trunc float_power heaviside
        xlogy fmod ldexp cbrt""",
    "manipulation": """broadcast_arrays broadcast_tensors meshgrid trim_zeros insert delete
        put_along_axis scatter compress masked_select choose interp block T.unfold nn.unfold
        sliding_window_view as_strided""",
    "reductions": """cumulative_sum cumulative_prod cumprod cummax cummin logcumsumexp ptp average
        median quantile percentile nansum nanmean nanvar nanmax nanmin trapezoid cov corrcoef topk
        bincount convolve polyval""",
    "linalg": """vecdot linalg.vecdot linalg.matrix_norm linalg.eigvals linalg.eigvalsh
        linalg.svdvals linalg.qr linalg.matrix_power linalg.cross linalg.diagonal linalg.multi_dot
        linalg.lstsq linalg.tensorsolve linalg.tensorinv linalg.cond linalg.matrix_exp
        fft.hfft fft.ihfft""",
    "special": """special.ndtr special.log_ndtr special.ndtri special.entr special.xlog1py
        special.zeta special.i0e special.i1e special.erfcx special.softmax special.log_softmax""",
    "networks": """nn.selu nn.celu nn.mish nn.softsign nn.hardtanh nn.relu6 nn.hardsigmoid
        nn.hardswish nn.glu nn.prelu nn.conv3d nn.conv_transpose2d nn.group_norm nn.instance_norm
        nn.rms_norm nn.adaptive_avg_pool2d nn.interpolate nn.pixel_shuffle nn.smooth_l1_loss
        nn.kl_div nn.gaussian_nll_loss nn.poisson_nll_loss nn.hinge_embedding_loss
        nn.triplet_margin_loss nn.cosine_similarity nn.ctc_loss nn.lstm_cell nn.gru_cell
        nn.embedding_bag""",
}


def resolve(name):
    """What a name stands for, or None."""
    where: Any = engine.Tensor if name.startswith("T.") else engine
    for part in name.removeprefix("T.").replace("nn.", "nn.functional.").split("."):
        where = getattr(where, part, None)
    return where


def names(tier):
    return [name for group in tier.values() for name in group.split()]


STATISTICS = [f"scipy.stats.{d}.{f}" for d, fs in DISTRIBUTIONS.items() for f in fs.split()]


@pytest.mark.parametrize("tier", [FIRST, SECOND, THIRD], ids=["first", "second", "third"])
def test_every_name_of_a_tier_is_there(tier):
    assert [name for name in names(tier) if resolve(name) is None] == []


def test_every_distribution_is_there():
    assert len(STATISTICS) == 27
    assert [name for name in STATISTICS if not callable(resolve(name))] == []


def test_a_name_that_is_not_there_is_noticed():
    assert resolve("linalg.nothing") is None
    assert resolve("T.nothing") is None
    assert resolve("nothing.at.all") is None
