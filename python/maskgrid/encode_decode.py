"""Through the VAE and back: the sheet encoded into latents, finished forks decoded into their cells."""

from __future__ import annotations

import warnings
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import interpolate

from maskgrid.errors import (
    MaskGridWarning,
    RunInterrupted,
    attach_finished,
    is_out_of_memory,
)
from maskgrid.geometry import pixel_masks as masks
from maskgrid.hosts.diffusers.vae_precision import explain_short_memory
from maskgrid.pictures.key_alpha import key_alpha, measure_ground, uncover
from maskgrid.pictures.pixel_arrays import extend_border
from maskgrid.pictures.resize_picture import resize_pixels
from maskgrid.sampling import ForkLatents

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from maskgrid._native import Rect
    from maskgrid.hosts.diffusers import DiffusersHost
    from maskgrid.result.forks import Forks
    from maskgrid.run_inputs import RunInputs
    from maskgrid.run_plan import RunPlan

__all__ = ["decode_forks", "eight_bit_picture", "encode_views", "finish_as_pictures"]

_CLEAR = 2
"""Pixels beside something visible that an autoencoder does not give back as clear background."""


def encode_views(host: DiffusersHost, pixels: NDArray[np.uint8], plan: RunPlan) -> Tensor:
    """Latents of what the network reads: the sheet, or a window for each cell, continued to its canvas.

    Args:
        host: The pipeline's, whose VAE encodes.
        pixels: (H, W, 3) uint8, the sheet.
        plan: What the network reads of it, and how large.

    Returns:
        (v, 1, C, h, w), one for each of the plan's views.

    Raises:
        AutoencoderError: One did not fit into memory.
    """
    latents = []
    for view in plan.views:
        seen = resize_pixels(pixels[view.slices], plan.size, plan.resampling)
        tensor = torch.from_numpy(extend_border(seen, plan.canvas)).permute(2, 0, 1)[None].float()
        latents.append(host.encode(tensor / 127.5 - 1))
    return torch.stack(latents)


def decode_forks(
    host: DiffusersHost,
    latents: ForkLatents,
    inputs: RunInputs,
    plan: RunPlan,
    *,
    hand_over: Callable[[ForkLatents, NDArray[np.uint8]], Forks],
) -> Forks:
    """Decode fork by fork and keep each one's cell; in windows around it, where the run was shared.

    Args:
        host: The pipeline's, whose VAE decodes.
        latents: What was sampled.
        inputs: Whose sheet, and who is told of each picture.
        plan: What the network read for each fork.
        hand_over: Makes the result of latents and their (n, h, w, C) uint8 cells.

    Returns:
        The forks.

    Raises:
        AutoencoderError: A picture did not fit into memory. This, the next one and whatever else is raised
            carry what was decoded as `result` and all of the latents as `latents`.
        RunInterrupted: Ctrl-C.
    """
    done, shape = 0, (*inputs.grid.cell, inputs.pixels.shape[2])
    patches: NDArray[np.uint8] = np.empty((0, *shape), np.uint8)
    in_windows = inputs.options.sharing is not None and host.decodes_cells and plan.factor == 1
    windows = _decode_windows(host, latents, inputs) if in_windows else None
    try:
        patches = np.empty((len(latents), *shape), np.uint8)
        for patch, number, cell in zip(patches, latents.numbers, latents.cells, strict=True):
            patch[...] = inputs.pixels[inputs.grid.cell_rect(cell).slices]
            if windows is None:
                picture = _decode_cell(host, latents[number], cell, plan.view_of(number), plan)
            else:
                picture = next(windows)
            if picture is not None:
                patch[...] = _with_alpha(eight_bit_picture(picture), patch, inputs, cell)
            done += 1
            if inputs.options.decode_callback:
                inputs.options.decode_callback(done, len(latents))
    except BaseException as error:
        raised = _in_our_words(error, done, len(latents))
        attach_finished(raised, hand_over(latents[:done], patches[:done]) if done else None, latents)
        if raised is error:
            raise
        raise raised from error
    finally:
        if windows is not None:
            windows.close()
        host.release()
    return hand_over(latents, patches)


def _decode_cell(host: DiffusersHost, latent: Tensor, cell: int, view: Rect, plan: RunPlan) -> Tensor | None:
    """(3, height, width) of a fork's cell in [-1, 1], cut out of its canvas; None if that is flagged."""
    picture = host.decode(latent)
    if host.is_flagged(picture):
        _warn_of_flagged(cell)
        return None
    rect, (height, width) = plan.grid.cell_rect(cell), plan.size
    seen = picture[:, :, :height, :width]
    if (height, width) != tuple(view.size):
        mode = "area" if plan.resampling == "nearest" else "bicubic"
        smooth = {} if mode == "area" else {"antialias": True, "align_corners": False}
        seen = interpolate(seen, size=tuple(view.size), mode=mode, **smooth).clamp(-1, 1)
    return seen[
        0, :, rect.top - view.top : rect.bottom - view.top, rect.left - view.left : rect.right - view.left
    ]


def _decode_windows(
    host: DiffusersHost, latents: ForkLatents, inputs: RunInputs
) -> Generator[Tensor, None, None]:
    """(3, height, width) of each fork's cell in [-1, 1], decoded alone."""
    stride = host.stride
    cells = [inputs.grid.cell_rect(cell) for cell in latents.cells]
    # The latents that a cell's pixels lie in.
    covers = [
        (cell.top // stride, cell.left // stride, -(-cell.bottom // stride), -(-cell.right // stride))
        for cell in cells
    ]
    height, width = inputs.grid.cell
    with closing(host.decode_cells(latents, covers)) as windows:
        for cell, window in zip(cells, windows, strict=True):
            top, left = cell.top % stride, cell.left % stride
            yield window[0, :, top : top + height, left : left + width]


def _with_alpha(
    colours: NDArray[np.uint8], cell: NDArray[np.uint8], inputs: RunInputs, number: int
) -> NDArray[np.uint8]:
    """What was decoded for a cell, with the alpha that the cell has or a new one, where the sheet has any."""
    if cell.shape[2] == 3:
        return colours
    background = inputs.sheet.background
    if background is None:
        return np.dstack([colours, cell[..., 3]])
    clear: NDArray[np.bool_] = masks.shrink(cell[..., 3] == 0, _CLEAR) & ~inputs.may_change(number)
    ground = measure_ground(colours, background, clear)
    if inputs.options.alpha == "keep":
        return uncover(colours, cell[..., 3], ground)
    if not ground.is_found:
        red, green, blue = (round(level) for level in ground.colour)
        warnings.warn(
            f"the background {background} is not what cell {number} was decoded before, but rather "
            f"{(red, green, blue)}, or nothing even, so its new alpha is a guess; allowed: a background that "
            "this model's autoencoder gives back, or alpha='keep'",
            MaskGridWarning,
            stacklevel=2,
        )
    return key_alpha(colours, ground)


@contextmanager
def finish_as_pictures(decode: Callable[[ForkLatents], Forks]) -> Iterator[None]:
    """Have what is raised in a run carry the forks that it finished as pictures, and their latents.

    Args:
        decode: Makes pictures of latents, as `decode_forks` does.
    """
    try:
        yield
    except BaseException as error:
        finished = getattr(error, "result", None)
        if isinstance(finished, ForkLatents):
            attach_finished(error, _decode_after(decode, finished, error), finished)
        elif not hasattr(error, "result"):
            attach_finished(error, None)
        raise


def eight_bit_picture(decoded: Tensor) -> NDArray[np.uint8]:
    """(3, H, W) in [-1, 1] as (H, W, 3) uint8."""
    pixels: NDArray[np.uint8] = (
        ((decoded + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    )
    return np.ascontiguousarray(pixels)


def _decode_after(
    decode: Callable[[ForkLatents], Forks], finished: ForkLatents, error: BaseException
) -> Forks | None:
    """Pictures of what was finished before an error; those there are if a second one comes."""
    try:
        return decode(finished)
    except BaseException as second:
        error.add_note(f"and while its finished forks were decoded: {type(second).__name__}: {second}")
        decoded: Forks | None = getattr(second, "result", None)
        return decoded


def _in_our_words(error: BaseException, done: int, count: int) -> BaseException:
    """An error of decoding as people can act on it, or as it is."""
    if isinstance(error, KeyboardInterrupt):
        return RunInterrupted(
            f"interrupted after {done} of {count} forks were decoded; they are in `result`, all in `latents`"
        )
    if is_out_of_memory(error):
        return explain_short_memory(f"fork {done + 1} of {count} could not be decoded", error)
    return error


def _warn_of_flagged(cell: int) -> None:
    """Say that a fork keeps its cell as it was, for the pipeline's safety checker."""
    warnings.warn(
        f"the pipeline's safety checker flags what was drawn in cell {cell}, which stays as it was; "
        "allowed: another prompt or seed, or a pipeline with safety_checker=None",
        MaskGridWarning,
        stacklevel=2,
    )
