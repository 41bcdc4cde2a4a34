"""`maskgrid check`: can a model be trusted with the job?"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from maskgrid.cli.run_and_save import load
from maskgrid.cli.tell import give_result

if TYPE_CHECKING:
    import argparse

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Run the self-test of the host and print what it says; 1 where the model can't be trusted."""
    maker = load(options, options.model)
    from maskgrid.hosts.diffusers import check

    report = check(maker.host.pipe)
    findings = [asdict(finding) for finding in report.findings]
    give_result(options, str(report), pipeline=report.pipeline, trusted=report.trusted, findings=findings)
    return 0 if report.trusted else 1
