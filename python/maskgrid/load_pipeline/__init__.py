"""Load a diffusers pipeline by name: a folder, a hub id or a single file; no code of a model is ever run."""

from maskgrid.load_pipeline.by_name import load_pipeline
from maskgrid.load_pipeline.device_and_dtype import DTYPES

__all__ = ["DTYPES", "load_pipeline"]
