"""`maskgrid merge`: chosen cells of saved forks in one sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskgrid.cli.tell import give_result
from maskgrid.errors import InvalidValueError

if TYPE_CHECKING:
    import argparse

    from PIL.Image import Image

    from maskgrid.result.forks import Forks

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Read saved forks, merge those that were picked, write the sheet."""
    from maskgrid.pictures.write_image import format_of
    from maskgrid.result.forks import Forks
    from maskgrid.result.picture_file import write_picture

    format_of(options.out, "--out")
    forks = Forks.load(options.folder[0])
    for folder in options.folder[1:]:
        forks += Forks.load(folder)
    picture = _picked(forks, options.pick) if options.pick else forks.merged()
    path = write_picture(picture, options.out, force=options.force)
    text = f"{path}: {len(options.pick or forks)} of {len(forks)} forks in one sheet"
    give_result(options, text, file=path, picked=len(options.pick or forks), forks=len(forks))
    return 0


def _picked(forks: Forks, choice: list[tuple[tuple[int, int] | None, int]]) -> Image:
    """The sheet with the forks that were picked, by number or by cell."""
    numbers = [number for where, number in choice if where is None]
    places: dict[int | tuple[int, int], int] = {
        where: number for where, number in choice if where is not None
    }
    if numbers and places:
        raise InvalidValueError("--pick has both FORK and ROW,COLUMN=FORK; allowed: one kind")
    if len(places) + len(numbers) != len(choice):
        raise InvalidValueError("--pick names a cell twice; allowed: one fork for each cell")
    return forks.pick(places or numbers)
