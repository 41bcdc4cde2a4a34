"""What has to be true of the nodes inside ComfyUI, one function for each thing."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from comfyui.events import Events
from comfyui.parity import FORK, LIMIT, SAMPLE
from comfyui.server import RefusedError
from comfyui.workflows import OLD_SAMPLER, Workflow, controls, sheet_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from comfyui.server import Server

__all__ = ["OLD_SCENARIOS", "SCENARIOS"]


def old_id_runs_with_and_without_meta(server: Server) -> None:
    """An old prompt runs as it is, and gives what the new node gives."""
    for mode in (FORK, SAMPLE):
        new = _sample(server, mode=mode, compat=True)
        for meta in (True, False):
            flow = Workflow(meta=meta)
            flow.save("old", flow.add(OLD_SAMPLER, **sheet_of(flow), **controls(), mode=mode))
            server.run(flow.prompt)
            _same(server.saved("old")["tensor"], new["tensor"], f"{mode}, _meta {meta}")


def old_ids_are_deprecated_and_have_a_new_node(server: Server) -> None:
    """The page marks them, and knows what to put in their place."""
    known, offered = server.get("/object_info"), server.get("/node_replacements")
    old = [OLD_SAMPLER, "Repeat Into Grid (latent)", "Repeat Into Grid (image)", "UnGridify (image)"]
    for name in [*old, "Merge Latent Batch Gridwise", "FlatLatentsIntoSingleGrid"]:
        _check(known[name]["deprecated"], f"{name} is not marked as deprecated")
        _check(name in offered, f"{name} has no replacement")
        _check(offered[name][0]["new_node_id"] in known, f"the replacement of {name} does not exist")
    order = [*known["KSamplerAdvanced"]["input"]["required"], "mask", "rows", "columns", "mode"]
    for name in (OLD_SAMPLER, "MaskGridSampler"):
        found = list(known[name]["input"]["required"])
        _check(found == order, f"{name} has inputs {found}")


def outputs_are_forks_and_merged(server: Server) -> None:
    """The merged sheet has every new cell, and other keys of the latent stay."""
    flow = Workflow()
    inputs = sheet_of(flow, rows=2, columns=2)
    node = flow.add("MaskGridSampler", **inputs, **controls(), mode=FORK)
    flow.save("forks", node, 0)
    flow.save("merged", node, 1)
    flow.save("sheet", inputs["latent_image"][0], 3)
    server.run(flow.prompt)
    forks, merged, sheet = (server.saved(name) for name in ("forks", "merged", "sheet"))
    changed = forks["tensor"] != sheet["tensor"]
    _check(bool((changed.sum(0) <= 1).all()), "forks share changed places")
    expected = np.where(changed.any(0), (forks["tensor"] * changed).sum(0), sheet["tensor"][0])
    _same(merged["tensor"][0], expected, "merged")
    _check("kept" in str(forks["keys"]) and "maskgrid_forks" not in str(forks["keys"]), str(forks["keys"]))


def custom_sampler_equals_sampler(server: Server) -> None:
    """The same noise, guider, sampler and noise levels give the same bits."""
    expected = _sample(server, mode=FORK, fork_at=3, sampler_name="dpmpp_2m_sde")
    flow = Workflow()
    inputs = sheet_of(flow)
    objects = {
        "noise": (flow.add("RandomNoise", noise_seed=5), 0),
        "guider": (_guider(flow, inputs), 0),
        "sampler": (flow.add("KSamplerSelect", sampler_name="dpmpp_2m_sde"), 0),
        "sigmas": (_sigmas(flow, inputs), 0),
    }
    rest = {name: inputs[name] for name in ("latent_image", "mask", "rows", "columns")}
    flow.save("custom", flow.add("MaskGridSamplerCustom", **objects, **rest, mode=FORK, fork_at=3))
    server.run(flow.prompt)
    _same(server.saved("custom")["tensor"], expected["tensor"], "custom")


def any_guider_and_sampler(server: Server) -> None:
    """Guiders of other kinds, and SAMPLER objects with settings of their own, as run serially."""
    samplers: dict[str, dict[str, Any]] = {
        "SamplerEulerAncestral": {"eta": 0.7, "s_noise": 1.1},
        "SamplerDPMPP_2M_SDE": {"solver_type": "heun", "eta": 0.8, "s_noise": 1.0, "noise_device": "cpu"},
        "SamplerEulerCFGpp": {"version": "alternative"},
        "SamplerLMS": {"order": 3},
    }
    for kind in ("CFGGuider", "BasicGuider", "DualCFGGuider"):
        for name, settings in samplers.items():
            flow = Workflow()
            inputs = sheet_of(flow)
            objects = {
                "noise": (flow.add("RandomNoise", noise_seed=5), 0),
                "guider": (_guider(flow, inputs, kind), 0),
                "sampler": (flow.add(name, **settings), 0),
                "sigmas": (_sigmas(flow, inputs), 0),
            }
            rest = {field: inputs[field] for field in ("latent_image", "mask", "rows", "columns")}
            for number, options in enumerate(({}, {"fork_at": 2}, {"fork_at": 2, "micro_batch": 1})):
                node = flow.add("MaskGridSamplerCustom", **objects, **rest, mode=FORK, **options)
                flow.save(f"ours {number}", node)
            flow.save("theirs", flow.add("MaskGridTestSerialCustom", **objects, **rest, stride=8))
            flow.save("masks", flow.add("MaskGridTestMasks", **rest, stride=8))
            server.run(flow.prompt)
            found = [server.saved(f"ours {number}")["tensor"] for number in range(3)]
            # Outside, the cfg++ kind leaves what the network says there in the original's.
            inside = server.saved("masks")["tensor"] > 0
            _near(found[0][inside], server.saved("theirs")["tensor"][inside], f"{kind}, {name}")
            _near(found[2], found[1], f"{kind}, {name}, fork_at 2, one at a time")


def controlnets_and_areas(server: Server) -> None:
    """As run serially, with one hint and with a batch of them, of which a single run sees the first."""
    for hints, batch in ((1, 1), (3, 1), (3, 2)):
        flow = Workflow()
        inputs = sheet_of(flow, batch=batch)
        net = flow.add("MaskGridTestControl", hints=hints, height=64, width=192)
        more = {"control_net": (net, 0), "image": (net, 1), "strength": 0.8}
        conds = {name: inputs[name] for name in ("positive", "negative")}
        both = flow.add("ControlNetApplyAdvanced", **conds, **more, start_percent=0.0, end_percent=0.7)
        area = {"width": 0.5, "height": 1.0, "x": 0.25, "y": 0.0, "strength": 1.0}
        part = flow.add("ConditioningSetAreaPercentage", conditioning=(both, 1), **area)
        mixed = flow.add("ConditioningCombine", conditioning_1=(both, 0), conditioning_2=(part, 0))
        inputs |= {"positive": (mixed, 0), "negative": (both, 1)}
        for number, options in enumerate(({}, {"fork_at": 2}, {"fork_at": 2, "micro_batch": 1})):
            flow.save(
                f"ours {number}", flow.add("MaskGridSampler", **inputs, **controls(), mode=FORK, **options)
            )
        serial = flow.add("MaskGridTestSerial", **inputs, **controls(), stride=8, denoise=1.0)
        flow.save("theirs", serial)
        server.run(flow.prompt)
        found = [server.saved(f"ours {number}")["tensor"] for number in range(3)]
        _near(found[0], server.saved("theirs")["tensor"], f"{hints} hints, batch {batch}")
        _near(found[2], found[1], f"{hints} hints, batch {batch}, fork_at 2, one at a time")


def sample_then_fork_is_fork_at_the_end(server: Server) -> None:
    """Both are one run, bit for bit; inside and outside of each cell."""
    for name in ("euler", "heun", "dpmpp_2m_sde", "uni_pc", "ddim"):
        together = _sample(server, mode=SAMPLE, sampler_name=name)["tensor"]
        _same(_sample(server, mode=FORK, fork_at=6, sampler_name=name)["tensor"], together, name)


def progress_counts_all_and_previews_show_all_cells(server: Server) -> None:
    """Progress goes once from 0 to forks * steps, and what was finished stays in the preview."""
    flow = Workflow()
    inputs = sheet_of(flow, kind="eps", run=_next_run())
    node = flow.add("MaskGridSampler", **inputs, **controls(), mode=FORK, micro_batch=1)
    flow.save("never", node)
    with Events(server.port, "watching") as events:
        server.queue(flow.prompt, "watching")
        progress, previews = events.until_done()
    _check(progress == [(step, 18) for step in range(1, 19)], str(progress))
    _check(len(previews) == 18, f"{len(previews)} previews")
    with Image.open(io.BytesIO(previews[5])) as early, Image.open(io.BytesIO(previews[-1])) as late:
        _check(abs(early.width - 3 * early.height) <= 3, f"a preview of {early.width} x {early.height}")
        first, last = (np.asarray(picture.convert("RGB"), float) for picture in (early, late))
    cell = first.shape[0]
    kept, drawn = (np.abs(first - last)[:, place].mean() for place in (np.s_[: cell - 2], np.s_[2 * cell :]))
    _check(kept < 0.2 * drawn, f"cell 0 changed by {kept:.2f}, cell 2 by {drawn:.2f}")


def second_stage_goes_on(server: Server) -> None:
    """Two samplers, the first with leftover noise, give what one gives; the clean sheet stays outside."""
    kinds = [("eps", "euler", 1), ("eps", "euler", 2), ("eps", "heun", 1), ("v", "dpm_2", 2)]
    kinds += [("flow", "heun", 2), ("inpaint", "euler", 2), ("video", "heun", 2)]
    for kind, name, batch in kinds:
        for first, options in ((FORK, {"mode": FORK}), (SAMPLE, {"mode": FORK, "fork_at": 3})):
            one = _sample(server, sheet={"kind": kind, "batch": batch}, sampler_name=name, **options)
            flow = Workflow()
            inputs = sheet_of(flow, kind=kind, batch=batch)
            begun = controls(end_at_step=3, return_with_leftover_noise="enable", sampler_name=name)
            stage = flow.add("MaskGridSampler", **inputs, **begun, mode=first)
            inputs["latent_image"] = (stage, 0)
            rest = controls(add_noise="disable", start_at_step=3, noise_seed=1, sampler_name=name)
            flow.save("two", flow.add("MaskGridSampler", **inputs, **rest, mode=FORK))
            server.run(flow.prompt)
            _near(server.saved("two")["tensor"], one["tensor"], f"{kind}, {name}, {first}, batch {batch}")


def network_rows_are_counted(server: Server) -> None:
    """N * S rows one after the other; k + N * (S - k) here, whatever the micro-batch."""
    steps, count = 6, 3
    for fork_at in (0, 2, 6):
        for micro in (0, 1, 2):
            found = _sample(server, mode=FORK, fork_at=fork_at, micro_batch=micro, cfg=1.0)["rows"]
            expected = fork_at + count * (steps - fork_at)
            _check(found == expected, f"fork_at {fork_at}, micro_batch {micro}: {found} rows, not {expected}")


def micro_batches_change_nothing(server: Server) -> None:
    """One fork at a time gives what all at once give, with samplers that draw noise too."""
    for name in ("euler", "dpmpp_sde", "euler_ancestral_cfg_pp", "heunpp2", "ddim", "seeds_3"):
        for fork_at in (-1, 2):
            options = {"mode": FORK, "fork_at": fork_at, "sampler_name": name, "sheet": {"batch": 2}}
            whole, single = _sample(server, **options), _sample(server, **options, micro_batch=1)
            _near(single["tensor"], whole["tensor"], f"{name}, fork_at {fork_at}")


def out_of_memory_halves_the_micro_batch(server: Server) -> None:
    """Forks that were finished stay, and the result is the same."""
    sheet = {"rows": 2, "columns": 3}
    whole = _sample(server, mode=FORK, cfg=1.0, sheet=sheet)
    tight = _sample(server, mode=FORK, cfg=1.0, sheet={**sheet, "fail_above": 2})
    _near(tight["tensor"], whole["tensor"], "tight")
    _check("forks did not fit into memory" in server.log(), "the log says nothing")


def interrupt_stops_within_a_step(server: Server) -> None:
    """Cancel acts at once, and the next prompt runs."""
    flow = Workflow()
    node = flow.add(
        "MaskGridSampler", **sheet_of(flow), **controls(steps=5000, sampler_name="heun"), mode=FORK
    )
    flow.save("never", node)
    number = server.queue(flow.prompt)
    time.sleep(2)
    server.post("/interrupt", {})
    begun = time.monotonic()
    try:
        server.wait(number)
    except RefusedError as refusal:
        _check(str(refusal) == "interrupted", str(refusal))
    else:
        raise AssertionError("it went on")
    _check(time.monotonic() - begun < 5, "it took longer than 5 s")
    _sample(server, mode=FORK)


def bad_input_is_refused_in_words(server: Server) -> None:
    """Every refusal says what is allowed."""
    cases: list[dict[str, Any]] = [
        {"sheet": {"columns": 3}, "columns": 4},
        {"cells": "9"},
        {"cells": "0, 0"},
        {"cells": "first"},
        {"seed_mode": "list", "seeds": "1 2"},
        {"seed_mode": "increment", "mode": SAMPLE},
        {"prompt_per_fork": True, "mode": SAMPLE},
        {"prompt_per_fork": True, "sheet": {"prompts": 2}},
    ]
    for case in cases:
        try:
            _sample(server, **{"mode": FORK, **case})
        except RefusedError as refusal:
            _check("allowed: " in str(refusal), f"{case}: {refusal}")
        else:
            raise AssertionError(f"{case} was taken")


def nested_latents_are_refused_in_words(server: Server) -> None:
    """Video with sound has several latents in one."""
    flow = Workflow()
    inputs = sheet_of(flow, kind="video")
    nested = flow.add(
        "LTXVConcatAVLatent", video_latent=inputs["latent_image"], audio_latent=inputs["latent_image"]
    )
    inputs["latent_image"] = (nested, 0)
    flow.save("never", flow.add("MaskGridSampler", **inputs, **controls(), mode=FORK))
    try:
        server.run(flow.prompt)
    except RefusedError as refusal:
        _check("nested" in str(refusal), str(refusal))
    else:
        raise AssertionError("a nested latent was taken")


def global_generators_stay(server: Server) -> None:
    """A run leaves torch's generator as it was."""
    flow = Workflow()
    flow.save("before", sheet_of(flow, run=1)["latent_image"][0], 3)
    server.run(flow.prompt)
    after = _sample(server, mode=FORK, sampler_name="ddim", noise_seed=77)
    _check(server.saved("before")["state"] == after["state"], "the generator moved")


def seeds_of_forks_are_those_of_single_runs(server: Server) -> None:
    """Fork i with seed + i is the fork of a run with that seed, noise at the steps included."""
    for name in ("euler", "dpmpp_2m_sde", "euler_ancestral"):
        both = _sample(server, mode=FORK, seed_mode="increment", sampler_name=name)["tensor"]
        listed = _sample(server, mode=FORK, seed_mode="list", seeds="5, 6, 7", sampler_name=name)["tensor"]
        _same(listed, both, f"{name}, list")
        for number in range(3):
            alone = _sample(server, mode=FORK, cells=str(number), noise_seed=5 + number, sampler_name=name)
            _near(both[number], alone["tensor"][0], f"{name}, fork {number}")


def prompts_of_forks_only_when_asked(server: Server) -> None:
    """A batched conditioning counts by its first row; with prompt_per_fork by row i for fork i."""
    first = _sample(server, mode=FORK)["tensor"]
    several = _sample(server, mode=FORK, sheet={"prompts": 3})["tensor"]
    _near(several, first, "three prompts, not asked for")
    each = _sample(server, mode=FORK, sheet={"prompts": 3}, prompt_per_fork=True)["tensor"]
    single = _sample(server, mode=FORK, sheet={"prompts": 3}, prompt_per_fork=True, micro_batch=1)["tensor"]
    _near(each[0], first[0], "fork 0")
    _near(single, each, "one at a time")
    _check(bool(np.abs(each[1] - first[1]).max() > 1e-3), "fork 1 has the first prompt")


def differential_blend_is_comfyuis(server: Server) -> None:
    """The same as ComfyUI's Differential Diffusion."""
    options = {"mode": FORK, "sheet": {"mask": "soft"}}
    ours = _sample(server, **options, blend="differential")["tensor"]
    flow = Workflow()
    inputs = sheet_of(flow, mask="soft")
    inputs["model"] = (flow.add("DifferentialDiffusion", model=inputs["model"]), 0)
    flow.save("theirs", flow.add("MaskGridSampler", **inputs, **controls(), mode=FORK))
    server.run(flow.prompt)
    _same(ours, server.saved("theirs")["tensor"], "differential")


def empty_and_thin_stencils(server: Server) -> None:
    """A stencil with nothing in it leaves the sheet; max keeps a line that center loses."""
    flow = Workflow()
    flow.save("sheet", sheet_of(flow)["latent_image"][0], 3)
    server.run(flow.prompt)
    sheet = server.saved("sheet")["tensor"].repeat(3, 0)
    for options in ({"sheet": {"mask": "empty"}}, {"start_at_step": 100}, {"end_at_step": 0}):
        _same(_sample(server, mode=FORK, **options)["tensor"], sheet, str(options))
    thin = {"mask": "thin"}
    kept = _sample(server, mode=FORK, sheet=thin, coverage="max")["tensor"]
    _check(bool((kept != sheet).any()), "max loses the line")


def cells_nodes_work(server: Server) -> None:
    """Sheets are tiled, cut without loss, merged by picks, and laid side by side."""
    flow = Workflow()
    picture = flow.add("MaskGridTestMask", kind="soft", height=40, width=50)
    tiled = flow.add("MaskGridRepeatImage", image=(picture, 0), rows=2, columns=3)
    flow.save("tiled", tiled, image=True)
    flow.save("cells", flow.add("MaskGridSplitGrid", image=(tiled, 0), rows=2, columns=3), image=True)
    pieces = flow.add("UnGridify (image)", image=(tiled, 0), rows=3, columns=4)
    flow.save("piece", pieces, image=True)
    other = flow.add("ImageInvert", image=(tiled, 0))
    both = flow.add("ImageBatch", image1=(tiled, 0), image2=(other, 0))
    merged = flow.add("MaskGridMergeForksImage", forks=(both, 0), rows=2, columns=3, picks="0 1 - 0 1 0")
    flow.save("merged", merged, image=True)
    sheet = sheet_of(flow, batch=5)
    flow.save("joined", flow.add("FlatLatentsIntoSingleGrid", latents=sheet["latent_image"]))
    flow.save(
        "latent", flow.add("Repeat Into Grid (latent)", samples=sheet["latent_image"], rows=2, columns=2)
    )
    server.run(flow.prompt)
    shapes = {name: server.saved(name)["tensor"].shape for name in ("tiled", "cells", "joined", "latent")}
    _check(shapes["cells"] == (6, 40, 50, 3), str(shapes))
    _check(shapes["joined"] == (1, 4, 16, 72) and shapes["latent"] == (5, 4, 16, 48), str(shapes))
    merged, tiled = server.saved("merged")["tensor"], server.saved("tiled")["tensor"]
    _same(merged[:, :40, 50:100], 1 - tiled[:, :40, 50:100], "cell 1")
    _same(merged[:, :40, 100:], tiled[:, :40, 100:], "cell 2")


def picture_nodes_work(server: Server) -> None:
    """Pasted forks keep the sheet's pixels; the pictures are drawn."""
    flow = Workflow()
    cell = flow.add("MaskGridTestMask", kind="soft", height=64, width=64)
    sheet = flow.add("MaskGridRepeatImage", image=(cell, 0), rows=1, columns=3)
    decoded = flow.add("ImageInvert", image=(sheet, 0))
    forks = flow.add("RepeatImageBatch", image=(decoded, 0), amount=3)
    mask = flow.add("MaskGridTestMask", kind="hard", height=64, width=64)
    stencil = flow.add(
        "MaskGridPrepareStencil",
        mask=(mask, 0),
        threshold=0.5,
        invert=False,
        fill_holes=True,
        grow=2.0,
        shrink=0.0,
        feather=0.0,
    )
    pasted = flow.add(
        "MaskGridPasteForks", forks=(forks, 0), sheet=(sheet, 0), mask=(stencil, 1), rows=1, columns=3
    )
    for name, node, output in (("sheet", sheet, 0), ("pasted", pasted, 0), ("merged", pasted, 1)):
        flow.save(name, node, output, image=True)
    flow.save("stencil", stencil, image=True)
    preview = flow.add(
        "MaskGridPreview", sheet=(sheet, 0), mask=(stencil, 0), rows=1, columns=3, coverage="center", stride=8
    )
    contact = flow.add(
        "MaskGridContactSheet", before=(sheet, 0), after=(pasted, 1), rows=1, columns=3, mask=(stencil, 1)
    )
    flow.save("preview", preview, image=True)
    flow.save("contact", contact, image=True)
    server.run(flow.prompt)
    names = ("sheet", "pasted", "merged", "stencil")
    sheet, pasted, merged, stencil = (server.saved(name)["tensor"] for name in names)
    inside = np.zeros(sheet.shape[1:], bool)
    inside[:, 64:128] = stencil[0] > 0
    _same(pasted[1], np.where(inside, 1 - sheet[0], sheet[0]), "fork 1")
    _same(merged[0], np.where(np.tile(stencil[0] > 0, (1, 3, 1)), 1 - sheet[0], sheet[0]), "merged")


def _sample(server: Server, *, sheet: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """Run MaskGrid Sampler on a tiny model; what was saved, with the network rows it took."""
    flow = Workflow()
    inputs = sheet_of(flow, **(sheet or {}), run=_next_run())
    chosen = controls(**{name: options.pop(name) for name in list(options) if name in controls()})
    node = flow.add("MaskGridSampler", **{**inputs, **chosen, **options})
    flow.save("result", node, model=inputs["model"])
    server.run(flow.prompt)
    return server.saved("result")


_runs = iter(range(10, 10**6))


def _next_run() -> int:
    """A number that makes ComfyUI make the model anew, so that its rows are counted from 0."""
    return next(_runs)


def _guider(flow: Workflow, inputs: dict[str, Any], kind: str = "CFGGuider") -> str:
    model, positive, negative = (inputs[name] for name in ("model", "positive", "negative"))
    if kind == "BasicGuider":
        return flow.add(kind, model=model, conditioning=positive)
    if kind == "CFGGuider":
        return flow.add(kind, model=model, positive=positive, negative=negative, cfg=controls()["cfg"])
    scales = {"cfg_conds": 3.0, "cfg_cond2_negative": 2.0, "style": "regular"}
    return flow.add(kind, model=model, cond1=positive, cond2=negative, negative=negative, **scales)


def _sigmas(flow: Workflow, inputs: dict[str, Any]) -> str:
    chosen = controls()
    given = {name: chosen[name] for name in ("scheduler", "steps")}
    return flow.add("BasicScheduler", model=inputs["model"], **given, denoise=1.0)


def _check(truth: Any, message: str) -> None:
    if not truth:
        raise AssertionError(message)


def _same(found: Any, expected: Any, what: str) -> None:
    apart = int((found != expected).sum()) if found.shape == expected.shape else -1
    _check(apart == 0, f"{what}: {apart} numbers differ, shapes {found.shape} and {expected.shape}")


def _near(found: Any, expected: Any, what: str) -> None:
    _check(found.shape == expected.shape, f"{what}: shapes {found.shape} and {expected.shape}")
    share = float(np.abs(found - expected).max() / np.abs(expected).max())
    _check(share < LIMIT, f"{what}: off by {share:.1e}")


SCENARIOS: tuple[Callable[[Server], None], ...] = (
    outputs_are_forks_and_merged,
    custom_sampler_equals_sampler,
    any_guider_and_sampler,
    controlnets_and_areas,
    sample_then_fork_is_fork_at_the_end,
    progress_counts_all_and_previews_show_all_cells,
    second_stage_goes_on,
    network_rows_are_counted,
    micro_batches_change_nothing,
    out_of_memory_halves_the_micro_batch,
    interrupt_stops_within_a_step,
    bad_input_is_refused_in_words,
    nested_latents_are_refused_in_words,
    global_generators_stay,
    seeds_of_forks_are_those_of_single_runs,
    prompts_of_forks_only_when_asked,
    differential_blend_is_comfyuis,
    empty_and_thin_stencils,
    picture_nodes_work,
)

OLD_SCENARIOS: tuple[Callable[[Server], None], ...] = (
    old_id_runs_with_and_without_meta,
    old_ids_are_deprecated_and_have_a_new_node,
    cells_nodes_work,
)
"""Where the original pack is not installed: they use the old ids."""
