"""The main job with a real, tiny pipeline: pixels, prompts, odd sizes, partial results."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image

import maskgrid
from maskgrid.errors import CancelledError, InvalidTypeError, InvalidValueError, MaskGridError, RunInterrupted
from maskgrid.hosts.diffusers import pipeline_host
from maskgrid.mask_grid import MaskGrid, repeat

STEPS = {"steps": 2, "seed": 3}


def run(maker, sheet, stencil, **options):
    options = {"rows": 2, "columns": 3, "prompt": "a sad face", "mode": "fork", **STEPS, **options}
    return maker(image=sheet, mask=stencil, **options)


def array(image) -> np.ndarray:
    return np.asarray(image)


def assert_only_stencils_changed(forks, sheet, stencil):
    inside = np.asarray(stencil) > 0
    for index, cell in enumerate(forks.cells):
        rows, columns = forks.grid.cell_rect(cell).slices
        outside = np.ones(sheet.shape[:2], bool)
        outside[rows, columns] = ~inside
        picture = forks.array(index)
        assert np.array_equal(picture[outside], sheet[outside])
        assert not np.array_equal(picture, sheet)


@pytest.mark.parametrize("options", [{"mode": "fork"}, {"mode": "sample"}, {"fork_at": 1}])
def test_outside_the_stencil_every_pixel_is_the_input(maker, sheet, stencil, options):
    forks = run(maker, sheet, stencil, **options)
    assert forks.cells == (0, 1, 2, 3, 4, 5)
    assert_only_stencils_changed(forks, sheet, stencil)


def test_it_takes_paths_pil_images_and_tensors(maker, sheet, stencil, tmp_path):
    Image.fromarray(sheet).save(tmp_path / "sheet.png")
    Image.fromarray(stencil).save(tmp_path / "stencil.png")
    expected = run(maker, sheet, stencil).patches
    tensor = torch.from_numpy(sheet).permute(2, 0, 1)[None]
    for image, mask in (
        (tmp_path / "sheet.png", str(tmp_path / "stencil.png")),
        (Image.fromarray(sheet), Image.fromarray(stencil)),
        (tensor, torch.from_numpy(stencil)),
        (tensor.float() / 255, torch.from_numpy(stencil).bool()),
    ):
        assert np.array_equal(run(maker, image, mask).patches, expected)


def test_an_alpha_channel_is_kept(maker, sheet, stencil):
    alpha = np.random.default_rng(3).integers(1, 256, sheet.shape[:2], dtype=np.uint8)
    forks = run(maker, np.dstack([sheet, alpha]), stencil)
    assert np.array_equal(forks.array(4)[..., 3], alpha)
    assert np.array_equal(forks.array(4)[..., :3], run(maker, sheet, stencil).array(4))


def test_sizes_that_the_stride_does_not_divide_gaps_and_margins(maker, stencil):
    image = np.random.default_rng(4).integers(0, 256, (45, 63, 3), dtype=np.uint8)
    mask = np.zeros((17, 17), np.uint8)
    mask[1:, 1:] = 255
    forks = run(maker, image, mask, rows=2, columns=3, gap=(5, 3), margin=3, feather=1)
    assert tuple(forks.grid.canvas) == (45, 63)
    assert_only_stencils_changed(forks, image, mask)


def test_a_mask_of_the_whole_sheet_forks_only_cells_it_touches(maker, sheet, stencil):
    mask = np.zeros(sheet.shape[:2], np.uint8)
    mask[:16, 16:32], mask[16:, :16] = stencil, stencil
    forks = run(maker, sheet, mask)
    assert forks.cells == (1, 3)
    assert_only_stencils_changed(forks, sheet, stencil)
    assert np.array_equal(run(maker, sheet, mask[None]).patches, forks.patches)


def test_prompts_as_list_and_table_reach_their_cells(maker, sheet, stencil):
    texts = ["a", "bb", "ccc", "dddd", "e f", "g h i"]
    forks = run(maker, sheet, stencil, prompt=texts)
    table = run(maker, sheet, stencil, prompt=[texts[:3], texts[3:]], negative_prompt="")
    assert np.array_equal(forks.patches, table.patches)
    for cell in (0, 5):
        alone = run(maker, sheet, stencil, prompt=texts[cell])
        difference = np.abs(alone.patches[cell].astype(int) - forks.patches[cell])
        assert difference.max() <= 1
    other = run(maker, sheet, stencil, prompt=texts[::-1], negative_prompt="no")
    assert not np.array_equal(other.patches, forks.patches)
    assert len(run(maker, sheet, stencil, prompt=texts, mode="sample")) == 6


def test_seeds_are_a_list_or_a_table_of_the_cells(maker, sheet, stencil):
    seeds = [3, 1, 4, 1, 5, 9]
    forks = run(maker, sheet, stencil, fork_seeds=seeds)
    table = run(maker, sheet, stencil, fork_seeds=np.array(seeds).reshape(2, 3))
    assert np.array_equal(forks.patches, table.patches)
    alone = run(maker, sheet, stencil, seed=4)
    assert np.abs(alone.patches[2].astype(int) - forks.patches[2]).max() <= 1
    assert not np.array_equal(alone.patches[0], forks.patches[0])
    with pytest.raises(InvalidValueError, match="fork_seeds has 2 items; allowed: one for all, or 6 items"):
        run(maker, sheet, stencil, fork_seeds=[1, 2])


def test_settings_have_the_defaults_too(maker, sheet, stencil):
    settings = run(maker, sheet, stencil).settings
    assert (settings["sampler"], settings["schedule"], settings["denoise"]) == ("euler", "normal", 1)
    assert (settings["mode"], settings["seed"]) == ("fork", 3)
    assert "noise" not in settings


def test_prompts_follow_the_cells_that_are_forked(maker, sheet, stencil):
    mask = np.zeros(sheet.shape[:2], np.uint8)
    mask[16:, 32:] = stencil
    texts = ["a"] * 5 + ["zzz zz"]
    forks = run(maker, sheet, mask, prompt=texts)
    assert np.array_equal(forks.patches, run(maker, sheet, mask, prompt="zzz zz").patches)
    assert not np.array_equal(forks.patches, run(maker, sheet, mask, prompt="a").patches)


def test_micro_batches_give_the_same_pictures(maker, sheet, stencil):
    whole, parts = run(maker, sheet, stencil), run(maker, sheet, stencil, micro_batch=4)
    assert np.abs(whole.patches.astype(int) - parts.patches).max() <= 1


def test_the_pipeline_is_left_as_it_was(maker, pipe, sheet, stencil):
    before = pipe.scheduler
    run(maker, sheet, stencil)
    assert pipe.scheduler is before


def test_networks_are_taken_off_the_device_after_the_last_picture(pipe, sheet, stencil):
    class Counting(type(pipe)):
        freed = 0

        def maybe_free_model_hooks(self) -> None:
            type(self).freed += 1
            super().maybe_free_model_hooks()

    own = Counting(**pipe.components, requires_safety_checker=False)
    own.set_progress_bar_config(disable=True)
    assert len(run(MaskGrid(own), sheet, stencil)) == 6
    # Once by the pipeline itself, once after its VAE was used again.
    assert Counting.freed == 2


def test_cancelling_carries_the_finished_forks(maker, sheet, stencil):
    with pytest.raises(CancelledError) as caught:
        run(maker, sheet, stencil, micro_batch=2, callback=lambda progress: progress.forks[0] < 2)
    finished = caught.value.result
    assert isinstance(finished, maskgrid.Forks)
    assert finished.cells == (0, 1)
    assert np.array_equal(finished.patches, run(maker, sheet, stencil, micro_batch=2).patches[:2])


def test_ctrl_c_carries_the_finished_forks(maker, sheet, stencil):
    def interrupt(progress):
        if progress.forks[0] == 4:
            raise KeyboardInterrupt

    with pytest.raises(RunInterrupted) as caught:
        run(maker, sheet, stencil, micro_batch=2, callback=interrupt)
    assert caught.value.result.cells == (0, 1, 2, 3)


def test_ctrl_c_while_decoding_carries_the_decoded_forks(maker, sheet, stencil, monkeypatch):
    decode, calls = maker.host.decode, []

    def interrupted(latents):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return decode(latents)

    monkeypatch.setattr(maker.host, "decode", interrupted)
    with pytest.raises(RunInterrupted) as caught:
        run(maker, sheet, stencil)
    assert caught.value.result.cells == (0, 1, 2)
    assert len(caught.value.result.latents) == 3


def test_a_preview_is_the_sheet_as_it_is_by_now(maker, sheet, stencil):
    previews = []
    run(maker, sheet, stencil, callback=lambda p: previews.append(maker.preview(p, (30, 48))))
    assert [preview.size for preview in previews] == [(48, 30)] * 2


def test_whoever_wants_to_is_told_of_each_picture(maker, sheet, stencil):
    told = []
    forks = run(maker, sheet, stencil, decode_callback=lambda done, count: told.append((done, count)))
    assert told == [(n + 1, 6) for n in range(6)]
    assert "decode_callback" not in str(forks.settings)


def test_a_folder_has_all_that_makes_the_same_pictures_again(maker, sheet, stencil, tmp_path):
    options = {"fork_at": 1, "sampler": "dpmpp_2m", "fork_seeds": [5, 6, 7, 8, 9, 10], "feather": 3}
    for name, mask in (
        ("cell", stencil),
        ("soft", stencil.astype(np.float32) / 300),
        ("cells", np.stack([stencil] * 6)),
    ):
        forks = run(maker, sheet, mask, **options)
        forks.save(tmp_path / name)
        again = maker.again(tmp_path / name)
        assert np.array_equal(again.patches, forks.patches)
        assert again.settings == forks.settings
    changed = maker.again(tmp_path / "cell" / "manifest.json", fork_at=2)
    assert changed.settings["fork_at"] == 2


def test_repeating_says_what_is_missing(maker, sheet, stencil, tmp_path):
    run(maker, sheet, stencil, noise=torch.zeros(1, 4, 16, 24)).save(tmp_path / "out")
    with pytest.raises(MaskGridError, match="can't hold noise"):
        maker.again(tmp_path / "out")
    assert len(maker.again(tmp_path / "out", noise=torch.zeros(1, 4, 16, 24))) == 6
    run(maker, sheet, stencil).save(tmp_path / "nameless")
    with pytest.raises(MaskGridError, match="names no model"):
        repeat(tmp_path / "nameless")


def test_a_run_with_a_model_by_name_is_repeated_from_its_folder_alone(model_folder, sheet, stencil, tmp_path):
    forks = run(MaskGrid.load(str(model_folder), device="cpu"), sheet, stencil)
    forks.save(tmp_path / "out")
    again = repeat(tmp_path / "out")
    assert np.array_equal(again.patches, forks.patches)
    assert again.settings["pipeline"] == {"model": str(model_folder), "device": "cpu", "dtype": None}


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"prompt": ["a", "b"]}, InvalidValueError, "2 items"),
        ({"prompt": [["a", "b"], ["c", "d"]]}, InvalidValueError, "table"),
        ({"prompt": 7}, InvalidTypeError, "int"),
        ({"sampler": "oiler"}, InvalidValueError, "euler"),
        ({"nonsense": 1}, InvalidTypeError, "nonsense"),
        ({"feather": -1}, InvalidValueError, "-1"),
        ({"columns": 5}, InvalidValueError, "48"),
    ],
)
def test_errors_name_what_is_wrong(maker, sheet, stencil, options, error, match):
    with pytest.raises(error, match=match):
        run(maker, sheet, stencil, **options)


def test_a_stencil_of_another_size_or_without_effect_is_an_error(maker, sheet):
    with pytest.raises(InvalidValueError, match="mask is 10 x 16"):
        run(maker, sheet, np.ones((10, 16), bool))
    with pytest.raises(MaskGridError, match="empty"):
        run(maker, sheet, np.zeros((16, 16), bool))
    with pytest.raises(InvalidTypeError, match="mask is a list"):
        run(maker, sheet, [[1]])


def test_shared_forks_with_whole_windows_are_the_exact_ones(maker, sheet, stencil, monkeypatch):
    monkeypatch.setattr(pipeline_host, "_DECODED_AROUND", 100)
    exact = run(maker, sheet, stencil, mode="fork")
    shared = run(maker, sheet, stencil, mode="fork", sharing="base", halo=100)
    assert np.abs(exact.patches.astype(int) - shared.patches).max() <= 1


def test_shared_forks_are_recorded_and_change_their_stencil_alone(maker, sheet, stencil, tmp_path):
    shared = run(maker, sheet, stencil, mode="fork", sharing="base", halo=0)
    assert_only_stencils_changed(shared, sheet, stencil)
    shared.save(tmp_path / "shared")
    again = maker.again(tmp_path / "shared")
    assert np.array_equal(again.patches, shared.patches)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sharing": "all"}, "sharing is 'all'; allowed: None or 'base'"),
        ({"sharing": "base", "halo": -1}, "halo is -1"),
        ({"base_prompt": "mine"}, "base_prompt is 'mine'"),
        ({"halo": 0.5}, "halo is 0.5 .* without sharing; allowed: sharing='base'"),
    ],
)
def test_what_is_no_sharing_is_refused_before_anything_begins(maker, sheet, stencil, options, said):
    with pytest.raises(InvalidValueError, match=said):
        run(maker, sheet, stencil, **options)


def test_sheets_whose_cells_lie_between_latents_are_decoded_alike(maker, monkeypatch):
    monkeypatch.setattr(pipeline_host, "_DECODED_AROUND", 100)
    sheet = np.random.default_rng(1).integers(0, 256, (45, 68, 3), dtype=np.uint8)
    options = {"rows": 2, "columns": 3, "gap": 3, "margin": (2, 1), "mode": "fork"}
    stencil = np.full((19, 20), 255, np.uint8)
    shared = run(maker, sheet, stencil, sharing="base", halo=100, **options)
    exact = run(maker, sheet, stencil, **options)
    assert np.abs(exact.patches.astype(int) - shared.patches).max() <= 1


def test_the_vae_is_put_back_when_decoding_in_windows_ends_early(maker, sheet, stencil):
    vae = maker.host.pipe.vae
    before = {name: set(module.__dict__) for name, module in vae.named_modules()}
    beside = []

    def stop(done, count):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        run(maker, sheet, stencil, sharing="base", decode_callback=stop)
    assert len(caught.value.result) == 1
    assert {name: set(module.__dict__) for name, module in vae.named_modules()} == before
    latents = torch.zeros(1, 4, 8, 8)
    thread = threading.Thread(target=lambda: beside.append(maker.host.decode(latents)))
    thread.start()
    thread.join(60)
    assert len(beside) == 1, "another thread waits for the VAE"
