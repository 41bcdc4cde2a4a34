"""Canvas operations by example and by numpy alone, in every layout and dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from maskgrid import Grid, Rect, canvas, num_threads, set_num_threads
from maskgrid.errors import InvalidBufferError, InvalidValueError
from strategies import same_bits

GRID = Grid(2, 3, cell=(4, 5), gap=(1, 2), margin=(2, 1), canvas=(15, 24))
PLAIN = Grid(2, 3, cell=(4, 5))
DTYPES = ["bool", "int8", "uint8", "uint16", "int16", "float16", "int32", "float32", "uint64", "float64"]
CHANNELS = pytest.mark.parametrize("channels", ["last", "first"])


def values(shape: tuple[int, ...], dtype: Any = "uint8", seed: int = 0) -> np.ndarray:
    """Any bits that the dtype has, NaN among them."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype) == np.bool_:
        return rng.random(shape) < 0.5
    size = np.dtype(dtype).itemsize
    return rng.integers(0, 256, (*shape, size), np.uint8).view(dtype)[..., 0]


def shape_of(size: Any, channels: str, count: int = 3) -> tuple[int, ...]:
    return (count, *size) if channels == "first" else (*size, count)


def rects(grid: Grid, channels: str) -> list[tuple[slice, ...]]:
    """How each cell is indexed."""
    every = (slice(None),) if channels == "first" else ()
    return [every + rect.slices for rect in grid.cell_rects]


def joined(cells: np.ndarray, grid: Grid, background: np.ndarray, channels: str) -> np.ndarray:
    sheet = background.copy()
    for place, cell in zip(rects(grid, channels), cells, strict=True):
        sheet[place] = cell
    return sheet


def layouts(array: np.ndarray) -> dict[str, np.ndarray]:
    """The same values in memory of all kinds."""
    room = np.zeros([2 * side + 3 for side in array.shape], array.dtype)
    sliced = room[tuple(slice(1, 2 * side + 1, 2) for side in array.shape)]
    sliced[...] = array
    back = (slice(None, None, -1),) * array.ndim
    read_only = array.copy()
    read_only.flags.writeable = False
    return {
        "dense": array,
        "sliced": sliced,
        "backward": array[back].copy()[back],
        "Fortran order": np.asfortranarray(array),
        "rolled axes": np.moveaxis(np.moveaxis(array, 0, -1).copy(), -1, 0),
        "read-only": read_only,
        "misaligned": misaligned(array),
        "foreign byte order": array.astype(array.dtype.newbyteorder(">")),
    }


def misaligned(array: np.ndarray) -> np.ndarray:
    memory = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    memory[...] = array
    return memory


def test_a_cell_in_every_place() -> None:
    grid = Grid(1, 2, cell=(2, 2), gap=1, margin=(0, 1))
    sheet = canvas.tile(np.array([[1, 2], [3, 4]]), grid, background=9)
    assert sheet.tolist() == [[9, 1, 2, 9, 1, 2, 9], [9, 3, 4, 9, 3, 4, 9]]
    cells = np.array([[[1, 2], [3, 4]], [[5, 6], [7, 8]]])
    sheet = canvas.join(cells, grid, background=sheet)
    assert sheet.tolist() == [[9, 1, 2, 9, 5, 6, 9], [9, 3, 4, 9, 7, 8, 9]]
    assert canvas.split(sheet, grid).tolist() == cells.tolist()


@CHANNELS
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", layouts(np.zeros((1, 1, 1))))
def test_every_layout_and_dtype(kind: str, dtype: str, channels: str) -> None:
    back = values(shape_of(GRID.canvas, channels), dtype, 1)
    cells = values((6, *shape_of(GRID.cell, channels)), dtype, 2)
    expected = joined(cells, GRID, back, channels)
    options: dict[str, Any] = {"channels": channels}
    background, given = layouts(back)[kind], layouts(cells)[kind]
    assert same_bits(canvas.join(given, GRID, background=background, **options), expected)
    same = joined(np.broadcast_to(cells[0], cells.shape), GRID, back, channels)
    assert same_bits(canvas.tile(given[0], GRID, background=background, **options), same)
    sheet = layouts(expected)[kind]
    assert same_bits(canvas.split(sheet, GRID, copy=True, **options), cells)
    forks = np.stack([values(back.shape, dtype, 3), values(back.shape, dtype, 4)])
    merged = expected.copy()
    for place, fork in zip(rects(GRID, channels)[4:1:-2], forks, strict=True):
        merged[place] = fork[place]
    given = layouts(forks)[kind]
    assert same_bits(canvas.merge(given, GRID, cells=[4, 2], original=sheet, **options), merged)


def test_images_without_channels() -> None:
    cells = values((6, 4, 5))
    for channels in ("last", "first"):
        sheet = canvas.join(cells, PLAIN, channels=channels)
        assert same_bits(sheet, cells.reshape(2, 3, 4, 5).swapaxes(1, 2).reshape(8, 15))
        assert same_bits(canvas.split(sheet, PLAIN, channels=channels), cells)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "bfloat16", "float32", "float64"])
@CHANNELS
def test_torch_tensors(channels: str, dtype: str) -> None:
    bits = torch.from_numpy(values((6, *shape_of(GRID.cell, channels)), "int64"))
    cells = bits.bool() if dtype == "bool" else bits.to(getattr(torch, dtype))
    sheet = canvas.join(cells, GRID, background=1, channels=channels)
    assert isinstance(sheet, torch.Tensor)
    assert sheet.dtype == cells.dtype
    assert sheet.is_contiguous()
    for place, cell in zip(rects(GRID, channels), cells, strict=True):
        assert torch.equal(sheet[place], cell)
    assert bool((sheet[..., -1, :] if channels == "first" else sheet[-1]).eq(1).all())
    assert torch.equal(canvas.split(sheet, GRID, channels=channels), cells)
    permuted = cells.transpose(1, 2).contiguous().transpose(1, 2)
    assert torch.equal(canvas.join(permuted, GRID, background=1, channels=channels), sheet)


def test_tensors_that_require_grad_are_read() -> None:
    sheet = torch.ones(8, 15, requires_grad=True)
    cells = canvas.split(sheet, PLAIN)
    assert not cells.requires_grad
    assert cells.eq(1).all()
    with pytest.raises(InvalidBufferError, match="requires grad"):
        canvas.tile(torch.ones(4, 5), PLAIN, out=torch.zeros(8, 15, requires_grad=True))


def test_other_exporters() -> None:
    cell = values((4, 5, 3))
    expected = canvas.tile(cell, PLAIN)
    capsule = torch.to_dlpack(torch.from_numpy(cell))
    for given in (memoryview(cell), capsule):
        sheet = canvas.tile(given, PLAIN)
        assert type(sheet) is np.ndarray
        assert same_bits(sheet, expected)
    view = canvas.cell_view(memoryview(expected), PLAIN)
    assert same_bits(view[1, 2], cell)
    capsule = torch.to_dlpack(torch.from_numpy(expected))
    assert same_bits(canvas.split(capsule, PLAIN)[5], cell)
    with pytest.raises(InvalidBufferError, match="numpy"):
        canvas.cell_view(torch.to_dlpack(torch.from_numpy(expected)), PLAIN)


@CHANNELS
@pytest.mark.parametrize("kind", ["dense", "sliced", "backward", "rolled axes"])
def test_cells_are_seen_without_a_copy(kind: str, channels: str) -> None:
    sheet = layouts(values(shape_of(GRID.canvas, channels)))[kind]
    view = canvas.cell_view(sheet, GRID, channels=channels)
    assert view.shape == (2, 3, *shape_of(GRID.cell, channels))
    assert np.shares_memory(view, sheet)
    for index, place in enumerate(rects(GRID, channels)):
        assert same_bits(view[divmod(index, 3)], sheet[place])
    view[1, 2] = 7
    assert np.all(sheet[rects(GRID, channels)[5]] == 7)
    sheet.flags.writeable = False
    assert not canvas.cell_view(sheet, GRID, channels=channels).flags.writeable


@CHANNELS
def test_cells_of_a_tensor_are_seen_without_a_copy(channels: str) -> None:
    sheet = torch.zeros(shape_of(GRID.canvas, channels))
    canvas.cell_view(sheet, GRID, channels=channels)[0, 1] = 3
    assert sheet[rects(GRID, channels)[1]].eq(3).all()
    assert sheet.sum() == 3 * 4 * 5 * 3


@CHANNELS
def test_split_is_a_view_where_cells_can_be_numbered(channels: str) -> None:
    grids = [Grid(rows, columns, cell=(4, 5), gap=1, margin=2) for rows, columns in [(1, 3), (4, 1), (1, 1)]]
    # The last cell of a line is followed by the first of the next.
    for grid in [*grids, Grid(3, 2, cell=(1, 4))]:
        sheet = values(shape_of(grid.canvas, channels))
        for given in (sheet, torch.from_numpy(sheet)):
            cells = canvas.split(given, grid, channels=channels, copy=False)
            assert np.shares_memory(np.asarray(cells), sheet)
            assert same_bits(cells, canvas.split(given, grid, channels=channels, copy=True))
            copied = canvas.split(given, grid, channels=channels, copy=True)
            assert not np.shares_memory(np.asarray(copied), sheet)
    column = np.broadcast_to(values((8, 1)), (8, 15))
    assert canvas.split(values((3, 1)), Grid(3, 1, cell=1)).shape == (3, 1, 1)
    with pytest.raises(InvalidValueError, match="copy=True"):
        canvas.split(column, PLAIN, copy=False)
    with pytest.raises(InvalidValueError, match="one of them"):
        canvas.split(column, PLAIN, copy=False, out=np.empty((6, 4, 5), np.uint8))


@pytest.mark.parametrize("cells", [None, [5, 0, 3, 1, 4, 2], (2,), [], np.array([4, 1], np.uint8)])
def test_merge_takes_each_forks_cell(cells: Any) -> None:
    count = 6 if cells is None else len(cells)
    forks, original = values((count, 15, 24, 3)), values((15, 24, 3), seed=1)
    expected = original.copy()
    for fork, cell in enumerate(range(6) if cells is None else cells):
        expected[rects(GRID, "last")[cell]] = forks[fork][rects(GRID, "last")[cell]]
    assert same_bits(canvas.merge(forks, GRID, cells=cells, original=original), expected)
    if count:
        first = canvas.merge(forks, GRID, cells=cells)
        assert same_bits(first, canvas.merge(forks, GRID, cells=cells, original=forks[0]))


def test_merging_the_forks_of_split_cells_gives_them_back() -> None:
    cells, original = values((6, 4, 5, 3)), values((15, 24, 3), seed=1)
    forks = canvas.paste(original, cells, GRID)
    merged = canvas.merge(forks, GRID)
    assert same_bits(merged, canvas.paste(original, cells, GRID, together=True))
    assert same_bits(merged, canvas.join(cells, GRID, background=original))
    assert same_bits(canvas.split(merged, GRID), cells)


PASTE_DTYPES = ["uint8", "float16", "float32", "float64"]
WINDOWS = [Rect(0, 0, 4, 70), Rect(5, 9, 9, 79), Rect(3, 5, 7, 75)]


@CHANNELS
@pytest.mark.parametrize("dtype", PASTE_DTYPES)
@pytest.mark.parametrize("kind", ["dense", "sliced", "backward", "Fortran order"])
def test_paste_keeps_every_bit_outside(kind: str, dtype: str, channels: str) -> None:
    # Random bits: NaN of every payload, infinities and -0 among them.
    original = values(shape_of((9, 80), channels), dtype, 1)
    patches = values((3, *shape_of((4, 70), channels)), dtype, 2)
    if dtype != "uint8":
        original.ravel()[:4], patches.ravel()[:4] = [-0.0, 0.0, np.nan, -np.inf], [0.0, -0.0, np.inf, np.nan]
    hard = values((3, 4, 70), "bool", 3)
    expected = np.stack([original] * 3)
    every = (slice(None),) if channels == "first" else ()
    for index, (place, mask) in enumerate(zip(WINDOWS, hard, strict=True)):
        chosen = mask if channels == "first" else mask[..., None]
        target = expected[index][every + place.slices]
        target[...] = np.where(chosen, patches[index], target)
    given = layouts(original)[kind], layouts(patches)[kind], WINDOWS
    for mask in (hard, hard.astype("uint8") * 255, hard.astype("float16"), hard.astype("float64")):
        assert same_bits(canvas.paste(*given, mask, channels=channels), expected)
    whole = canvas.paste(*given, channels=channels)
    for index, place in enumerate(WINDOWS):
        assert same_bits(whole[index][every + place.slices], patches[index])


@pytest.mark.parametrize("dtype", PASTE_DTYPES)
def test_paste_mixes_to_the_nearest(dtype: str) -> None:
    rng = np.random.default_rng(0)
    scale = 255 if dtype == "uint8" else 8
    original, patch = (scale * rng.random((2, 40, 50))).astype(dtype)
    mask = rng.random((40, 50)).astype(np.float32)
    result = canvas.paste(original, patch[None], [Rect(0, 0, 40, 50)], mask, together=True)
    exact = original.astype("f8") + (patch.astype("f8") - original.astype("f8")) * mask
    step = 0.5 if dtype == "uint8" else 8 * float(np.finfo(dtype).eps)
    assert np.abs(result.astype("f8") - exact).max() <= step + 1e-5
    halves = canvas.paste(
        np.zeros((1, 4), "u1"), np.array([[[1, 3, 5, 255]]], "u1"), [Rect(0, 0, 1, 4)], np.full((1, 4), 0.5)
    )
    assert halves.tolist() == [[[0, 2, 2, 128]]]


def test_paste_of_one_after_the_other() -> None:
    original, half = np.zeros((1, 3), np.float32), np.full((1, 2), 0.5, np.float32)
    patches = np.array([[[8, 8]], [[4, 4]]], np.float32)
    places = [Rect(0, 0, 1, 2), Rect(0, 1, 1, 3)]
    assert canvas.paste(original, patches, places, half, together=True).tolist() == [[4, 4, 2]]
    assert canvas.paste(original, patches, places, half).tolist() == [[[4, 4, 0]], [[0, 2, 2]]]
    assert canvas.paste(original, patches[:0], [], half).shape == (0, 1, 3)
    assert canvas.paste(original, patches[:0], [], together=True).tolist() == [[0, 0, 0]]


def test_paste_of_bfloat16() -> None:
    original, patch = torch.zeros(4, 40, 2).bfloat16(), torch.ones(1, 3, 36, 2).bfloat16()
    mask = torch.linspace(0, 1, 36).expand(3, 36)
    result = canvas.paste(original, patch, [Rect(1, 2, 4, 38)], mask)
    assert result.dtype == torch.bfloat16
    assert torch.equal(result[0, 2, 2:38, 1], mask[0].bfloat16())
    assert result[0, 0].eq(0).all()
    assert result[0, :, 38:].eq(0).all()


@CHANNELS
def test_results_go_where_they_are_wanted(channels: str) -> None:
    cells = values((6, *shape_of(GRID.cell, channels)))
    sheet = canvas.join(cells, GRID, channels=channels)
    for out in (np.empty_like(sheet), np.empty([2 * side for side in sheet.shape], "u1")[::2, ::-2, ::-2]):
        assert canvas.join(cells, GRID, channels=channels, out=out) is out
        assert np.array_equal(out, sheet)
    tensor = torch.zeros(sheet.shape, dtype=torch.uint8)
    assert canvas.join(cells, GRID, channels=channels, out=tensor) is tensor
    assert np.array_equal(tensor.numpy(), sheet)
    out = np.empty_like(cells)
    assert canvas.split(tensor, GRID, channels=channels, out=out) is out
    assert np.array_equal(out, cells)
    forks = np.empty((6, *sheet.shape), np.uint8)
    assert canvas.paste(sheet * 0, cells, GRID, channels=channels, out=forks) is forks
    assert canvas.merge(forks, GRID, channels=channels, out=tensor.zero_()) is tensor
    assert np.array_equal(tensor.numpy(), sheet)


@pytest.mark.parametrize("dtype", [*DTYPES, "bfloat16"])
def test_backgrounds_of_one_number(dtype: str) -> None:
    grid = Grid(1, 1, cell=1, margin=1)
    cell: Any = torch.zeros(1, 1, dtype=torch.bfloat16) if dtype == "bfloat16" else np.zeros((1, 1), dtype)
    for number in (0, 1, True, 1.0, np.float32(1), np.int64(1), np.bool_(True)):
        sheet = canvas.tile(cell, grid, background=number)
        assert sheet[0, 0] == number
        assert sheet[1, 1] == 0
    if "float" in dtype:
        assert canvas.tile(cell, grid, background=0.5)[0, 0] == 0.5
        assert np.isnan(float(canvas.tile(cell, grid, background=np.nan)[0, 0]))
        assert float(canvas.tile(cell, grid, background=-np.inf)[0, 0]) == -np.inf
        refused = {"float16": 1e5, "bfloat16": 1e39, "float32": 1e39}.get(dtype)
    else:
        info = np.iinfo(np.uint8 if dtype == "bool" else dtype)
        low, high = (0, 1) if dtype == "bool" else (int(info.min), int(info.max))
        assert canvas.tile(cell, grid, background=low)[0, 0] == low
        assert canvas.tile(cell, grid, background=high)[2, 1] == high
        for number in (low - 1, 0.5, np.nan):
            with pytest.raises(InvalidValueError, match=f"background is .*{dtype} has"):
                canvas.tile(cell, grid, background=number)
        refused = high + 1
    if refused is not None:
        with pytest.raises(InvalidValueError, match=f"background is .*{dtype} has"):
            canvas.tile(cell, grid, background=refused)


def test_the_number_of_threads_changes_no_bit() -> None:
    grid = Grid(7, 5, cell=(83, 97), gap=(2, 3), margin=4)
    cells, back = values((35, 83, 97, 3)), values((*grid.canvas, 3), seed=1)
    mask = np.random.default_rng(2).random((83, 97)).round(1).astype(np.float32)
    before = num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            set_num_threads(threads)
            forks = canvas.paste(back, cells, grid, mask)
            merged = canvas.merge(forks, grid)
            together = canvas.paste(back, cells, grid, mask, together=True)
            assert same_bits(merged, together)
            parts = canvas.split(merged, grid)
            joined = canvas.join(parts, grid, background=back)
            assert same_bits(joined, merged)
            results.append((merged, parts, canvas.tile(cells[3], grid, background=back)))
    finally:
        set_num_threads(before)
    for others in results[1:]:
        assert all(same_bits(*pair) for pair in zip(results[0], others, strict=True))
