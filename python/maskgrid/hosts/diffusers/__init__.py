"""Any text-to-image pipeline of diffusers as a host. Does not import diffusers: a pipeline brings its own."""

from maskgrid.hosts.diffusers.check import Finding, Report, check
from maskgrid.hosts.diffusers.host import DiffusersHost

__all__ = ["DiffusersHost", "Finding", "Report", "check"]
