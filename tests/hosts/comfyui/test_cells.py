"""The nodes for cells."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.hosts.comfyui import cells

SIDES = st.integers(1, 4)


def numbers(*shape: int) -> torch.Tensor:
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float32).reshape(shape)


@given(rows=SIDES, columns=SIDES)
def test_a_tiled_image_is_cut_into_itself(rows, columns):
    image = numbers(2, 3, 5, 3)
    found = cells.split_image(cells.repeat_image(image, rows, columns), rows, columns)
    assert torch.equal(found, image.repeat_interleave(rows * columns, 0))


@given(height=st.integers(4, 13), width=st.integers(4, 13), rows=SIDES, columns=SIDES)
def test_no_pixel_is_lost_where_sides_do_not_divide(height, width, rows, columns):
    image = numbers(1, height, width, 1)
    found = cells.cut_image(image, rows, columns)
    lines = [torch.cat(found[row * columns : (row + 1) * columns], 2) for row in range(rows)]
    assert torch.equal(torch.cat(lines, 1), image)


def test_cells_that_divide_are_those_of_the_original_node():
    image = numbers(1, 6, 8, 3)
    found = cells.cut_image(image, 2, 4)
    expected = [image[:, y : y + 3, x : x + 2] for y in (0, 3) for x in (0, 2, 4, 6)]
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_gaps_and_margins_are_left_out():
    image = torch.full((1, 8, 12, 3), -1.0)
    image[:, 1:4, 1:5] = 1
    image[:, 1:4, 7:11] = 2
    image[:, 6:, :] = -1
    found = cells.split_image(image[:, :5], 1, 2, gap=2, margin=1)
    assert [sorted(cell.unique().tolist()) for cell in found] == [[1.0], [2.0]]


def test_sheets_that_do_not_divide_are_refused():
    with pytest.raises(InvalidValueError):
        cells.split_image(numbers(1, 7, 9, 3), 2, 3)


def test_more_cells_than_pixels_are_refused():
    with pytest.raises(InvalidValueError, match="allowed: "):
        cells.cut_image(numbers(1, 2, 9, 3), 3, 3)


def test_a_latent_is_tiled_with_its_mask():
    latent = {"samples": numbers(1, 4, 2, 3), "noise_mask": torch.ones(1, 1, 16, 24), "mine": 1}
    found = cells.repeat_latent(latent, 2, 3)
    shapes = tuple(found["samples"].shape), tuple(found["noise_mask"].shape), found["mine"]
    assert shapes == ((1, 4, 4, 9), (1, 1, 32, 72), 1)


def test_latents_of_five_axes_are_tiled():
    assert cells.repeat_latent({"samples": numbers(1, 4, 3, 2, 3)}, 2, 2)["samples"].shape == (1, 4, 3, 4, 6)


@pytest.mark.parametrize("shape", [(6, 4, 4, 6), (6, 4, 3, 4, 6)])
def test_each_cell_from_its_fork(shape):
    forks = torch.stack([torch.full(shape[1:], float(number)) for number in range(6)])
    found = cells.merge_latents({"samples": forks}, 2, 3)["samples"]
    flat = found.reshape(-1, 4, 6)[0]
    assert flat[::2, ::2].tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


@pytest.mark.parametrize(("cell", "value"), [((16, 16), 0.0), ((8, 8), 0.0)])
def test_what_no_cell_covers_is_the_first_fork(cell, value):
    forks = torch.stack([torch.full((4, 6, 8), float(number)) for number in range(6)])
    found = cells.merge_latents({"samples": forks}, 2, 3, cell=cell)["samples"]
    assert (float(found[0, 0, -1, -1]), bool(found.isfinite().all())) == (value, True)


def test_cells_beyond_the_latents_are_refused():
    with pytest.raises(InvalidValueError, match="allowed: at most 4 x 6"):
        cells.merge_latents({"samples": numbers(6, 4, 4, 6)}, 2, 3, cell=(32, 48))


def test_picks_and_the_original():
    forks = torch.stack([torch.full((4, 6, 3), float(number)) for number in range(2)])
    original = torch.full((1, 4, 6, 3), 9.0)
    found = cells.merge_images(forks, 1, 3, picks="1 - 0", original=original)
    assert found[0, 0, :, 0].tolist() == [1.0, 1.0, 9.0, 9.0, 0.0, 0.0]


def test_forks_of_a_batch():
    forks = torch.stack([torch.full((4, 2, 4), float(number)) for number in range(4)])
    original = {"samples": torch.full((2, 4, 2, 4), 9.0)}
    found = cells.merge_latents({"samples": forks}, 1, 2, original=original)["samples"]
    assert found[:, 0, 0].tolist() == [[0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 3.0, 3.0]]


@pytest.mark.parametrize("picks", ["0", "0 1 2", "0 2", "0 x", "0 -1"])
def test_picks_that_are_none(picks):
    with pytest.raises(InvalidValueError, match="allowed: "):
        cells.merge_images(numbers(2, 4, 6, 3), 1, 2, picks=picks)


def test_fewer_forks_than_cells_need_picks():
    with pytest.raises(InvalidValueError, match="allowed: picks"):
        cells.merge_images(numbers(2, 4, 6, 3), 1, 3)


@given(count=st.integers(1, 12))
def test_latents_side_by_side(count):
    latents = torch.arange(1.0, count + 1).reshape(-1, 1, 1, 1).expand(-1, 4, 2, 3)
    sheet = cells.join_latents({"samples": latents})["samples"]
    columns = sheet.shape[-1] // 3
    found = sheet[0, 0, ::2, ::3].flatten().tolist()
    blank = [0.0] * (len(found) - count)
    assert (found, columns) == ([*range(1, count + 1), *blank], int((count - 1) ** 0.5) + 1)


def test_latents_in_rows_of_a_given_length():
    assert cells.join_latents({"samples": numbers(5, 4, 2, 3)}, columns=5)["samples"].shape == (1, 4, 2, 15)


def test_nested_latents_are_refused():
    nested = torch.nested.nested_tensor([torch.zeros(4, 2, 2)], layout=torch.jagged)
    with pytest.raises(InvalidTypeError, match="nested"):
        cells.join_latents({"samples": nested})
