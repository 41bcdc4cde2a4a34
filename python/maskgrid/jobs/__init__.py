"""Many sheets: every row of a table is done exactly once, in one process or on Ray, whatever dies meanwhile.

run_batch       every row of a table, into a place; a second run does what is missing
batch_status    what of a place is done, failed and left
RayOptions      where and with how many workers Ray runs it
"""

from maskgrid.jobs.run_batch import BatchResult, run_batch
from maskgrid.jobs.run_on_ray import RayOptions
from maskgrid.jobs.status import BatchStatus, batch_status
from maskgrid.jobs.tally import BatchProgress

__all__ = ["BatchProgress", "BatchResult", "BatchStatus", "RayOptions", "batch_status", "run_batch"]
