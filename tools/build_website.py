"""Build the documentation's website, the API from docstrings and commands from their parser; check links.

    python tools/build_website.py [--out out/website]

Needs what `pip install "maskgrid[docs]"` brings. The site lies in OUT/public afterwards.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from maskgrid.cli.parser import make_parser
from website.check_links import find_lost
from website.command_pages import write_commands
from website.navigation import order_pages
from website.reference_pages import write_reference
from website.stage_pages import stage_pages

ROOT = Path(__file__).parent.parent
SETTINGS = Path(__file__).with_name("website") / "zensical.toml"


def gather(folder: Path) -> None:
    """Writes everything that Zensical reads: `folder`/pages and its settings with the navigation added."""
    pages = folder / "pages"
    stage_pages(ROOT, pages)
    write_reference(pages)
    (pages / "reference" / "commands.md").write_text(write_commands(make_parser()), encoding="utf-8")
    found = [path.relative_to(pages).as_posix() for path in pages.rglob("*.md")]
    # JSON's lists and strings are TOML's, its objects are not.
    groups = ", ".join(
        f"{{ {json.dumps(title)} = {json.dumps(inside)} }}"
        for group in order_pages(found)
        for title, inside in group.items()
    )
    settings = SETTINGS.read_text(encoding="utf-8").replace("ROOT", ROOT.as_posix())
    (folder / "zensical.toml").write_text(settings.replace("NAVIGATION", f"[{groups}]"), encoding="utf-8")


def build(folder: Path) -> Path:
    """Builds the site in `folder`, which is emptied before.

    Raises:
        SystemExit: Zensical found a fault, or a link of the built pages leads nowhere.
    """
    shutil.rmtree(folder, ignore_errors=True)
    gather(folder)
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"zensical failed:\n{done.stdout}{done.stderr}")
    address = tomllib.loads((folder / "zensical.toml").read_text(encoding="utf-8"))["project"]["site_url"]
    lost = find_lost(folder / "public", "/" + address.split("/", 3)[3])
    if lost:
        raise SystemExit(
            "\n".join(["links that lead nowhere:", *(f"  {page}: {link}" for page, link in lost)])
        )
    return folder / "public"


def main() -> None:
    """Builds, and says where it is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "website", help="(default: %(default)s)")
    public = build(parser.parse_args().out.resolve())
    print(f"{len(list(public.rglob('*.html')))} pages, every link of them checked: {public / 'index.html'}")


if __name__ == "__main__":
    main()
