"""Random draws of a batch of forks replaced by those of a run with one fork, whoever makes them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["SingleRunDraws", "repeat_rows"]

_SHAPED: tuple[Callable[..., Any], ...] = (torch.randn, torch.rand)
_LIKE: tuple[Callable[..., Any], ...] = (torch.randn_like, torch.rand_like)
_IN_PLACE: tuple[Callable[..., Any], ...] = (torch.Tensor.normal_, torch.Tensor.uniform_)


def repeat_rows(tensor: torch.Tensor, times: int) -> torch.Tensor:
    """(R, ...) repeated to (times * R, ...), one run of the rows after the other."""
    return tensor.repeat(times, *(1,) * (tensor.ndim - 1))


class SingleRunDraws(TorchFunctionMode):
    """While entered, every random tensor with a row for each fork is one run's draw, repeated.

    A sampler draws noise in the shape of its batch, so that a fork's noise would depend on how many forks
    there are. Here a draw of `rows * forks` rows takes `rows` rows from the generator, as a run of one fork
    does, and all forks get them. It reaches default, Brownian and third-party noise, since it looks at
    torch's functions and not at samplers. Draws of other shapes are left alone.

    Args:
        rows: Rows of one fork, the batch of the sheet's latents.
        forks: How many forks lie one after the other along the first axis.

    Attributes:
        draws: How many draws were seen.
    """

    def __init__(self, rows: int, forks: int) -> None:
        super().__init__()
        self.rows, self.forks = rows, forks
        self.draws = 0

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Leave the mode for as long as the network runs: it costs time there, and breaks compiled code."""
        stack = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]
        if not stack or stack[-1] is not self:
            # Somebody's own mode lies on top, so that this one can't be taken off; it only costs time.
            yield
            return
        self.__exit__(None, None, None)
        try:
            yield
        finally:
            self.__enter__()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _SHAPED:
            return self._shaped(func, args, dict(kwargs))
        if func in _LIKE:
            like = args[0] if args else kwargs["input"]
            if self._has_all_rows(like.shape):
                rest = {name: value for name, value in kwargs.items() if name != "input"}
                return self._repeated(func(like[: self.rows], **rest))
        elif func in _IN_PLACE and self._has_all_rows(args[0].shape):
            drawn = func(args[0][: self.rows].clone(), *args[1:], **kwargs)
            return args[0].copy_(self._repeated(drawn))
        return func(*args, **kwargs)

    def _shaped(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        out = kwargs.get("out")
        size = kwargs.pop("size", None)
        if size is None:
            size = args[0] if len(args) == 1 and not isinstance(args[0], int) else args
        if out is not None or not self._has_all_rows(size):
            drawn: torch.Tensor = func(tuple(size), **kwargs)
            return drawn
        return self._repeated(func((self.rows, *tuple(size)[1:]), **kwargs))

    def _has_all_rows(self, size: Any) -> bool:
        return len(size) > 1 and int(size[0]) == self.rows * self.forks

    def _repeated(self, drawn: torch.Tensor) -> torch.Tensor:
        self.draws += 1
        return repeat_rows(drawn, self.forks)
