"""Sheets with alpha: what a model sees under it, and the alpha that new cells get."""

import numpy as np
import pytest

from maskgrid.errors import InvalidTypeError, InvalidValueError, MaskGridWarning
from maskgrid.run_inputs import read_inputs

# The tiny network's autoencoder gives no colour back.
guesses = pytest.mark.filterwarnings("ignore:the background:maskgrid.errors.MaskGridWarning")


@pytest.fixture
def sprites(sheet) -> np.ndarray:
    """The sheet's cells as discs: (H, W, 4) uint8, transparent around them."""
    y, x = np.mgrid[: sheet.shape[0], : sheet.shape[1]] % 16
    alpha = np.rint(255 * (7.5 - np.hypot(y - 7.5, x - 7.5)).clip(0, 1)).astype(np.uint8)
    return np.dstack([sheet, alpha])


def run(maker, image, stencil, **options):
    told = {"rows": 2, "columns": 3, "prompt": "a sad face", "mode": "fork", "steps": 2, "seed": 3, **options}
    return maker(image=image, mask=stencil, **told)


def assert_outside_is_exact(forks, image, stencil):
    for index, cell in enumerate(forks.cells):
        outside = np.ones(image.shape[:2], bool)
        outside[forks.grid.cell_rect(cell).slices] = np.asarray(stencil) == 0
        assert np.array_equal(forks.array(index)[outside], image[outside])


@guesses
@pytest.mark.parametrize(
    "options",
    [
        {"background": "#ff00ff"},
        {"background": "auto"},
        {"alpha": "new"},
        {"alpha": "new", "background": (0, 255, 0), "feather": 4},
        {"alpha": "new", "zoom": 2, "context": 3, "variants": 2, "cells": [0, 4]},
        {"alpha": "new", "zoom": 2, "mode": "sample"},
    ],
)
def test_outside_the_stencil_colours_and_alpha_are_the_input(maker, sprites, stencil, options):
    forks = run(maker, sprites, stencil, **options)
    assert_outside_is_exact(forks, sprites, stencil)
    assert all(not np.array_equal(forks.array(i), sprites) for i in range(len(forks)))


@guesses
def test_kept_alpha_stays_everywhere_and_new_alpha_does_not(maker, sprites, stencil):
    kept = run(maker, sprites, stencil, background="auto").array(0)
    new = run(maker, sprites, stencil, alpha="new").array(0)
    assert np.array_equal(kept[..., 3], sprites[..., 3])
    assert not np.array_equal(new[..., 3], sprites[..., 3])


def test_the_background_is_what_the_model_sees(sprites, stencil):
    job = {"mask": stencil, "rows": 2, "columns": 3, "prompt": "a"}
    seen = read_inputs({**job, "image": sprites, "background": "#102030"}).sheet.colours
    clear, opaque = sprites[..., 3] == 0, sprites[..., 3] == 255
    assert (seen[clear] == (16, 32, 48)).all()
    assert np.array_equal(seen[opaque], sprites[opaque][:, :3])


@guesses
def test_a_saved_run_is_repeated_with_its_background_and_alpha(maker, sprites, stencil, tmp_path):
    forks = run(maker, sprites, stencil, background=(255, 0, 255), alpha="new")
    forks.save(tmp_path / "out")
    again = maker.again(tmp_path / "out")
    assert again.settings["background"] == [255, 0, 255]
    assert again.settings["alpha"] == "new"
    assert np.array_equal(again.patches, forks.patches)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"background": "green"}, InvalidValueError, "background is 'green'; allowed: 'auto', '#00ff00'"),
        ({"background": (0, 0, 300)}, InvalidValueError, "allowed: 'auto', '#00ff00'"),
        ({"background": 3}, InvalidTypeError, "background is int"),
        ({"alpha": "old"}, InvalidValueError, "alpha is 'old'; allowed: 'keep' or 'new'"),
    ],
)
def test_what_is_no_background_or_alpha_is_refused_without_a_model(sprites, stencil, change, error, said):
    with pytest.raises(error, match=said):
        read_inputs({"image": sprites, "mask": stencil, "rows": 2, "columns": 3, "prompt": "a", **change})


def test_a_sheet_without_alpha_gets_no_new_one(sheet, stencil):
    job = {"image": sheet, "mask": stencil, "rows": 2, "columns": 3, "prompt": "a"}
    with pytest.raises(InvalidValueError, match="the sheet has no alpha"):
        read_inputs({**job, "alpha": "new"})
    assert read_inputs({**job, "background": "auto"}).sheet.background is None


def test_an_autoencoder_that_gives_the_background_not_back_is_told(maker, sprites, stencil):
    with pytest.warns(MaskGridWarning, match=r"background \(1, 2, 3\) is not what cell"):
        run(maker, sprites, stencil, background=(1, 2, 3), alpha="new")
