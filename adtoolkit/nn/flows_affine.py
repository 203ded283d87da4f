"""The layers of the affine masked autoregressive flow of ANODE and CATHODE, as published."""

from __future__ import annotations

import torch
from nflows.transforms.autoregressive import AutoregressiveTransform
from nflows.transforms.base import Transform
from nflows.transforms.made import MaskedLinear
from torch import Tensor, nn

#: Events per step of a pass over the training set.
_CHUNK = 16_384


class AffineMade(nn.Module):
    """[N, D] -> [N, 2 D] shifts and log-scales, those of feature i made of the features before it and of the condition.

    The condition enters by an unmasked linear map without bias, added to the first masked layer. Weights start orthogonal,
    biases at zero. With D = 4, one condition and 128 units it has 18,312 parameters.

    Args:
        features: D.
        conditions: Numbers that the density is conditional on.
        hidden: Units of both hidden layers.

    References:
        | MADE (Germain, Gregor, Murray, Larochelle), arXiv:1502.03509
        | Density estimation using masked autoregressive flows (Papamakarios, Pavlakou, Murray), arXiv:1705.07057
        | ANODE (Nachman, Shih), arXiv:2001.04990
    """

    def __init__(self, features: int, conditions: int, hidden: int) -> None:
        super().__init__()

        def masked(degrees: Tensor, n: int, *, last: bool) -> MaskedLinear:
            layer = MaskedLinear(degrees, n, features, random_mask=False, is_output=last)
            nn.init.orthogonal_(layer.weight)
            nn.init.zeros_(layer.bias)
            return layer

        self.join = masked(torch.arange(1, features + 1), hidden, last=False)
        self.condition = nn.Linear(conditions, hidden, bias=False)
        nn.init.orthogonal_(self.condition.weight)
        self.middle = masked(self.join.degrees, hidden, last=False)
        self.leave = masked(self.middle.degrees, 2 * features, last=True)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        hidden = torch.relu(self.join(x) + self.condition(cond))
        out: Tensor = self.leave(torch.relu(self.middle(hidden)))
        return out


class AffineAutoregressive(AutoregressiveTransform):  # type: ignore[misc]  # nflows is untyped
    """``u = (x - mu(x_before)) exp(-alpha(x_before))``; log-determinant ``-sum alpha`` (arXiv:2001.04990)."""

    def __init__(self, features: int, conditions: int, hidden: int) -> None:
        super().__init__(AffineMade(features, conditions, hidden))

    def _elementwise_forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        mu, alpha = torch.unflatten(parameters, -1, (-1, 2)).unbind(-1)
        return (x - mu) * (-alpha).exp(), -alpha.sum(1)

    def _elementwise_inverse(self, u: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        mu, alpha = torch.unflatten(parameters, -1, (-1, 2)).unbind(-1)
        return u * alpha.exp() + mu, alpha.sum(1)


class FlowBatchNorm(Transform):  # type: ignore[misc]
    """Batch normalisation as a layer of a flow: ``u = exp(gamma) (x - mean) / sqrt(var + eps) + beta``.

    In training, mean and variance are the batch's, and gradients pass through them. In evaluation they are those of the
    whole training set, which `refresh_statistics` puts there after each epoch; nothing is averaged on the way.

    References:
        Papamakarios et al., arXiv:1705.07057, section 4 and appendix B; ANODE and CATHODE, arXiv:2001.04990 and arXiv:2109.00546.
    """

    eps = 1e-5
    mean: Tensor
    var: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(features))
        self.beta = nn.Parameter(torch.zeros(features))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("var", torch.ones(features))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        if self.training:
            mean = x.mean(0)
            var = (x - mean).square().mean(0)
        else:
            mean, var = self.mean, self.var
        scale = self.gamma - 0.5 * (var + self.eps).log()
        return (x - mean) * scale.exp() + self.beta, scale.sum().expand(len(x))

    def inverse(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Undo what evaluation does."""
        scale = 0.5 * (self.var + self.eps).log() - self.gamma
        return (u - self.beta) * scale.exp() + self.mean, scale.sum().expand(len(u))


@torch.no_grad()
def refresh_statistics(layers: nn.ModuleList, x: Tensor, cond: Tensor) -> None:
    """Give every `FlowBatchNorm` mean and variance of its inputs over the whole sample, each layer after those before it.

    One pass, layer by layer, so that memory holds [N, D] alone; the same as one pass of all events as a single batch.

    Args:
        layers: Transforms in the order of the density direction; put into evaluation mode for the pass.
        x: [N, D] events, as the first layer sees them.
        cond: [N, C] conditions, likewise.
    """
    for layer in layers:
        training = layer.training
        layer.eval()
        if isinstance(layer, FlowBatchNorm):
            wide = x.to(torch.float64) if x.device.type != "mps" else x  # a sum of a million float32 would lose digits
            layer.mean.copy_(wide.mean(0))
            layer.var.copy_(wide.var(0, correction=0))
        x = torch.cat([layer(part, c)[0] for part, c in zip(torch.split(x, _CHUNK), torch.split(cond, _CHUNK), strict=True)])
        layer.train(training)
