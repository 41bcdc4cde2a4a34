"""Pictures written whole or not at all, and the preview beside an output folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from maskgrid.errors import MaskGridError, OutputExistsError, in_one_line
from maskgrid.pictures.write_image import format_of, save_image
from maskgrid.result.hold_interrupts import hold_interrupts
from maskgrid.result.manifest import json_text
from maskgrid.result.output_place import check_picture, local_folder
from maskgrid.result.replace_files import write_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from PIL.Image import Image

__all__ = ["PreviewFile", "write_picture"]

_PREVIEW = {"preview": True}


def write_picture(
    image: Image,
    path: str | os.PathLike[str],
    *,
    force: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a picture as a whole or not at all; the suffix decides its format.

    Args:
        image: The picture.
        path: Where to; see `maskgrid.pictures.write_image.SUFFIXES`.
        force: Replace a file that is there.
        settings: What goes into its metadata.

    Returns:
        The path.

    Raises:
        InvalidValueError: A URL, or a suffix that stands for no format.
        OutputExistsError: Something is there and `force` is False, or it is a folder.
        MaskGridError: It can't be written.
    """
    target, kind = check_picture(path, force=force), format_of(path)
    text = json_text(dict(settings)) if settings else ""
    with hold_interrupts():
        try:
            write_file(target, lambda draft: save_image(image, draft, kind, text=text), replace=force)
        except OutputExistsError:
            raise
        except OSError as error:
            raise MaskGridError(f"{target} can't be written ({in_one_line(error)})") from error
    return target


class PreviewFile:
    """`preview.png` beside an output folder, written again and again, and never over a picture of somebody's.

    Only a preview of maskgrid's, which says so in its metadata, is replaced; where something else is, the
    preview is called preview-2.png and so on.

    Args:
        folder: The output folder.

    Attributes:
        path: Where it was written last, or is to be written.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._wanted = local_folder(folder).with_name("preview.png")
        self.path = self._free()

    def write(self, image: Image) -> Path:
        """Write the preview beside the output folder.

        Returns:
            Where.

        Raises:
            MaskGridError: It can't be written.
        """
        self.path = self._free()
        return write_picture(image, self.path, force=_is_preview(self.path), settings=_PREVIEW)

    def _free(self) -> Path:
        number, path = 1, self._wanted
        while os.path.lexists(path) and not _is_preview(path):
            number += 1
            path = self._wanted.with_name(f"preview-{number}.png")
        return path


def _is_preview(path: Path) -> bool:
    """Whether a file is a preview that maskgrid wrote, by the text that comes before its pixels."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(4096)
    return head.startswith(b"\x89PNG") and b"iTXtmaskgrid\0" in head and b'{\n  "preview": true\n}' in head
