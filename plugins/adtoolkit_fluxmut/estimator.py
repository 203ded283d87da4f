"""The estimator ``flux-mutability``: first stage of Flux+Mutability."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from adtoolkit.errors import ConfigError, DataError
from adtoolkit.interfaces import BackgroundEstimator, Context
from adtoolkit.nn import seed_from
from adtoolkit.nn.plan import TrainingPlan
from adtoolkit.nn.training import train
from adtoolkit.types import Array, Sample, Window
from adtoolkit_fluxmut.config import FluxConfig
from adtoolkit_fluxmut.model import FluxModel, residuals_of
from adtoolkit_fluxmut.network import Autoencoder, AutoencoderShape, in_chunks, make_autoencoder, reconstruction_loss
from adtoolkit_fluxmut.scaled import ScaledFlow, fit_scaled


class Flux(BackgroundEstimator[FluxConfig]):
    """A conditional autoencoder of the reference class, then a conditional flow of its residuals.

    The residuals are what the few numbers of the code do not tell; an object of another kind leaves residuals that the reference does
    not have at the same conditions. Nothing is known, or assumed, of that other kind.

    The published networks were not available, so that all sizes are choices. On top of the scheme, the flow is of splines by default
    (affine with the preset ``paper``), what it is trained on gets a little noise (``jitter``), and a second flow, of the code, makes draws
    of x possible.

    References:
        Fanelli, Giroux, Papandreou, "Flux+Mutability: a conditional generative approach to one-class classification and anomaly
        detection", arXiv:2204.08609
    """

    def check(self, events: Sample, window: Window | None) -> None:  # noqa: ARG002 - part of the interface
        self._latent(events.x.shape[1])

    def fit(self, train: Sample, val: Sample, ctx: Context) -> FluxModel:
        """Train on reference events.

        Raises:
            ConfigError: if the code is as wide as the features.
            DataError: if there are no events, too few features, or values that are not finite.
            RunError: if a training diverges.
        """
        config, space = self.config, self.config.space
        autoencoder = self._autoencoder(train, val, ctx)
        rest, rest_val = (replace(part, x=residuals_of(autoencoder, space, part.x, part.cond)) for part in (train, val))
        flow = fit_scaled(config, rest, rest_val, ctx, name="flow", jitter=config.jitter)
        codes: ScaledFlow | None = None
        if space == "residual":
            code, code_val = (_codes(autoencoder, part, flow.scale(r.x)) for part, r in ((train, rest), (val, rest_val)))
            codes = fit_scaled(config, code, code_val, ctx, name="codes")
        trained = np.stack([train.cond.min(0), train.cond.max(0)])
        return FluxModel(autoencoder, flow, codes, space, trained)

    def _latent(self, features: int) -> int:
        if features < 2:
            raise DataError("An autoencoder needs at least two features, and these data have one.", "Add some: --set data.features=A,B")
        if self.config.latent >= features:
            raise ConfigError(
                f"A code of {self.config.latent} numbers tells all of {features} features: there are no residuals.",
                f"Use less: --set estimator.latent=N with N < {features}, or 0.",
            )
        return self.config.latent or max(1, 2 * features // 7)  # 4 of the 14 features of a calorimeter shower

    def _autoencoder(self, events: Sample, val: Sample, ctx: Context) -> Autoencoder:
        config, cond = self.config, events.cond.astype(np.float64)
        if not len(events):
            raise DataError("There are no reference events to train on.", "Check the cuts and data.n_reference.")
        if bad := int((~np.isfinite(cond).all(1)).sum()):
            raise DataError(f"{bad} events have a condition that is not a finite number.", "Drop those events: --drop-invalid")
        features = events.x.shape[1]
        shape = AutoencoderShape(features=features, conditions=cond.shape[1], latent=self._latent(features), widths=config.widths)
        scale = np.where(cond.std(0) > 0, cond.std(0), 1.0)
        seed = seed_from(ctx.rng("autoencoder", "initial weights"))
        autoencoder = make_autoencoder(shape, seed, cond.mean(0).tolist(), scale.tolist())
        plan = TrainingPlan(
            steps=config.ae_steps,
            batch=config.ae_batch,
            lr=config.ae_lr,
            weight_decay=0.0,
            decoupled=False,
            schedule="cosine",
            ema=0.0,
            validate_every=1,
            patience=config.patience,
            keep="best",
        )
        train(autoencoder, reconstruction_loss, events, val, plan, ctx, name="autoencoder")
        return autoencoder


def _codes(autoencoder: Autoencoder, sample: Sample, residuals: Array) -> Sample:
    """The code of each event, with the conditions k and r."""
    code = in_chunks(autoencoder.encode, sample.x, sample.cond, autoencoder.shift.device)
    return replace(sample, x=code, context=np.column_stack([sample.cond[:, 1:], residuals]))
