"""The documentation's website: pages in their places, commands of the parser, links that lead somewhere."""

import argparse
import sys

import pytest
from code_blocks import ROOT

import maskgrid
from maskgrid.cli.parser import make_parser

sys.path.insert(0, str(ROOT / "tools"))

from website.check_links import find_lost
from website.command_pages import list_commands, write_commands
from website.navigation import REST, order_pages
from website.reference_pages import PAGES, shown_names
from website.stage_pages import page_places, rewrite_links, stage_pages

MAIN = "https://github.com/maskgrid/maskgrid/blob/main/"
RAW = "https://raw.githubusercontent.com/maskgrid/maskgrid/main/"


def test_every_page_of_the_documentation_is_in_the_navigation_once(tmp_path):
    pages = stage_pages(ROOT, tmp_path)
    shown = [page for group in order_pages(pages) for inside in group.values() for page in inside]
    assert sorted(shown) == sorted(pages)


def test_a_page_that_nobody_named_is_shown_among_the_guides():
    ordered = order_pages(["index.md", "python.md", "brand-new.md", "how-to/new.md"])
    assert ordered == [
        {"Start": ["index.md"]},
        {"How to": ["how-to/new.md"]},
        {REST: ["python.md", "brand-new.md"]},
    ]


@pytest.mark.parametrize(
    ("page", "link", "becomes"),
    [
        ("README.md", f"{MAIN}docs/jobs.md#the-table", "jobs.md#the-table"),
        ("README.md", f"{RAW}docs/images/modes.png", "images/modes.png"),
        ("docs/jobs.md", "scale.md", "scale.md"),
        ("CONTRIBUTING.md", "docs/comfyui.md", "comfyui.md"),
        ("docs/jobs.md", "README.md", "index.md"),
        ("docs/jobs.md", "../benches", "https://github.com/maskgrid/maskgrid/tree/main/benches"),
        ("docs/jobs.md", "https://example.org/x.md", "https://example.org/x.md"),
        ("docs/jobs.md", "#the-place", "#the-place"),
    ],
)
def test_links_lead_where_a_page_lies_in_the_site(page, link, becomes):
    places = page_places(ROOT) | {"docs/README.md": "index.md"}
    assert rewrite_links(f"see [it]({link}).", page, ROOT, places) == f"see [it]({becomes})."


def test_code_keeps_its_brackets():
    code = "```python\npick[0](docs/jobs.md)\n```\n"
    assert rewrite_links(code, "README.md", ROOT, page_places(ROOT)) == code


def test_every_option_of_every_command_is_on_the_page():
    page = write_commands(make_parser())
    commands = list_commands(make_parser())
    missing = [
        f"{name} {option}"
        for name, command in commands.items()
        for action in command._actions
        if action.help != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction)
        for option in action.option_strings
        if f"`{option}`" not in page.partition(f"## maskgrid {name}\n")[2].partition("\n## ")[0]
    ]
    assert {"sample", "batch", "demo", "mask", "merge", "plan"} <= set(commands)
    assert missing == []


def test_every_public_name_is_in_the_reference():
    shown = {name.rpartition(".")[2] for page in PAGES for name in shown_names(page)}
    modules = {"canvas", "masks", "__version__"}
    assert set(maskgrid.__all__) - modules - shown - {"check"} == set()
    assert "check" in shown


def test_links_that_lead_nowhere_are_found(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "index.html").write_text(
        '<h1 id="top">a</h1><img src="../p.png"><a href="/site/">home</a>'
    )
    (tmp_path / "index.html").write_text(
        '<a href="a/#top">ok</a><a href="a/#gone">x</a><a href="b/">y</a><a href="https://x.org/z">out</a>'
    )
    assert find_lost(tmp_path, "/site/") == [
        ("a/index.html", "../p.png"),
        ("index.html", "a/#gone"),
        ("index.html", "b/"),
    ]
