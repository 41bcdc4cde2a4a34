"""Sizes that the Rust core shares out over threads, against torch: hypothesis stays below them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from maskgrid import ForkPlan, Grid, canvas, masks
from maskgrid.geometry import latent_coverage as latent
from maskgrid.geometry.on_device import canvas as on_device_canvas
from maskgrid.geometry.on_device import latent_coverage as on_device_coverage
from maskgrid.geometry.on_device import pixel_masks as on_device_masks
from strategies import COVERAGES, as_dtype, same_bits, tensor_of

GRID = Grid(5, 7, cell=(131, 97), gap=(3, 0), margin=(1, 2), stride=8)


def blobs(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Patches, lines and lone pixels, as numbers in [0, 1]."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((*shape[:-2], shape[-2] // 29 + 1, shape[-1] // 31 + 1))
    values = coarse.repeat(29, -2).repeat(31, -1)[..., : shape[-2], : shape[-1]].copy()
    values[rng.random(shape) < 0.0005] = 1.0
    values[..., ::97, :] = 0.0
    return values


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((611, 1031), "bool"), ((311, 1031), "float32"), ((3, 230, 517), "uint8"), ((3, 230, 517), "bfloat16")],
)
def test_masks(shape: tuple[int, ...], dtype: str) -> None:
    values = blobs(shape, len(shape))
    mask: Any = as_dtype(values >= 0.6 if dtype == "bool" else values, dtype)
    mask = mask if isinstance(mask, torch.Tensor) else mask[..., ::-1]
    tensor = tensor_of(mask)
    for radius in (1.0, 20.6):
        grown = masks.grow(mask, radius, level=0.8)
        assert same_bits(grown, on_device_masks.grow(tensor, radius, level=0.8))
        assert same_bits(masks.shrink(mask, radius), on_device_masks.shrink(tensor, radius))
    assert same_bits(masks.fill_holes(mask, level=0.7), on_device_masks.fill_holes(tensor, level=0.7))
    assert same_bits(masks.invert(mask), on_device_masks.invert(tensor))
    assert masks.bounding_box(mask, level=0.99) == on_device_masks.bounding_box(tensor, level=0.99)
    soft = torch.zeros(tensor.shape)
    masks.feather(mask, 17.5, where="centred", out=soft)
    ramp = on_device_masks.feather(tensor, 17.5, where="centred", out=torch.zeros(tensor.shape))
    torch.testing.assert_close(soft, ramp, rtol=0, atol=2e-6)


@pytest.mark.parametrize("coverage", COVERAGES)
@pytest.mark.parametrize("each", [False, True])
def test_coverage(coverage: str, each: bool) -> None:
    mask = blobs((len(GRID), *GRID.cell) if each else tuple(GRID.cell), 5).astype(np.float32)
    tensor = torch.from_numpy(mask)
    found, distinct, occupied = latent.cover_cells(mask, GRID, coverage=coverage)
    expected, alive = on_device_coverage.cover_cells(tensor, GRID, coverage=coverage)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert list(occupied) == alive
    sheet = latent.cover_sheet(mask, GRID, coverage=coverage)
    np.testing.assert_allclose(
        sheet, on_device_coverage.cover_sheet(tensor, GRID, coverage=coverage), rtol=0, atol=1e-6
    )
    plan = ForkPlan(GRID, mask, coverage=coverage)
    dense = on_device_coverage.lay_noise_masks(torch.from_numpy(found), distinct, GRID, plan.cells)
    assert same_bits(plan.noise_masks(), dense)


@pytest.mark.parametrize("channels", ["first", "last"])
@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
def test_sheets(channels: str, dtype: str) -> None:
    rng = np.random.default_rng(11)

    def image(size: Any, *front: int) -> Any:
        shape = (*front, 3, *size) if channels == "first" else (*front, *size, 3)
        return as_dtype(rng.random(shape), dtype)

    options: dict[str, Any] = {"channels": channels}
    sheet, cells, forks = image(GRID.canvas), image(GRID.cell, len(GRID)), image(GRID.canvas, 3)
    tensors = [torch.from_numpy(array) for array in (sheet, cells, forks)]
    joined = canvas.join(cells, GRID, background=sheet, **options)
    assert same_bits(joined, on_device_canvas.join(tensors[1], GRID, background=tensors[0], **options))
    tiled = canvas.tile(cells[3], GRID, background=1, **options)
    assert same_bits(tiled, on_device_canvas.tile(tensors[1][3], GRID, background=1, **options))
    parts = canvas.split(sheet, GRID, copy=True, **options)
    assert same_bits(parts, on_device_canvas.split(tensors[0], GRID, copy=True, **options))
    merged = canvas.merge(forks, GRID, cells=[34, 0, 9], **options)
    assert same_bits(merged, on_device_canvas.merge(tensors[2], GRID, cells=[34, 0, 9], **options))
    soft = blobs((len(GRID), *GRID.cell), 3).astype(np.float32)
    through = torch.from_numpy(soft)
    pasted = canvas.paste(sheet, cells, GRID, soft, together=True, **options)
    assert same_bits(
        pasted, on_device_canvas.paste(tensors[0], tensors[1], GRID, through, together=True, **options)
    )
    places = GRID.cell_rects[4:6]
    found = canvas.paste(sheet, cells[4:6], places, soft[4:6], **options)
    assert same_bits(
        found, on_device_canvas.paste(tensors[0], tensors[1][4:6], places, through[4:6], **options)
    )
