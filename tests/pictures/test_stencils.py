"""Stencils: prepared, brought to the size of a cell, and as a picture that is read back as the same."""

import numpy as np
import pytest
import torch

from maskgrid import Grid
from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.pictures.fit_stencil import fit_stencil
from maskgrid.pictures.paste_weights import paste_weights
from maskgrid.pictures.pixel_arrays import to_pil
from maskgrid.pictures.prepare_stencil import prepare_stencil
from maskgrid.pictures.read_mask import read_mask
from maskgrid.pictures.stencil_picture import stencil_picture


def test_stencils_fit_as_one_for_all_one_per_cell_or_one_sheet(stencil):
    grid = Grid(2, 3, cell=16, stride=2)
    assert fit_stencil(stencil, grid).shape == (16, 16)
    cells = np.stack([np.roll(stencil, i) for i in range(6)])
    whole = np.concatenate([np.concatenate(list(row), 1) for row in cells.reshape(2, 3, 16, 16)])
    for mask in (cells, whole, whole[None], torch.from_numpy(whole)):
        assert np.array_equal(fit_stencil(mask, grid), cells)
    for shape in ((16, 15), (1, 2, 16, 16, 1), (16,)):
        with pytest.raises(InvalidValueError, match="mask"):
            fit_stencil(np.zeros(shape), grid)


def test_a_stencils_picture_is_read_back_as_that_stencil(stencil):
    grid = Grid(2, 3, cell=16, stride=2)
    cells = np.stack([np.roll(stencil, i) for i in range(6)])
    for mask in (
        stencil,
        stencil > 0,
        (stencil > 0).astype(np.float32),
        cells,
        stencil[None],
        cells[..., None],
    ):
        again = fit_stencil(read_mask(to_pil(stencil_picture(mask, grid))).values, grid)
        assert np.array_equal(paste_weights(again, 2), paste_weights(mask, 2))
    assert stencil_picture(stencil.astype(np.float32) / 300, grid) is None
    with pytest.raises(InvalidTypeError, match="complex"):
        stencil_picture(stencil.astype(complex), grid)


def test_preparing_goes_in_the_order_of_the_arguments(stencil):
    assert np.array_equal(prepare_stencil(stencil), stencil)
    assert np.array_equal(prepare_stencil(stencil, invert=True), 255 - stencil)
    assert prepare_stencil(stencil, grow=2).sum() > stencil.sum() > prepare_stencil(stencil, shrink=2).sum()
    assert np.array_equal(prepare_stencil(stencil // 2, threshold=0.4), stencil)
    assert 0 < prepare_stencil(stencil, feather=3)[8, 3] < 255
    ring = np.where(prepare_stencil(stencil, shrink=3) > 0, 0, stencil).astype(np.uint8)
    assert np.array_equal(prepare_stencil(ring, fill_holes=True), stencil)
