"""`maskgrid merge`: chosen cells of saved forks in one sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskgrid.errors import InvalidValueError

if TYPE_CHECKING:
    import argparse

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Read saved forks, merge those that were picked, write the sheet."""
    from maskgrid.pictures.write_image import format_of
    from maskgrid.result.folder import write_picture
    from maskgrid.result.forks import Forks

    format_of(options.out, "--out")
    forks = Forks.load(options.folder[0])
    for folder in options.folder[1:]:
        forks += Forks.load(folder)
    choice = options.pick or [(None, fork) for fork in range(len(forks))]
    numbers = [number for where, number in choice if where is None]
    places = {where: number for where, number in choice if where is not None}
    if numbers and places:
        raise InvalidValueError("--pick has both FORK and ROW,COLUMN=FORK; allowed: one kind")
    if len(places) + len(numbers) != len(choice):
        raise InvalidValueError("--pick names a cell twice; allowed: one fork for each cell")
    picture = forks.pick(places or numbers)
    path = write_picture(picture, options.out, force=options.force)
    print(f"{path}: {len(choice)} of {len(forks)} forks in one sheet")
    return 0
