"""A network that is asked about many forks of one sheet: one pass over what they share, then their windows.

    shared = SharedNetwork(unet, Sharing(halo=0.25))
    with shared.installed(lambda: base_of_this_call):
        unet(forks, timestep, encoder_hidden_states)        # (n, C, h, w) as ever

Each call of the network goes through it once for the base, one row for each conditioning that is to have
one, and then for windows in batches of about the canvas's size. The answer has the base's outside the
windows. With windows as large as the canvas it is what the network alone gives.
"""

from __future__ import annotations

import inspect
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.hosts.sharing.base_attention import BaseAttention
from maskgrid.hosts.sharing.base_layers import BaseLayers, Tape
from maskgrid.hosts.sharing.exchange_forwards import exchange_forwards
from maskgrid.hosts.sharing.network_kinds import kind_of
from maskgrid.hosts.sharing.row_arguments import (
    MAP_RESIDUALS,
    TOKEN_RESIDUALS,
    average_rows,
    group_rows,
    pick_rows,
    row_tensors,
)
from maskgrid.hosts.sharing.token_windows import TokenWindows
from maskgrid.hosts.sharing.windows import Rectangle, Windows, choose_windows, cut_into_pieces
from maskgrid.sampling.argument_checks import check_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from maskgrid.hosts.sharing.exchange_forwards import Change

__all__ = ["BasePrompt", "SharedInput", "SharedNetwork", "Sharing"]

BasePrompt = Literal["own", "shared"]

_MOST = 64
"""Windows in one batch: a transformer is shown a whole canvas for each."""


@dataclass(frozen=True)
class Sharing:
    """What forks share, and how much each looks at by itself.

    Attributes:
        halo: What a window has around the part that may change, as a share of that part's sides, 0 or more.
        base_prompt: "own": a base for each distinct conditioning, "shared": one, with the mean of them.

    Raises:
        InvalidTypeError: A halo that is no number.
        InvalidValueError: A negative halo, or an unknown base_prompt.
    """

    halo: float = 0.25
    base_prompt: BasePrompt = "own"

    def __post_init__(self) -> None:
        if check_number("halo", self.halo) < 0:
            raise InvalidValueError(f"halo is {self.halo}; allowed: 0 or more")
        if self.base_prompt not in ("own", "shared"):
            raise InvalidValueError(f"base_prompt is {self.base_prompt!r}; allowed: 'own' or 'shared'")


@dataclass(frozen=True, eq=False)
class SharedInput:
    """What the rows of a network's call have in common.

    Attributes:
        base: (B, ...) the noised sheet as the network reads it.
        canvas: (h, w) in latents.
        changed: For each of the n items that the call's rows are, where it differs from the base, in latents.
            A call has c * n * B rows: c conditionings (guidance has two), n items, B rows each.
    """

    base: Tensor
    canvas: tuple[int, int]
    changed: Sequence[Rectangle]


class SharedNetwork:
    """Shares one pass over the base between the forks that a network is called with.

    Args:
        network: A network of diffusers; docs/speed.md lists them.
        sharing: What is shared.

    Raises:
        InvalidTypeError: A network that is not known, is compiled, or has a layer that can't be shared.
    """

    def __init__(self, network: Any, sharing: Sharing) -> None:
        self._network = network
        self._sharing = sharing
        self._kind = kind_of(network)
        if getattr(network, "_compiled_call_impl", None) is not None:
            raise InvalidTypeError(
                "the network is compiled, and what is compiled can't be shared between forks; "
                "allowed: sharing=None, or the network as it was before"
            )
        self._tape = Tape()
        # A transformer's convolutions make tokens of patches.
        self._layers = BaseLayers(network, self._tape) if self._kind.entry is None else None
        self._tokens = None if self._kind.entry is None else TokenWindows(network, self._kind, self._tape)
        self._attention = BaseAttention(self._tape, text_first=self._kind.text_first)
        self._found: tuple[Any, list[tuple[list[int], Windows]]] | None = None
        self._signature = inspect.signature(type(network).forward)
        self._groups: list[tuple[list[Tensor], list[list[int]]]] = []

    @contextmanager
    def installed(self, ask: Callable[[], SharedInput | None]) -> Iterator[None]:
        """Have calls of the network shared while the context lasts; it is put back whatever happens.

        Args:
            ask: What the rows of the call that begins have in common; None where they have nothing.
        """
        network = self._network
        changes: list[Change] = [] if self._layers is None else list(self._layers.changes)
        changes += [*self._attention.changes(network), (network, self._share(ask))]
        with nullcontext() if self._tokens is None else self._tokens.installed(), exchange_forwards(changes):
            self._tape.in_use = True
            try:
                yield
            finally:
                self._tape.in_use = False
                self._tape.forget()

    def _share(self, ask: Callable[[], SharedInput | None]) -> Callable[..., Any]:
        """What makes the network's new `forward` of the old one."""

        def change(network: Any, plain: Callable[..., Any]) -> Callable[..., Any]:
            def forward(*args: Any, **kwargs: Any) -> Any:
                shared = ask() if self._tape.in_use else None
                if shared is None:
                    return plain(*args, **kwargs)
                arguments = dict(self._signature.bind(network, *args, **kwargs).arguments)
                arguments.pop("self")
                arguments |= arguments.pop("kwargs", {})
                return self._run(plain, arguments, shared)

            return forward

        return change

    def _run(self, plain: Callable[..., Any], arguments: dict[str, Any], shared: SharedInput) -> Any:
        """One call of the network, for all its rows."""
        name = next(iter(arguments))
        x: Tensor = arguments.pop(name)
        count, batch = len(x), len(shared.base)
        items = len(shared.changed) * batch
        if not items or count % items:
            raise InvalidTypeError(
                f"the network is called with {count} rows for {items} items, which can't be shared; "
                "allowed: sharing=None for this pipeline"
            )
        groups = self._group(arguments, count, batch, items)
        base = torch.cat([_complete(shared.base[group[0] % batch][None], x) for group in groups])
        if self._tokens is not None:
            self._tape.tokens = base.shape[1] if base.ndim == 3 else _count_tokens(base, self._kind.align)
        base_rows = {row: number for number, group in enumerate(groups) for row in group}
        pieces = self._pieces(shared, count)
        with self._tape.record([(windows, [base_rows[row] for row in rows]) for rows, windows in pieces]):
            told = average_rows(arguments, count, groups)
            answer = plain(**{name: base.to(x.dtype)}, **told)
        result = _output_of(answer)[[base_rows[row] for row in range(count)]]
        for number, (rows, windows) in enumerate(pieces):
            with self._tape.replay(number):
                given = self._cut(name, x, arguments, count, rows, windows)
                self._paste(_output_of(plain(**given)), result, rows, windows)
        self._tape.forget()
        return _like(answer, result)

    def _rectangles(self, shared: SharedInput) -> list[Rectangle]:
        halo = [
            round(self._sharing.halo * max(r[side + 2] - r[side] for r in shared.changed)) for side in (0, 1)
        ]
        align = self._kind.align
        return choose_windows(shared.changed, shared.canvas, halo=(halo[0], halo[1]), align=align)

    def _group(self, arguments: dict[str, Any], count: int, batch: int, items: int) -> list[list[int]]:
        """The rows that have one base: those of a conditioning and a batch item, told the same or not."""
        among = [
            list(range(part + item, part + items, batch))
            for part in range(0, count, items)
            for item in range(batch)
        ]
        if self._sharing.base_prompt == "shared":
            return among
        told = row_tensors(arguments, count)
        # The tensors are held, so that another can't have their place in memory.
        for tensors, groups in self._groups:
            if len(tensors) == len(told) and all(a is b for a, b in zip(tensors, told, strict=True)):
                return groups
        groups = group_rows(arguments, count, among)
        self._groups = [*self._groups[-3:], (told, groups)]
        return groups

    def _pieces(self, shared: SharedInput, count: int) -> list[tuple[list[int], Windows]]:
        """Rows of a call whose windows go through the network together, and those windows."""
        key = (shared.canvas, tuple(shared.changed), len(shared.base), count)
        if self._found is None or self._found[0] != key:
            self._found = (key, list(self._cut_into_pieces(shared, count)))
        return self._found[1]

    def _cut_into_pieces(self, shared: SharedInput, count: int) -> Iterator[tuple[list[int], Windows]]:
        rectangles, batch = self._rectangles(shared), len(shared.base)
        items = len(rectangles) * batch
        alone = self._kind.one_place_at_a_time
        for members in cut_into_pieces(rectangles, shared.canvas, most=_MOST, same_place=alone):
            rows = [
                part + number * batch + item
                for part in range(0, count, items)
                for number in members
                for item in range(batch)
            ]
            top, left, bottom, right = rectangles[members[0]]
            places = tuple(rectangles[row % items // batch][:2] for row in rows)
            yield rows, Windows(shared.canvas, (bottom - top, right - left), places)

    def _cut(
        self, name: str, x: Tensor, arguments: dict[str, Any], count: int, rows: list[int], windows: Windows
    ) -> dict[str, Any]:
        """The arguments of a call for windows."""
        given = pick_rows(arguments, count, rows)
        if self._tokens is not None:
            # Chroma's covers texts and canvas.
            seen = given.get("attention_mask")
            if isinstance(seen, Tensor) and seen.ndim == 2 and seen.shape[1] > self._tape.tokens:
                texts = seen.shape[1] - self._tape.tokens
                indices = windows.on_tokens(self._tape.tokens).token_indices(seen.device)
                given["attention_mask"] = torch.cat([seen[:, :texts], seen[:, texts:].gather(1, indices)], 1)
            for control in TOKEN_RESIDUALS:
                if given.get(control) is not None:
                    indices = windows.on_tokens(self._tape.tokens).token_indices(x.device)[..., None]
                    given[control] = [
                        each.gather(1, indices.expand(-1, -1, each.shape[2])) for each in given[control]
                    ]
            return {name: x[rows], **given}
        each_own = range(len(rows))
        for control in MAP_RESIDUALS:
            if given.get(control) is not None:
                given[control] = _cut_maps(given[control], windows, each_own)
        return {name: windows.cut(x[rows], each_own), **given}

    def _paste(self, answer: Tensor, result: Tensor, rows: list[int], windows: Windows) -> None:
        """Put what a call for windows gave into the answer for all rows."""
        if self._tokens is None:
            windows.paste(answer, result, rows)
        elif answer.ndim == 3:
            indices = windows.on_tokens(self._tape.tokens).token_indices(result.device)
            result[torch.tensor(rows, device=result.device)[:, None], indices] = answer.gather(
                1, indices[..., None].expand(-1, -1, answer.shape[2])
            )
        else:
            each_own = range(len(rows))
            windows.paste(windows.cut(answer, each_own), result, rows)


def _cut_maps(maps: Any, windows: Windows, rows: Sequence[int]) -> Any:
    """Feature maps (n, C, ., .) of any scale, cut to windows."""
    if isinstance(maps, Tensor):
        return windows.at(*maps.shape[2:]).cut(maps, rows)
    return type(maps)(_cut_maps(each, windows, rows) for each in maps)


def _complete(base: Tensor, x: Tensor) -> Tensor:
    """The base with what the network reads besides, such as a picture to go by, which all rows have alike."""
    axis = 2 if base.ndim == 3 else 1
    if x.ndim != base.ndim or any(
        x.shape[each] != base.shape[each] for each in range(1, base.ndim) if each != axis
    ):
        raise InvalidTypeError(
            f"the network reads {tuple(x.shape)} where the sheet is {tuple(base.shape)}, "
            "which can't be shared; allowed: sharing=None for this pipeline"
        )
    more = x[:1].narrow(axis, base.shape[axis], x.shape[axis] - base.shape[axis])
    return torch.cat([base.to(x), more], axis)


def _count_tokens(maps: Tensor, patch: int) -> int:
    return (maps.shape[2] // patch) * (maps.shape[3] // patch)


def _output_of(answer: Any) -> Tensor:
    output = answer[0] if isinstance(answer, tuple) else answer.sample
    if not isinstance(output, Tensor):
        raise InvalidTypeError(
            f"the network answers with {type(output).__name__}, which can't be shared between forks; "
            "allowed: sharing=None for this pipeline"
        )
    return output


def _like(answer: Any, output: Tensor) -> Any:
    """An answer of the same kind with another output."""
    return (output, *answer[1:]) if isinstance(answer, tuple) else type(answer)(sample=output)
