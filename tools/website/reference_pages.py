"""Writes the pages of the API's reference: which names stand where; mkdocstrings shows their docstrings."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PAGES", "ApiPage", "write_reference"]


@dataclass(frozen=True)
class ApiPage:
    """A page of the reference.

    Attributes:
        file: Its name in reference/.
        title: Its heading.
        says: A sentence under the heading.
        names: What is shown: full names, or a module's name and `.*` for all that its `__all__` has.
    """

    file: str
    title: str
    says: str
    names: tuple[str, ...]


PAGES = (
    ApiPage(
        "mask_grid.md",
        "MaskGrid and Forks",
        "A sheet, a stencil and a prompt go in, forks come back as pictures.",
        (
            "maskgrid.MaskGrid",
            "maskgrid.Forks",
            "maskgrid.result.fork_records.ForkRecord",
            "maskgrid.mask_grid.repeat",
            "maskgrid.load_pipeline.load_pipeline",
        ),
    ),
    ApiPage(
        "geometry.md",
        "Grids and plans",
        "Where cells lie, and what each fork samples. They need numpy alone.",
        (
            "maskgrid.Grid",
            "maskgrid.geometry.detect_grid.DetectedGrid",
            "maskgrid.ForkPlan",
            "maskgrid.Fork",
            "maskgrid.Rect",
            "maskgrid.Size",
            "maskgrid.num_threads",
            "maskgrid.set_num_threads",
        ),
    ),
    ApiPage(
        "masks.md",
        "maskgrid.masks",
        "Masks made wider, softer or whole, and brought to latent size; numpy and torch, on any device.",
        ("maskgrid.geometry.pixel_masks.*",),
    ),
    ApiPage(
        "canvas.md",
        "maskgrid.canvas",
        "Sheets cut into cells and put together again; numpy and torch, on any device.",
        ("maskgrid.geometry.canvas.*",),
    ),
    ApiPage(
        "pictures.md",
        "Pictures",
        "How a sheet and a stencil are read; see [Pictures and masks](../pictures.md).",
        ("maskgrid.pictures.read_sheet.read_sheet", "maskgrid.pictures.read_mask.read_mask"),
    ),
    ApiPage(
        "sampling.md",
        "maskgrid.sampling",
        "Forks of latents, for whoever runs the network otherwise; see [the mathematics](../sampling.md).",
        ("maskgrid.sampling.*",),
    ),
    ApiPage(
        "hosts.md",
        "Who runs the network",
        "A pipeline of diffusers, or a bare network with its conditioning.",
        ("maskgrid.hosts.diffusers.*", "maskgrid.hosts.guided_network.GuidedNetwork"),
    ),
    ApiPage(
        "jobs.md",
        "maskgrid.jobs",
        "The sheets of a table, each exactly once; see [Many sheets](../jobs.md).",
        ("maskgrid.jobs.*",),
    ),
    ApiPage(
        "errors.md",
        "maskgrid.errors",
        "What is raised, and how it carries what was finished.",
        ("maskgrid.errors.*",),
    ),
)


def shown_names(page: ApiPage) -> list[str]:
    """The full names of a page, a module's `.*` replaced by what it exports."""
    names = []
    for name in page.names:
        module, star, _ = name.partition(".*")
        names += [f"{module}.{member}" for member in import_module(module).__all__] if star else [name]
    return names


def write_reference(folder: Path) -> None:
    """Writes every page into `folder`/reference."""
    (folder / "reference").mkdir(parents=True, exist_ok=True)
    for page in PAGES:
        parts = [f"# {page.title}", page.says, *(f"::: {name}" for name in shown_names(page))]
        (folder / "reference" / page.file).write_text("\n\n".join(parts) + "\n", encoding="utf-8")
