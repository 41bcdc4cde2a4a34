"""What the picture nodes make."""

import pytest
import torch

from maskgrid.errors import InvalidValueError
from maskgrid.hosts.comfyui import pictures


def stencil(height: int = 16, width: int = 24) -> torch.Tensor:
    mask = torch.zeros(1, height, width, 3)
    mask[:, 4:12, 4:20] = 1
    return mask


@pytest.mark.parametrize("batch", [1, 2])
def test_pixels_outside_the_stencil_are_the_sheets(batch):
    sheet = torch.rand(batch, 32, 72, 3)
    forks = torch.rand(6 * batch, 32, 72, 3)
    pasted, merged = pictures.paste_forks(forks, sheet, stencil(), 2, 3)
    inside = torch.zeros(6, 1, 32, 72, 1, dtype=torch.bool)
    for number in range(6):
        top, left = number // 3 * 16, number % 3 * 24
        inside[number, 0, top + 4 : top + 12, left + 4 : left + 20] = True
    expected = torch.where(inside, forks.unflatten(0, (6, batch)), sheet)
    together = sheet.clone()
    for number in range(6):
        together = torch.where(inside[number], expected[number], together)
    assert (torch.equal(pasted, expected.flatten(0, 1)), torch.equal(merged, together)) == (True, True)


def test_forks_of_some_cells():
    sheet, forks = torch.zeros(1, 16, 72, 3), torch.ones(1, 16, 72, 3)
    pasted, _ = pictures.paste_forks(forks, sheet, stencil(), 1, 3, cells="2")
    assert (float(pasted[..., :52, :].sum()), float(pasted[0, 6, 60, 0])) == (0.0, 1.0)


def test_a_feathered_edge_lies_inside():
    sheet, forks = torch.zeros(3, 16, 72, 3)[:1], torch.ones(3, 16, 72, 3)
    pasted, _ = pictures.paste_forks(forks, sheet, stencil(), 1, 3, feather=3)
    line = pasted[0, 8, :24, 0]
    assert (float(line[:4].sum()), 0 < float(line[4]) < 1, float(line[12])) == (0.0, True, 1.0)


@pytest.mark.parametrize(("count", "width"), [(2, 72), (3, 64)])
def test_pictures_that_do_not_fit(count, width):
    with pytest.raises(InvalidValueError, match="allowed: "):
        pictures.paste_forks(torch.zeros(count, 16, width, 3), torch.zeros(1, 16, 72, 3), stencil(), 1, 3)


def test_a_stencil_is_prepared_as_image_and_as_mask():
    image, mask = pictures.prepare_stencil(stencil() * 0.7, threshold=0.5, grow=2)
    grown = (float(mask[0, 12, 10]), float(mask[0, 13, 10]), float(mask[0, 14, 10]))
    assert (tuple(image.shape), tuple(mask.shape), grown) == ((1, 16, 24, 3), (1, 16, 24), (1.0, 1.0, 0.0))


@pytest.mark.parametrize("shape", [(16, 24), (2, 16, 24), (2, 16, 24, 3)])
def test_masks_and_images_are_taken(shape):
    _, mask = pictures.prepare_stencil(torch.rand(shape), threshold=0.5)
    assert tuple(mask.shape) == (2 if len(shape) > 2 else 1, 16, 24)


def test_the_preview_shows_what_gets_lost():
    line = torch.zeros(1, 32, 32, 3)
    line[:, :, 1] = 1
    sheet = torch.full((1, 32, 64, 3), 0.5)
    lost, kept = (
        pictures.preview_grid(sheet, line, 1, 2, coverage=coverage) for coverage in ("center", "max")
    )
    # The panels of a strip lie below each other, the last one is what gets lost.
    lowest = [picture[0, picture.shape[1] * 4 // 5 :] for picture in (lost, kept)]
    pink = [int((panel[..., 0] - panel[..., 1] > 0.1).sum()) for panel in lowest]
    assert (pink[0] > 0, pink[1]) == (True, 0)


def test_a_contact_sheet_has_a_panel_for_each_picture():
    sheet = torch.rand(1, 16, 72, 3)
    counts = [(1, None), (2, None), (3, stencil())]
    pictures_of = [pictures.compare_sheets(sheet, sheet.repeat(n, 1, 1, 1), mask, 1, 3) for n, mask in counts]
    two, three, five = (picture.shape[1] for picture in pictures_of)
    assert (five - two) == 3 * (three - two) > 0


def test_a_stencil_of_another_size_is_refused():
    sheet = torch.rand(1, 16, 72, 3)
    with pytest.raises(InvalidValueError, match="allowed: "):
        pictures.compare_sheets(sheet, sheet, stencil(8, 8), 1, 3)
