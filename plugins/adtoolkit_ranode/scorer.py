"""The R-ANODE scorer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from adtoolkit.background import Background
from adtoolkit.context import seed_of
from adtoolkit.errors import DataError, RunError
from adtoolkit.interfaces import Context, Scorer, ScorerData
from adtoolkit.metrics.likelihood_ratio import Profile, log_likelihood, profile
from adtoolkit.nn import generator, seed_from, to_numpy, to_tensor, torch_device
from adtoolkit.types import Array, Sample, Window
from adtoolkit_ranode.config import RAnodeConfig
from adtoolkit_ranode.fitted import RAnodeScorer, Signal, log_mean
from adtoolkit_ranode.flow import StackedFlow
from adtoolkit_ranode.mixture import Box, Floats, log_background
from adtoolkit_ranode.training import Events, Member, Trained, train

_LEAST_EVENTS = 50
#: Fewer events than this share of a flow's parameters are pointed out.
_EVENTS_PER_PARAMETER = 0.05
_POINTS = 101


@dataclass(frozen=True)
class Judged:
    """One signal fraction's members and what the events they held out say of them.

    Attributes:
        w: Signal fraction that was trained with; its mean over members and epochs where it was learned.
        rows: [S, n] parameters of the living members' best epochs (of all, if none lives).
        log_r: [H] log of the mean R over all members that did not train on the event.
        weight: [H] event weights.
        dead: Members without a held-out gain.
        gain: Mean held-out gain of the members.
    """

    w: float
    rows: Tensor
    log_r: Floats
    weight: Floats
    dead: int
    gain: float

    @property
    def likelihood(self) -> float:
        """Log likelihood ratio of the held-out events at ``w``."""
        return log_likelihood(self.log_r, self.w, self.weight)


class RAnode(Scorer[RAnodeConfig]):
    """p_data(x, m) = w p_sig(x, m) + (1-w) p_bg(x | m) p_bg(m): with the background fixed, only the signal density is trained.

    The score is log p_sig - log p_bg, of the joint densities. Members are flows with a train/validation split of their own;
    those that do not raise the likelihood of the events they held out are left out.

    References:
        | Das, Kasieczka, Shih, "Residual ANODE", arXiv:2312.11629
        | Signal fractions from likelihood scans: Das, Shih, Kasieczka, Mastandrea, arXiv:2506.00119
    """

    outside: bool = False  # its signal lives in the window

    def check(self, events: Sample, window: Window | None) -> None:
        if window is None:
            raise DataError("R-ANODE looks for a signal in a window of m, and there is none.", "Give one: --window LO HI")
        if events.context is not None:
            what = f"R-ANODE models (m, x) and nothing else, but the events have {events.context.shape[1]} further conditions."
            raise DataError(what, "Leave them out, or choose another scorer: --scorer cathode")

    def fit(self, data: ScorerData, background: Background | None, ctx: Context) -> RAnodeScorer:
        if background is None or data.range is None:
            raise RunError("R-ANODE needs a background density and a window.", "Choose an estimator that gives log-prob.")
        self.check(data.window, data.range)
        c, box = self.config, Box(data.range)
        kept, density = self._usable(data.window, background, ctx)
        z, slope = box.forward(kept)
        flow = StackedFlow(len(z), c.flow, c.layers, c.hidden, c.depth, c.bins, c.bound, c.dropout)
        self._warn(len(kept), flow, ctx)
        device = torch_device(ctx.device)
        weight = kept.weights.astype(np.float64)
        events = Events(to_tensor(z, device), to_tensor(density - slope, device), to_tensor(weight / weight.mean(), device))
        members = self._members(len(kept), seed_from(ctx.rng("members")))
        trained = train(flow, events, members, c, ctx)
        judged = [self._judge(flow, events, members, trained, k) for k in range(len(c.fractions))]
        return self._fitted(judged, trained, Signal(flow, torch.empty(0), box), background, ctx)

    def _usable(self, window: Sample, background: Background, ctx: Context) -> tuple[Sample, Floats]:
        """The events of the window and the log density that the background gives them; events without one are told of.

        Raises:
            DataError: if there are too few, or values that are not finite.
            RunError: if the background gives hardly any event a density.
        """
        if len(window) < _LEAST_EVENTS:
            raise DataError(f"R-ANODE has {len(window)} events in the window and needs {_LEAST_EVENTS}.", "Widen it: --window LO HI")
        for name, array in (("x", window.x), ("m", window.m), ("weight", window.weights)):
            if bad := int((~np.isfinite(array)).sum()):
                raise DataError(
                    f"The window's events have {bad} values in {name} that are not finite.", "Drop those events: --drop-invalid"
                )
        if window.weights.min() < 0 or not window.weights.sum() > 0:
            raise DataError("The window's events have negative weights or none above zero.", "Use weights that are zero or larger.")
        density = log_background(background, window, self.config.guard)
        there = np.isfinite(density)
        if low := int((~there).sum()):
            # one such event would outweigh all others in every mean of logarithms
            what = "they are left out of the training and score highest"
            ctx.note(f"r-anode: the background gives no density to {low:,} of {len(window):,} events; {what}.")
        if there.sum() < _LEAST_EVENTS:
            raise RunError(f"The background gives a density to {there.sum()} of {len(window):,} events.", "Train the estimator longer.")
        return window[there], density[there]

    def _warn(self, n: int, flow: StackedFlow, ctx: Context) -> None:
        if n < _EVENTS_PER_PARAMETER * flow.size:
            ctx.note(
                f"r-anode: {n:,} events of the window, {max(self.config.fractions) * n:.0f} of them signal at most, train flows of "
                f"{flow.size:,} parameters in {flow.dimensions} dimensions; smaller ones (scorer.layers, scorer.hidden) may do better."
            )

    def _members(self, n: int, seed: int) -> list[Member]:
        """For each signal fraction the same members: equal splits, first parameters and orders make the fractions comparable.

        Each round of members cuts a new permutation of the events into parts, and each of its members holds one part out.
        """
        c = self.config
        parts = max(2, round(1 / c.validation))
        held, splits = n // parts, []
        if not held:
            raise DataError(f"A share of {c.validation:g} of {n} events is less than one.", "Raise it: --set scorer.validation=0.2")
        for e in range(c.members):
            order = torch.randperm(n, generator=generator(seed_of(seed, "split", e // parts) >> 1))
            lo = e % parts * held
            splits.append((torch.cat([order[:lo], order[lo + held :]]), order[lo : lo + held]))
        return [Member(seed_of(seed, "member", e) >> 1, *splits[e], w) for w in c.fractions for e in range(c.members)]

    def _judge(self, flow: StackedFlow, events: Events, members: list[Member], trained: Trained, k: int) -> Judged:
        """The k-th signal fraction: its living members, and what all members say of the events they held out.

        The likelihood is of all members, dead ones too: those that live were chosen by these very events.
        """
        own = range(k * self.config.members, (k + 1) * self.config.members)
        good = trained.gain.isfinite()
        gains = [float(trained.gain[p][good[p]].mean()) if good[p].any() else -np.inf for p in own]
        finite = [p for p in own if good[p].any()]
        living = [p for p, gain in zip(own, gains, strict=True) if gain > 0] or finite
        if not living:
            raise RunError(
                "No member of R-ANODE had finite gradients in half the steps of an epoch, and a finite loss.",
                "Lower the learning rate: --set scorer.lr=VALUE",
            )
        rows = torch.cat([trained.rows[p][good[p]] for p in living])
        total = torch.full((events.z.shape[1],), -torch.inf, device=events.z.device, dtype=torch.float32)
        count = torch.zeros_like(total)
        for p in finite:
            val = members[p].val.to(total.device)
            ratio = log_mean(flow, trained.rows[p][good[p]], events.z[:, val]) - events.background[val]
            total[val] = torch.logaddexp(total[val], ratio)
            count[val] += 1
        held = count > 0
        log_r = to_numpy(total[held] - count[held].log()).astype(np.float64) + np.log1p(-self.config.guard)
        w = float(torch.cat([trained.w[p][good[p]] for p in living]).mean())
        dead = sum(gain <= 0 for gain in gains)
        return Judged(
            w, rows, log_r, to_numpy(events.weight[held]).astype(np.float64), dead, float(np.mean([gains[p - own[0]] for p in finite]))
        )

    def _fitted(self, judged: list[Judged], trained: Trained, signal: Signal, background: Background, ctx: Context) -> RAnodeScorer:
        chosen = max(judged, key=lambda one: one.likelihood)
        found = profile(chosen.log_r, chosen.weight)
        if chosen.dead == self.config.members:
            ctx.note(
                f"r-anode: none of {chosen.dead} members raises the likelihood of the events it held out: no signal was found, "
                "and the score is the mean of them all."
            )
        elif chosen.dead:
            ctx.note(f"r-anode: {chosen.dead} of {self.config.members} members without a held-out gain are left out.")
        if skipped := int(trained.skipped.sum()):
            ctx.note(f"r-anode: {skipped:,} steps of members were not taken, since their gradients were not finite.")
        numbers = {
            "w": found.w,
            "w-trained": chosen.w,
            "held-out-gain": chosen.gain,
            "held-out-events": float(len(chosen.log_r)),
            "members": float(self.config.members),
            "dead-members": float(chosen.dead),
            "skipped-steps": float(skipped),
        }
        curves = {"profile": _curve(chosen, found)}
        if len(judged) > 1:
            curves["scan"] = np.array([[one.w, one.likelihood] for one in judged], np.float32)
        return RAnodeScorer(replace(signal, rows=chosen.rows), replace(background, drawn=None), self.config.guard, numbers, curves)


def _curve(judged: Judged, found: Profile) -> Array:
    """[K, 2] w and the log likelihood ratio of the held-out events, from 0 to well beyond the interval."""
    most = min(max(3 * found.hi - 2 * found.w, 1e-4), 0.999)
    return np.array([[w, log_likelihood(judged.log_r, w, judged.weight)] for w in np.linspace(0, most, _POINTS)], np.float32)
