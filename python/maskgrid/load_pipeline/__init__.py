"""Load a diffusers pipeline by name: a folder, a hub id or a single file; no code of a model is ever run."""

from maskgrid.load_pipeline.by_name import load_pipeline
from maskgrid.load_pipeline.device_and_dtype import DTYPES
from maskgrid.load_pipeline.lora_files import LoraSource
from maskgrid.load_pipeline.save_memory import OFFLOADS

__all__ = ["DTYPES", "OFFLOADS", "LoraSource", "load_pipeline"]
