"""A bare network as a denoiser: conditioning tensors and classifier-free guidance, no pipeline.

A plain function denoised(x, sigma) needs no host: `maskgrid.sampling.sample_forks` takes it as it is.

    denoiser = GuidedNetwork(unet, NoiseTable.stable_diffusion(), positive, negative, cfg=4.0)
    forks = sample_forks(denoiser, latents, plan, table=denoiser.table, steps=20)
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.hosts.sharing.shared_network import SharedInput, SharedNetwork, Sharing
from maskgrid.sampling.argument_checks import check_number
from maskgrid.sampling.forking.request import Answer, Request
from maskgrid.sampling.noise_levels.noise_table import NoiseTable

__all__ = ["Conditioning", "GuidedNetwork"]

Conditioning = Tensor | Mapping[str, Any]
"""What a network is told besides x and the timestep: its keyword arguments, in which the first axis of every
tensor counts items, one for all forks or one for each (mappings within are looked through). A tensor alone is
the argument `encoder_hidden_states`."""


class GuidedNetwork:
    """A network with its conditioning, asked for denoised latents.

    With classifier-free guidance (Ho and Salimans, arXiv 2207.12598):

        denoised = negative + cfg * (positive - negative)

    Args:
        network: Called as network(x, timestep, **conditioning), timestep (rows,); returns the output, a tuple
            that begins with it, or an object that has it as `sample` (any model of diffusers).
        table: What sigma means to the network.
        positive: The conditioning, (1 or N, ...): for all forks, or fork n's as item n.
        negative: The same for the negative.
        cfg: The guidance scale; at 1 the negative is not run, unless the sampler needs it.
        sheet: The positive (1, ...) of the sheet while forks that have their own are sampled together.
        sheet_negative: The same for negatives of their own.
        batched: Whether positive and negative go through the network in one batch. It takes them one after
            the other where their shapes differ.
        dtype: What the network computes in; default that of its parameters, where it has any, else that of x.
        sharing: Have the network run once over what forks share, and then over their windows alone; None has
            it run over each fork's whole canvas.

    Raises:
        InvalidTypeError: A network that can't be called, or not shared; conditioning that is neither tensor
            nor mapping.
        InvalidValueError: cfg that is not finite, or not 1 without a negative; tensors of different counts of
            items.
    """

    def __init__(
        self,
        network: Callable[..., Any],
        table: NoiseTable,
        positive: Conditioning,
        negative: Conditioning | None = None,
        *,
        cfg: float = 1.0,
        sheet: Conditioning | None = None,
        sheet_negative: Conditioning | None = None,
        batched: bool = True,
        dtype: torch.dtype | None = None,
        sharing: Sharing | None = None,
    ) -> None:
        if not callable(network):
            raise InvalidTypeError(
                f"network is {type(network).__name__}; allowed: something that can be called"
            )
        self.table = table
        self._network = network
        self._cfg = check_number("cfg", cfg)
        self._batched = batched
        self._dtype = dtype or _dtype_of(network)
        self._shared = None if sharing is None else SharedNetwork(network, sharing)
        self._positive = _Conditions("positive", positive, sheet)
        self._negative = None
        if self._cfg != 1 and negative is None:
            raise InvalidValueError(f"cfg is {cfg} without a negative; allowed: a negative, or cfg=1")
        if negative is not None:
            self._negative = _Conditions("negative", negative, sheet_negative)

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The denoised latents of rows that all have the same conditioning.

        Args:
            x: (n, C, ..., h, w) noisy latents.
            sigma: Their noise level, 0-d.

        Raises:
            InvalidValueError: Forks have conditioning of their own, and no sheet has any.
        """
        return self._guide(x, sigma, (), len(x), both=self._cfg != 1)[0]

    def respond(self, request: Request) -> Answer:
        """The denoised latents that the engine asks for, with those of the negative where it wants them.

        Raises:
            InvalidValueError: A fork that has no conditioning; or a sheet that has none of forks that have
                their own; or a sampler that needs a negative where there is none.
        """
        if request.wants_uncond and self._negative is None:
            raise InvalidValueError(
                "the sampler needs what the network denoises without the condition, but has no negative; "
                "allowed: a negative, or a sampler without 'cfg_pp' in its name"
            )
        both = self._cfg != 1 or request.wants_uncond
        with self._share(request):
            denoised, uncond = self._guide(request.x, request.sigma, request.rows, request.batch, both=both)
        return denoised if uncond is None or not request.wants_uncond else (denoised, uncond)

    @contextmanager
    def _share(self, request: Request) -> Iterator[None]:
        """Have the network share what the rows of a request have in common, where it is to."""
        if self._shared is None or request.base is None:
            yield
            return
        base = self.table.scale_input(request.base, request.sigma)
        height, width = base.shape[-2:]
        given = SharedInput(base, (height, width), request.changed)
        with self._shared.installed(lambda: given):
            yield

    def _guide(
        self, x: Tensor, sigma: Tensor, forks: Sequence[int], batch: int, *, both: bool
    ) -> tuple[Tensor, Tensor | None]:
        """The guided network's denoised latents, and those of the negative where it was run."""
        positive = self._positive.of(forks, batch, x.device)
        if self._negative is None or not both:
            return self._ask(x, sigma, positive), None
        negative = self._negative.of(forks, batch, x.device)
        stacked = _stack(positive, negative) if self._batched else None
        if stacked is not None:
            with_positive, with_negative = self._ask(torch.cat([x, x]), sigma, stacked).chunk(2)
        else:
            with_positive, with_negative = self._ask(x, sigma, positive), self._ask(x, sigma, negative)
        return with_negative + self._cfg * (with_positive - with_negative), with_negative

    def _ask(self, x: Tensor, sigma: Tensor, conditioning: Mapping[str, Any]) -> Tensor:
        dtype = self._dtype or x.dtype
        timestep = self.table.timestep(sigma).to(x.device).expand(len(x))
        shown = self.table.scale_input(x, sigma).to(dtype)
        told = {key: _map(value, lambda t: _cast(t, dtype)) for key, value in conditioning.items()}
        output = self._network(shown, timestep, **told)
        output = getattr(output, "sample", output)
        output = output[0] if isinstance(output, tuple) else output
        return self.table.denoised(x, output.to(x.dtype), sigma)


class _Conditions:
    """Positive or negative conditioning of forks and of their sheet."""

    def __init__(self, name: str, own: Conditioning, sheet: Conditioning | None) -> None:
        self._name = name
        self._own = _arguments(name, own)
        self._count = _count_items(name, self._own)
        self._sheet = self._own if self._count == 1 else None
        if sheet is not None:
            self._sheet = _arguments(f"sheet's {name}", sheet)
            count = _count_items(f"sheet's {name}", self._sheet)
            if count != 1:
                raise InvalidValueError(f"the sheet's {name} has {count} items; allowed: 1")

    def of(self, forks: Sequence[int], batch: int, device: torch.device) -> dict[str, Any]:
        """The network's arguments for some forks, or for a sheet where there are none; `batch` rows each."""
        if not forks and self._sheet is None:
            raise InvalidValueError(
                f"{self._count} forks have a {self._name} of their own and their sheet has none while they "
                "are sampled together; allowed: one for it, or sheet_conditioning='cells', or fork_at=0"
            )
        if self._count > 1 and forks and max(forks) >= self._count:
            raise InvalidValueError(
                f"fork {max(forks)} has no {self._name} among {self._count} items; "
                "allowed: 1 item for all forks, or one for each"
            )
        chosen = self._own if forks or self._sheet is None else self._sheet
        items = forks if forks and self._count > 1 else [0] * max(len(forks), 1)
        rows = torch.tensor(items).repeat_interleave(batch)
        return {key: _map(value, lambda t: t[rows.to(t.device)].to(device)) for key, value in chosen.items()}


def _arguments(name: str, conditioning: Conditioning) -> Mapping[str, Any]:
    if isinstance(conditioning, Tensor):
        return {"encoder_hidden_states": conditioning}
    if not isinstance(conditioning, Mapping):
        raise InvalidTypeError(
            f"{name} is {type(conditioning).__name__}; allowed: a tensor or a mapping of arguments"
        )
    return conditioning


def _count_items(name: str, arguments: Mapping[str, Any]) -> int:
    """The items along the first axis of all tensors: 1, or one for each fork."""
    counts: set[int] = set()

    def count(tensor: Tensor) -> Tensor:
        counts.add(len(tensor) if tensor.ndim else 0)
        return tensor

    _map(arguments, count)
    if len(counts) != 1 or 0 in counts:
        raise InvalidValueError(
            f"the tensors of {name} have {sorted(counts)} items; allowed: one number, 1 or more"
        )
    return counts.pop()


def _map(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A conditioning with every tensor in it changed, also within mappings."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _map(each, change) for key, each in value.items()}
    return value


def _stack(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any] | None:
    """Both one below the other; None where they don't fit."""
    if first.keys() != second.keys():
        return None
    result: dict[str, Any] = {}
    for key, one in first.items():
        other = second[key]
        if isinstance(one, Tensor) and isinstance(other, Tensor) and one.shape == other.shape:
            result[key] = torch.cat([one, other])
        elif isinstance(one, Mapping) and isinstance(other, Mapping):
            inner = _stack(one, other)
            if inner is None:
                return None
            result[key] = inner
        elif not isinstance(one, Tensor) and one is other:
            result[key] = one
        else:
            return None
    return result


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _dtype_of(network: object) -> torch.dtype | None:
    if not isinstance(network, torch.nn.Module):
        return None
    return next((p.dtype for p in network.parameters() if p.is_floating_point()), None)
