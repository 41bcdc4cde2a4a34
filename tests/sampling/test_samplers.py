"""Samplers: the laws that hold for every one of them, and what tells them apart."""

from dataclasses import replace

import pytest
import torch
from solving import crooked, drive, solve, take_steps

from maskgrid.errors import InvalidValueError
from maskgrid.sampling.noise_levels.noise_table import NoiseTable
from maskgrid.sampling.noise_levels.schedules import make_sigmas
from maskgrid.sampling.samplers import NOT_YET, SAMPLERS, get_sampler
from maskgrid.sampling.samplers.dpmpp_sde import dpmpp_2m_sde
from maskgrid.sampling.samplers.euler import euler
from maskgrid.sampling.samplers.noise import initial_noise, step_noise
from maskgrid.sampling.samplers.walk import Walk

TABLES = {"epsilon": NoiseTable.stable_diffusion(), "flow": NoiseTable.flow(3.0)}
VE, FLOW = TABLES["epsilon"], TABLES["flow"]
SHAPE = (1, 2, 4, 5)
STEPS = 7
# One solver under several names counts once.
DISTINCT = [name for name, info in SAMPLERS.items() if info.alias_of is None and name != "ddim"]

each_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
each_sampler = pytest.mark.parametrize("name", DISTINCT)


def begin(name: str, table: NoiseTable, schedule: str = "karras") -> tuple[torch.Tensor, torch.Tensor]:
    """(x, sigmas) of a run from pure noise."""
    sigmas = make_sigmas(schedule, table, STEPS, sampler=name)
    return table.start(torch.zeros(SHAPE), initial_noise(SHAPE, 3), sigmas[0]), sigmas


# --- laws


@each_table
@each_sampler
def test_a_cut_run_equals_the_uncut_one(name: str, table: NoiseTable) -> None:
    x, sigmas = begin(name, table)
    whole, _ = take_steps(name, x, sigmas, table, crooked)
    for cut in range(STEPS + 1):
        half, walk = take_steps(name, x, sigmas, table, crooked, stop=cut)
        rest, _ = take_steps(
            name, half, sigmas, table, crooked, start=cut, memory=walk.memory, position=walk.noise.position
        )
        assert torch.equal(rest, whole), cut


@each_table
@each_sampler
def test_three_parts_equal_the_whole_and_leave_the_memory_alone(name: str, table: NoiseTable) -> None:
    x, sigmas = begin(name, table, "normal")
    whole, _ = take_steps(name, x, sigmas, table, crooked)
    first, walk = take_steps(name, x, sigmas, table, crooked, stop=3)
    kept = {name: [t.clone() for t in tensors] for name, tensors in walk.memory.items()}
    for _ in range(2):
        position = walk.noise.position
        second, half = take_steps(
            name, first, sigmas, table, crooked, start=3, stop=5, memory=walk.memory, position=position
        )
        third, _ = take_steps(
            name, second, sigmas, table, crooked, start=5, memory=half.memory, position=half.noise.position
        )
        assert torch.equal(third, whole)
    for name, tensors in kept.items():
        for before, after in zip(tensors, walk.memory[name], strict=True):
            assert torch.equal(before, after)


@each_table
@each_sampler
def test_a_batch_of_forks_equals_one_at_a_time(name: str, table: NoiseTable) -> None:
    """The forks part at step 3 by what they are sent, and share the noise."""
    x, sigmas = begin(name, table)
    shared, walk = take_steps(name, x, sigmas, table, crooked, stop=3)
    offsets = torch.tensor([-0.4, 0.0, 0.7]).reshape(3, 1, 1, 1)
    position = walk.noise.position
    together, _ = take_steps(
        name,
        shared,
        sigmas,
        table,
        lambda x, sigma: crooked(x, sigma) + offsets,
        start=3,
        memory=walk.memory,
        position=position,
    )
    assert together.shape == (3, *SHAPE[1:])
    for row, offset in enumerate(offsets):
        alone, _ = take_steps(
            name,
            shared,
            sigmas,
            table,
            lambda x, sigma, offset=offset: crooked(x, sigma) + offset,
            start=3,
            memory=walk.memory,
            position=position,
        )
        torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-5, atol=1e-6)


@each_table
@each_sampler
def test_memory_may_be_repeated_along_the_batch(name: str, table: NoiseTable) -> None:
    x, sigmas = begin(name, table)
    half, walk = take_steps(name, x, sigmas, table, crooked, stop=4)
    rest, _ = take_steps(
        name, half, sigmas, table, crooked, start=4, memory=walk.memory, position=walk.noise.position
    )
    repeated = {name: tuple(t.repeat(3, 1, 1, 1) for t in kept) for name, kept in walk.memory.items()}
    many, _ = take_steps(
        name,
        half.repeat(3, 1, 1, 1),
        sigmas,
        table,
        crooked,
        start=4,
        memory=repeated,
        position=walk.noise.position,
    )
    torch.testing.assert_close(many, rest.repeat(3, 1, 1, 1), rtol=1e-5, atol=1e-6)


@each_table
@each_sampler
def test_a_constant_denoised_is_where_every_run_ends(name: str, table: NoiseTable) -> None:
    x, sigmas = begin(name, table)
    image = torch.linspace(-1, 1, x.numel()).reshape(SHAPE)
    end, _ = take_steps(name, x, sigmas, table, lambda x, sigma: image)
    # uni_pc stops at sigma 0.001, where some noise is left.
    tolerance = 0.01 if name.startswith("uni_pc") else 1e-5
    torch.testing.assert_close(end, image, rtol=tolerance, atol=tolerance)


@each_table
@each_sampler
def test_every_evaluation_is_between_the_sigmas_of_its_step(name: str, table: NoiseTable) -> None:
    x, sigmas = begin(name, table)
    for step in range(STEPS):
        asked: list[float] = []

        def network(x: torch.Tensor, sigma: torch.Tensor, asked: list[float] = asked) -> torch.Tensor:
            assert sigma.ndim == 0
            asked.append(float(sigma))
            return crooked(x, sigma)

        take_steps(name, x, sigmas, table, network, start=step, stop=step + 1)
        # SDE solvers put a flow model's sigma 1 a little lower. heunpp2 looks one step further ahead, and the
        # ancestral solvers aim below the next sigma.
        assert asked[0] == pytest.approx(float(sigmas[step]), rel=1e-3)
        ahead = 2 if name == "heunpp2" or "ancestral" in name else 1
        assert float(sigmas[min(step + ahead, STEPS)]) <= min(asked)
        assert 1 <= len(asked) <= 3


@each_table
@each_sampler
def test_every_evaluation_names_its_step(name: str, table: NoiseTable) -> None:
    x, sigmas = begin(name, table)
    noise = step_noise(SAMPLERS[name].noise, SHAPE, 3, sigmas)
    solver = SAMPLERS[name].solve(x, Walk(sigmas, table, noise, start=2, stop=6))
    named = []
    question = next(solver, None)
    while question is not None:
        named.append(question[2])
        try:
            question = solver.send(crooked(*question[:2]))
        except StopIteration:
            question = None
    assert named == sorted(named)
    assert set(named) == {2, 3, 4, 5}


@each_table
@each_sampler
def test_one_step_is_enough(name: str, table: NoiseTable) -> None:
    x, _ = begin(name, table)
    image = torch.full(SHAPE, 0.25)
    sigmas = torch.tensor([table.sigma_max, 0.0])
    end, _ = take_steps(name, x, sigmas, table, lambda x, sigma: image)
    tolerance = 0.01 if name.startswith("uni_pc") else 1e-5
    torch.testing.assert_close(end, image, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@each_table
@each_sampler
def test_dtypes_are_kept(name: str, table: NoiseTable, dtype: torch.dtype) -> None:
    x, sigmas = begin(name, table)
    noise = step_noise(SAMPLERS[name].noise, SHAPE, 3, sigmas, dtype=dtype)
    end = solve(SAMPLERS[name].solve, x.to(dtype), Walk(sigmas, table, noise), crooked)
    assert end.dtype == dtype
    assert bool(end.isfinite().all())
    single, _ = take_steps(name, x, sigmas, table, crooked)
    torch.testing.assert_close(end.float(), single, rtol=0.3, atol=0.3)


@each_table
@each_sampler
def test_a_walk_of_no_steps_gives_x_back(name: str, table: NoiseTable) -> None:
    x, sigmas = begin(name, table)
    for place in (0, STEPS):
        assert take_steps(name, x, sigmas, table, crooked, start=place, stop=place)[0] is x


# --- examples


def test_euler_is_a_straight_line_to_denoised() -> None:
    x, sigmas = torch.full(SHAPE, 10.0), torch.tensor([4.0, 1.0, 0.0])
    steps = euler(x, Walk(sigmas, VE))
    assert next(steps)[1] == 4
    x, sigma, _ = steps.send(torch.zeros(SHAPE))
    assert sigma == 1
    torch.testing.assert_close(x, torch.full(SHAPE, 2.5))


def test_denoised_of_the_last_step_is_the_end_bit_for_bit() -> None:
    image = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    for name in DISTINCT:
        if name.startswith(("uni_pc", "ddpm")):
            continue
        x, sigmas = begin(name, VE)
        assert torch.equal(take_steps(name, x, sigmas, VE, lambda x, sigma: image)[0], image), name


def test_flow_models_begin_below_one_where_lambda_is_infinite() -> None:
    x, sigmas = begin("dpmpp_2m_sde", FLOW)
    steps = dpmpp_2m_sde(x, Walk(sigmas, FLOW, step_noise("brownian", SHAPE, 3, sigmas)))
    _, sigma, _ = next(steps)
    assert float(sigma) == pytest.approx(3 * 0.9999 / (1 + 2 * 0.9999), rel=1e-6)
    assert sigmas[0] == 1


def test_scalars_can_drive_a_sampler() -> None:
    """A host that only wants to know the sigmas sends zeros."""
    for name, info in SAMPLERS.items():
        sigmas = make_sigmas("normal", VE, 5, sampler=name)
        noise = step_noise(info.noise, (1,), 0, sigmas)
        drive(info.solve(torch.zeros(1), Walk(sigmas, VE, noise)), lambda x, sigma: torch.zeros(1))


# --- names


def test_every_name_is_there() -> None:
    names = """
        euler euler_ancestral heun heunpp2 dpm_2 dpm_2_ancestral lms dpmpp_2s_ancestral dpmpp_sde
        dpmpp_sde_gpu dpmpp_2m dpmpp_2m_sde dpmpp_2m_sde_gpu dpmpp_2m_sde_heun dpmpp_2m_sde_heun_gpu
        dpmpp_3m_sde dpmpp_3m_sde_gpu ddpm lcm ipndm ipndm_v deis res_multistep res_multistep_ancestral er_sde
        ddim uni_pc uni_pc_bh2
    """
    assert set(SAMPLERS) == set(names.split())
    assert all(get_sampler(name).name == name for name in SAMPLERS)
    assert not NOT_YET & set(SAMPLERS)


def test_second_names_are_the_same_samplers() -> None:
    aliases = {name: info.alias_of for name, info in SAMPLERS.items() if info.alias_of is not None}
    assert aliases == {f"{name}_gpu": name for name in SAMPLERS if f"{name}_gpu" in SAMPLERS}
    assert len(aliases) == 4
    for name, original in aliases.items():
        assert replace(SAMPLERS[name], name=original, alias_of=None) == SAMPLERS[original]


@pytest.mark.parametrize("name", sorted(NOT_YET))
def test_names_that_are_not_there_yet_say_so(name: str) -> None:
    with pytest.raises(InvalidValueError, match=rf"sampler '{name}' is not there yet\. Did you mean '.*'"):
        get_sampler(name)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("eular", "euler"), ("DPM++ 2M", "dpmpp_2m"), ("unipc", "uni_pc"), ("DDIM", "ddim")],
)
def test_unknown_names_get_a_hint(name: str, nearest: str) -> None:
    with pytest.raises(InvalidValueError, match=rf"sampler '.*' is not known\. Did you mean '{nearest}'"):
        get_sampler(name)


def test_no_name_at_all_gets_the_list() -> None:
    with pytest.raises(InvalidValueError, match=r"sampler '' is not known\. Allowed: euler, euler_ancestral"):
        get_sampler("")


# --- runs


@pytest.mark.parametrize(
    ("sigmas", "start", "stop"),
    [
        (torch.tensor([1.0]), 0, None),
        (torch.ones(2, 2), 0, None),
        (torch.tensor([2.0, 1.0, 0.0]), -1, None),
        (torch.tensor([2.0, 1.0, 0.0]), 2, 1),
        (torch.tensor([2.0, 1.0, 0.0]), 0, 3),
    ],
)
def test_runs_that_make_no_sense(sigmas: torch.Tensor, start: int, stop: int | None) -> None:
    with pytest.raises(InvalidValueError, match="allowed"):
        Walk(sigmas, VE, start=start, stop=stop)
