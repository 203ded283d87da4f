"""What SIGMA adds to the velocity network: a context that is interpolated between anchors."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from adtoolkit.nn.velocity import VelocityNetwork


@dataclass(frozen=True)
class BlendContext:
    """Interpolation in the mass: every activation that sees it is the weighted mean of its values at the anchors.

    Time is common to a stage of the solver and anchors are constants, so that what the network makes of them is a table
    of J x (1 + K) vectors, made anew for each stage; the trunk then runs once.

    Attributes:
        anchors: [J] masses.
        weights: [B, J] of each event; they sum to 1.
    """

    anchors: Tensor
    weights: Tensor

    def nodes(self, network: VelocityNetwork, t: Tensor, wx: Tensor) -> tuple[Tensor, Tensor]:
        first, gates = network.context(network.embedding(t, self.anchors))  # [J, H], [J, K H]
        h = wx.new_zeros(wx.shape)
        for j in range(len(self.anchors)):
            h = h + self.weights[:, j, None] * network.activation(wx + first[j])
        return h, self.weights @ gates
