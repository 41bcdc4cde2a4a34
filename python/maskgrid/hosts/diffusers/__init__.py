"""Any text-to-image pipeline of diffusers as a host. Does not import diffusers: a pipeline brings its own."""

from maskgrid.hosts.diffusers.pipeline_host import DiffusersHost
from maskgrid.hosts.diffusers.self_test import Finding, Report, check

__all__ = ["DiffusersHost", "Finding", "Report", "check"]
