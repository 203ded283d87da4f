"""Monotone rational-quadratic splines, and the two kinds of flow layers that are made of them.

The layers are those of nflows with another spline inside: one without boolean masks, so that a step on a GPU never waits
for the host, and without the assertion that rounding in float32 can trip when it is inverted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from nflows.transforms.autoregressive import AutoregressiveTransform
from nflows.transforms.base import Transform
from nflows.transforms.coupling import CouplingTransform
from torch import Tensor, nn
from torch.nn.functional import pad, softplus

from adtoolkit.nn.flows_nets import MaskedNet

#: Least width, height (as shares of the box) and slope of a bin.
LEAST = 1e-3
#: What the outermost knots' slopes are made of: softplus of it, plus `LEAST`, is 1, the slope of the tails.
_UNIT = math.log(math.expm1(1 - LEAST))


def spline(x: Tensor, raw: Tensor, bound: float, *, inverse: bool = False) -> tuple[Tensor, Tensor]:
    """Carry each x through its own monotone spline; outside of ``[-bound, bound]`` it is the identity.

    Args:
        x: [...] inputs.
        raw: [..., 3 K - 1] widths and heights of K bins, then the slopes of the inner knots, all unconstrained. Zeros make the identity.
        bound: Half the side of the box.
        inverse: Go backwards.

    Returns:
        Outputs [...] and log of the absolute derivative [...].

    References:
        Neural Spline Flows (Durkan, Bekasov, Murray, Papamakarios), arXiv:1906.04032, equations 4 to 8 and appendix A.
    """
    bins = (raw.shape[-1] + 1) // 3
    logits = torch.unflatten(raw[..., : 2 * bins], -1, (2, bins))
    power = (logits - logits.detach().amax(-1, keepdim=True)).exp()  # torch's softmax is slow over so few bins
    shares = power * ((1 - LEAST * bins) / power.sum(-1, keepdim=True)) + LEAST
    size = 2 * bound * shares  # [..., 2, K] widths and heights
    # from the left ends of the bins, so that the first is exactly -bound; the last right end is so up to rounding
    start = 2 * bound * (shares.cumsum(-1) - shares) - bound
    slope = LEAST + softplus(pad(raw[..., 2 * bins :] + _UNIT, (1, 1), value=_UNIT))
    inside = x.abs() < bound
    at = torch.where(inside, x, torch.zeros_like(x))  # double where: no gradient of the tails passes through the box
    index = (at[..., None] >= start[..., 1 if inverse else 0, 1:]).sum(-1, keepdim=True)
    table = torch.cat([start, size, torch.stack([slope[..., :-1], slope[..., 1:]], -2)], -2)  # [..., 6, K]
    x0, y0, w, h, d0, d1 = table.gather(-1, index[..., None, :].expand(*table.shape[:-1], 1))[..., 0].unbind(-1)
    s = h / w
    curve = d0 + d1 - 2 * s
    if inverse:  # appendix A: the root of a quadratic, written so that nothing cancels
        rise = at - y0
        a, b, c = rise * curve + h * (s - d0), h * d0 - rise * curve, -s * rise
        t = 2 * c / (-b - (b * b - 4 * a * c).clamp_min(0).sqrt())
    else:
        t = (at - x0) / w
    t = t.clamp(0, 1)
    mixed = t * (1 - t)
    bottom = s + curve * mixed
    out = x0 + t * w if inverse else y0 + h * (s * t * t + d0 * mixed) / bottom
    log_slope = 2 * s.log() + (d1 * t * t + 2 * s * mixed + d0 * (1 - t) ** 2).log() - 2 * bottom.log()
    zero = torch.zeros_like(x)
    return torch.where(inside, out, x), torch.where(inside, -log_slope if inverse else log_slope, zero)


class Compress(Transform):  # type: ignore[misc]  # nflows is untyped
    """``u = c asinh(x / c)``: the identity in the middle, a logarithm far outside.

    Outside of their box splines are the identity, so that an outlier at 14 standard deviations would cost 100 nats under the
    normal base; compressed, it lies in the box, and its density is learnt.

    Args:
        knee: c.
    """

    def __init__(self, knee: float) -> None:
        super().__init__()
        self.knee = knee

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        ratio = x / self.knee
        return self.knee * ratio.asinh(), -torch.log1p(ratio.square()).sum(1) / 2

    def inverse(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        ratio = (u / self.knee).sinh()
        return self.knee * ratio, torch.log1p(ratio.square()).sum(1) / 2


class SplineAutoregressive(AutoregressiveTransform):  # type: ignore[misc]  # nflows is untyped
    """Every feature through a spline that is made of the features before it and of the condition.

    Args:
        net: Makes 3 K - 1 spline parameters per feature.
        features: D.
        bound: Half the side of the box.
    """

    def __init__(self, net: MaskedNet, features: int, bound: float) -> None:
        super().__init__(net)
        self.features, self.bound = features, bound

    def _elementwise_forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        out, log_slope = spline(x, torch.unflatten(parameters, -1, (self.features, -1)), self.bound)
        return out, log_slope.sum(1)

    def inverse(self, u: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Feature by feature; every pass makes the spline of its own feature alone, not those of all."""
        x, total = torch.zeros_like(u), u.new_zeros(len(u))
        for i in range(self.features):
            out, log_slope = spline(u[:, i], self.autoregressive_net(x, context, only=i), self.bound, inverse=True)
            x = torch.cat([x[:, :i], out[:, None], x[:, i + 1 :]], 1)
            total = total + log_slope
        return x, total


class SplineCoupling(CouplingTransform):  # type: ignore[misc]
    """Some features through splines that are made of the others and of the condition; one pass in both directions.

    Args:
        mask: [D] one for features that are transformed, zero for those that decide how.
        net: Makes the network of (inputs, outputs): [N, inputs], [N, C] -> [N, outputs].
        bins: K.
        bound: Half the side of the box.
    """

    def __init__(self, mask: Sequence[int], net: Callable[[int, int], nn.Module], bins: int, bound: float) -> None:
        self.bins, self.bound = bins, bound
        super().__init__(torch.tensor(mask), net)

    def _transform_dim_multiplier(self) -> int:
        return 3 * self.bins - 1

    def _coupling_transform_forward(self, inputs: Tensor, transform_params: Tensor) -> tuple[Tensor, Tensor]:
        out, log_slope = spline(inputs, torch.unflatten(transform_params, -1, (inputs.shape[1], -1)), self.bound)
        return out, log_slope.sum(1)

    def _coupling_transform_inverse(self, inputs: Tensor, transform_params: Tensor) -> tuple[Tensor, Tensor]:
        out, log_slope = spline(inputs, torch.unflatten(transform_params, -1, (inputs.shape[1], -1)), self.bound, inverse=True)
        return out, log_slope.sum(1)
