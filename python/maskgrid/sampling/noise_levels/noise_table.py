"""Noise tables: what a model means by noise.

A table belongs to a model, not to a run. It says how noisy latents look at a noise level sigma, what the
network is shown and told there, and how its output becomes `denoised`, the clean latents it predicts.

Two families, and x is the noisy latents in both:

    epsilon, v_prediction   x = image_latents + sigma * noise                 sigma in (0, about 14.6] for SD
    flow                    x = (1 - sigma) * image_latents + sigma * noise   sigma in (0, 1]

A `sigma` argument is one number for the whole batch, a 0-d tensor or a float.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from maskgrid.errors import InvalidValueError
from maskgrid.sampling.argument_checks import unknown_name
from maskgrid.sampling.noise_levels import rounding
from maskgrid.sampling.noise_levels.betas import alphas_cumprod_of

__all__ = ["DiscreteTable", "FlowTable", "NoiseTable", "Prediction"]

Prediction = Literal["epsilon", "v_prediction", "flow"]

_SD_BETAS = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
_DISCRETE_PREDICTIONS = ("epsilon", "v_prediction")


class NoiseTable(ABC):
    """What sigma means to one model. Build one with `from_config`, `stable_diffusion` or `flow`.

    Attributes:
        prediction: What the network predicts: "epsilon", "v_prediction" or "flow".
        sigmas: (n,) float32 on the CPU, ascending: the noise levels the model was trained on.
    """

    prediction: Prediction
    sigmas: Tensor

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, mu: float | None = None) -> "NoiseTable":
        """The table of a model, from diffusers-style scheduler settings.

        Read for epsilon and v models: `prediction_type`, `num_train_timesteps`, `beta_schedule`,
        `beta_start`, `beta_end`, `trained_betas`, `rescale_betas_zero_snr`. Read for flow models:
        `num_train_timesteps`, `shift` or `flow_shift`, `use_dynamic_shifting`, `time_shift_type`. What is
        missing takes diffusers' default. Settings that choose steps (`timestep_spacing`, `use_karras_sigmas`,
        `shift_terminal`) are the schedule's business.

        Args:
            config: The settings, such as `pipe.scheduler.config`.
            mu: The shift for this image size, for models with `use_dynamic_shifting`; read for those only.

        Returns:
            The table.

        Raises:
            InvalidValueError: A setting that is not supported or out of range, or dynamic shifting without
                mu.
        """
        if "sigma_data" in config:
            raise InvalidValueError(
                f"sigma_data is {config['sigma_data']}: EDM preconditioning is not supported; "
                "allowed: epsilon, v_prediction and flow models"
            )
        if config.get("timestep_type", "discrete") != "discrete":
            raise InvalidValueError(f"timestep_type is {config['timestep_type']!r}; allowed: 'discrete'")
        if _is_flow(config):
            return _flow_from_config(config, mu)
        prediction = config.get("prediction_type", "epsilon")
        if prediction not in _DISCRETE_PREDICTIONS:
            raise unknown_name("prediction_type", prediction, (*_DISCRETE_PREDICTIONS, "flow_prediction"))
        return DiscreteTable(alphas_cumprod_of(config), prediction=prediction)

    @classmethod
    def stable_diffusion(
        cls, prediction: Literal["epsilon", "v_prediction"] = "epsilon", *, zero_terminal_snr: bool = False
    ) -> "NoiseTable":
        """The table of Stable Diffusion 1, 2 and XL: 1000 scaled-linear betas from 0.00085 to 0.012."""
        return NoiseTable.from_config(
            {**_SD_BETAS, "prediction_type": prediction, "rescale_betas_zero_snr": zero_terminal_snr}
        )

    @classmethod
    def flow(cls, shift: float = 1.0) -> "NoiseTable":
        """The table of a flow model with a fixed shift, such as SD3 (shift 3)."""
        return FlowTable(shift)

    @property
    def is_flow(self) -> bool:
        """Whether noisy latents are a mixture, (1 - sigma) * image + sigma * noise."""
        return self.prediction == "flow"

    @property
    def sigma_min(self) -> float:
        """The smallest sigma of the noise table."""
        return float(self.sigmas[0])

    @property
    def sigma_max(self) -> float:
        """The largest sigma of the noise table."""
        return float(self.sigmas[-1])

    @abstractmethod
    def timestep(self, sigma: Tensor | float) -> Tensor:
        """What the network is conditioned on at these sigmas (any shape; the same shape is returned)."""

    @abstractmethod
    def sigma(self, timestep: Tensor | float) -> Tensor:
        """The sigma of these training times (any shape), float32."""

    @abstractmethod
    def sigma_at(self, share: float) -> Tensor:
        """The sigma after a share of the way from pure noise (0) to clean (1), 0-d float32."""

    @abstractmethod
    def scale_input(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        """What the network reads, of x's shape and dtype."""

    @abstractmethod
    def denoised(self, x: Tensor, output: Tensor, sigma: Tensor | float) -> Tensor:
        """The clean latents that the network's output means, given the unscaled x."""

    @abstractmethod
    def noised(self, image_latents: Tensor, noise: Tensor, sigma: Tensor | float) -> Tensor:
        """Clean latents brought to noise level sigma."""

    @abstractmethod
    def start(self, image_latents: Tensor, noise: Tensor, sigma: Tensor | float) -> Tensor:
        """The x that a run starts from at its first sigma."""

    @abstractmethod
    def finish(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        """Latents to hand out from the x of a run that stopped at sigma (0 for a whole run).

        Raises:
            InvalidValueError: A flow model at sigma 1, where x holds nothing but noise.
        """

    @abstractmethod
    def alpha(self, sigma: Tensor) -> Tensor:
        """What the image is scaled by in the noisy latents at these sigmas."""

    @abstractmethod
    def half_log_snr(self, sigma: Tensor) -> Tensor:
        """log(alpha / sigma), half the logarithm of the signal-to-noise ratio."""

    @abstractmethod
    def sigma_of_half_log_snr(self, half_log_snr: Tensor) -> Tensor:
        """The sigma that has this half logarithm of the signal-to-noise ratio."""


class DiscreteTable(NoiseTable):
    """An epsilon or v model, trained on n discrete steps.

    x is the variance-exploding form of the model's own latents: x = z / alpha, sigma = sqrt((1 - a) / a) with
    a the cumulative alpha (Karras et al., arXiv 2206.00364, table 1).

    Args:
        alphas_cumprod: (n,) falling, in (0, 1).
        prediction: "epsilon" or "v_prediction" (Salimans and Ho, arXiv 2202.00512, appendix D).

    Raises:
        InvalidValueError: Fewer than 2 entries, or entries that do not fall strictly between 1 and 0.
    """

    def __init__(
        self, alphas_cumprod: Tensor, *, prediction: Literal["epsilon", "v_prediction"] = "epsilon"
    ) -> None:
        shares = alphas_cumprod.detach().cpu().double()
        bounded = shares.ndim == 1 and len(shares) >= 2 and bool(((shares > 0) & (shares < 1)).all())
        if not bounded or bool((shares.diff() > 0).any()):
            raise InvalidValueError(
                f"alphas_cumprod is {tuple(shares.shape)} from {shares.max()} to {shares.min()}; "
                "allowed: 2 or more falling numbers between 1 and 0, both excluded"
            )
        sigmas = ((1 - shares) / shares) ** 0.5
        self.prediction: Prediction = prediction
        self.alphas_cumprod = shares
        self.sigmas = sigmas.float()
        self._log_sigmas = sigmas.log().float()

    def __repr__(self) -> str:
        span = f"sigma {self.sigma_min:g}..{self.sigma_max:g}"
        return f"DiscreteTable({self.prediction}, {len(self.sigmas)} steps, {span})"

    def timestep(self, sigma: Tensor | float) -> Tensor:
        """Timestep of an epsilon or v model: the nearest table entry in log sigma, int64 in [0, n)."""
        log_sigma = rounding.log(torch.as_tensor(sigma, dtype=torch.float32, device="cpu"))
        distances = (log_sigma.reshape(1, -1) - self._log_sigmas[:, None]).abs()
        return distances.argmin(dim=0).reshape(log_sigma.shape)

    def sigma(self, timestep: Tensor | float) -> Tensor:
        """Sigma of a training time: interpolated in log sigma between entries; clamped to [0, n - 1]."""
        t = torch.as_tensor(timestep, dtype=torch.float32, device="cpu").clamp(0, len(self.sigmas) - 1)
        low, high, share = t.floor().long(), t.ceil().long(), t.frac()
        log_sigma = (1 - share) * self._log_sigmas[low] + share * self._log_sigmas[high]
        return rounding.exp(log_sigma)

    def sigma_at(self, share: float) -> Tensor:
        """Sigma after a share of the way, at training time (1 - share) * (n - 1); zero at 1."""
        if share >= 1:
            return torch.zeros(())
        return self.sigma((1 - share) * (len(self.sigmas) - 1))

    def scale_input(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        """Scale the network's input to unit variance: x / sqrt(sigma^2 + 1)."""
        return x / (_scalar(sigma) ** 2 + 1) ** 0.5

    def denoised(self, x: Tensor, output: Tensor, sigma: Tensor | float) -> Tensor:
        """What the noise table makes of an epsilon or v model's output: denoised.

        epsilon: x - sigma * output. v: x / (sigma^2 + 1) - output * sigma / sqrt(sigma^2 + 1).
        """
        s = _scalar(sigma)
        if self.prediction == "epsilon":
            return x - output * s
        return x / (s**2 + 1) - output * s / (s**2 + 1) ** 0.5

    def noised(self, image_latents: Tensor, noise: Tensor, sigma: Tensor | float) -> Tensor:
        """Noise an epsilon or v model's clean latents: image_latents + noise * sigma."""
        return image_latents + noise * _scalar(sigma)

    def start(self, image_latents: Tensor, noise: Tensor, sigma: Tensor | float) -> Tensor:
        """Start an epsilon or v model's x: noised; from sigma_max on (to 1e-5), + noise * sqrt(1 + sigma^2).

        At sigma_max the network was trained to see unit variance, which only the longer form gives.
        """
        s = _scalar(sigma)
        if float(s) > self.sigma_max or math.isclose(float(s), self.sigma_max, rel_tol=1e-5):
            return image_latents + noise * torch.sqrt(1 + s**2)
        return self.noised(image_latents, noise, s)

    def finish(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        """Hand out an epsilon or v model's x: itself."""
        return x

    def alpha(self, sigma: Tensor) -> Tensor:
        """Scale of the image in an epsilon or v model's x: 1 at every sigma."""
        return torch.ones_like(sigma)

    def half_log_snr(self, sigma: Tensor) -> Tensor:
        """Half the log signal-to-noise ratio of an epsilon or v model: -log(sigma)."""
        return rounding.log(sigma).neg()

    def sigma_of_half_log_snr(self, half_log_snr: Tensor) -> Tensor:
        """Sigma of an epsilon or v model at half a log signal-to-noise ratio: exp(-half_log_snr)."""
        return rounding.exp(half_log_snr.neg())


class FlowTable(NoiseTable):
    """A flow model (Lipman et al., arXiv 2210.02747) with a shifted time.

    The shift is Esser et al.'s (arXiv 2403.03206):

        sigma(t) = shift * t / (1 + (shift - 1) * t),   t in (0, 1]

    Shifting by mu, as Flux and others do for each image size, is the same with shift = exp(mu)
    ("exponential") or shift = mu ("linear").

    `timestep` and `sigma` are not inverses of each other unless shift is 1: the network is told sigma *
    scale, while `sigma` takes a training time before the shift. Schedules that walk through training times
    (normal, sgm_uniform) rest on that.

    Args:
        shift: Above 0.
        steps: Number of entries of the table, at least 2.
        scale: The timestep at sigma 1.

    Raises:
        InvalidValueError: A shift that is not a finite number above 0, fewer than 2 steps, or a scale not
            above 0.
    """

    def __init__(self, shift: float = 1.0, *, steps: int = 1000, scale: float = 1000.0) -> None:
        if not (math.isfinite(shift) and shift > 0):
            raise InvalidValueError(f"shift is {shift}; allowed: a finite number above 0")
        if steps < 2:
            raise InvalidValueError(f"steps is {steps}; allowed: 2 or more")
        if not (math.isfinite(scale) and scale > 0):
            raise InvalidValueError(f"scale is {scale}; allowed: a finite number above 0")
        self.prediction: Prediction = "flow"
        self.shift = float(shift)
        self.scale = float(scale)
        self.sigmas = self.sigma(torch.arange(1, steps + 1) / steps * self.scale)

    def __repr__(self) -> str:
        return f"FlowTable(shift={self.shift:g}, steps={len(self.sigmas)}, scale={self.scale:g})"

    def timestep(self, sigma: Tensor | float) -> Tensor:
        """Timestep of a flow model: sigma * scale, float32."""
        return torch.as_tensor(sigma, dtype=torch.float32, device="cpu") * self.scale

    def sigma(self, timestep: Tensor | float) -> Tensor:
        """Sigma of a flow model's training time: the shift formula at t = timestep / scale."""
        return self._shift_time(torch.as_tensor(timestep, dtype=torch.float32, device="cpu") / self.scale)

    def sigma_at(self, share: float) -> Tensor:
        """Sigma of a flow model after a share of the way: the shift formula at t = 1 - share."""
        # In float64 up to here: the Brownian path of a run that starts there sees the last bit.
        t = torch.tensor(min(max(1.0 - share, 0.0), 1.0), dtype=torch.float64)
        return self._shift_time(t).float()

    def scale_input(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        """Scale a flow model's network input: x itself."""
        return x

    def denoised(self, x: Tensor, output: Tensor, sigma: Tensor | float) -> Tensor:
        """Denoised of a flow model, whose network predicts noise - image: x - sigma * output."""
        return x - output * _scalar(sigma)

    def noised(self, image_latents: Tensor, noise: Tensor, sigma: Tensor | float) -> Tensor:
        """Noise a flow model's clean latents: sigma * noise + (1 - sigma) * image_latents."""
        s = _scalar(sigma)
        return s * noise + (1 - s) * image_latents

    def start(self, image_latents: Tensor, noise: Tensor, sigma: Tensor | float) -> Tensor:
        """Start a flow model's x: the same as `noised`."""
        return self.noised(image_latents, noise, sigma)

    def finish(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        """Hand out a flow model's x / (1 - sigma): a second stage's (1 - sigma) * latents is x again."""
        s = _scalar(sigma)
        if float(s) >= 1:
            raise InvalidValueError(
                f"sigma is {float(s)}: x is pure noise there; allowed at the end: below 1"
            )
        return x / (1 - s)

    def alpha(self, sigma: Tensor) -> Tensor:
        """Scale of the image in a flow model's x: 1 - sigma."""
        return 1 - sigma

    def half_log_snr(self, sigma: Tensor) -> Tensor:
        """Half the log signal-to-noise ratio of a flow model: log((1 - sigma) / sigma)."""
        return sigma.logit().neg()

    def sigma_of_half_log_snr(self, half_log_snr: Tensor) -> Tensor:
        """Sigma of a flow model at half a log signal-to-noise ratio: 1 / (1 + exp(half_log_snr))."""
        return half_log_snr.neg().sigmoid()

    def _shift_time(self, t: Tensor) -> Tensor:
        if self.shift == 1:
            return t
        return self.shift * t / (1 + (self.shift - 1) * t)


def _scalar(sigma: Tensor | float) -> Tensor:
    """Sigma as a 0-d float32 tensor on the CPU, which leaves the dtype and device of what it meets alone."""
    return torch.as_tensor(sigma, dtype=torch.float32, device="cpu").reshape(())


def _is_flow(config: Mapping[str, Any]) -> bool:
    """Whether settings are a flow model's; the flow schedulers of diffusers have no prediction_type."""
    if config.get("prediction_type") == "flow_prediction" or config.get("use_flow_sigmas"):
        return True
    if str(config.get("_class_name", "")).startswith("FlowMatch"):
        return True
    return "shift" in config and not {
        "beta_schedule",
        "beta_start",
        "trained_betas",
        "prediction_type",
    } & set(config)


def _flow_from_config(config: Mapping[str, Any], mu: float | None) -> FlowTable:
    train_steps = config.get("num_train_timesteps", 1000)
    if not config.get("use_dynamic_shifting"):
        shift = config.get("flow_shift", 1.0) if config.get("use_flow_sigmas") else config.get("shift", 1.0)
        return FlowTable(shift, steps=train_steps, scale=train_steps)
    kind = config.get("time_shift_type", "exponential")
    if kind not in ("exponential", "linear"):
        raise unknown_name("time_shift_type", kind, ("exponential", "linear"))
    if mu is None:
        raise InvalidValueError(
            "use_dynamic_shifting is set and mu is None; "
            "allowed: the mu that the pipeline computes from the image's size"
        )
    if not math.isfinite(mu):
        raise InvalidValueError(f"mu is {mu}; allowed: a finite number")
    # Ten entries a training step, as ComfyUI's tables of these models have: the smallest sigma follows from
    # it.
    return FlowTable(math.exp(mu) if kind == "exponential" else mu, steps=10 * train_steps, scale=train_steps)
