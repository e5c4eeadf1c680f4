"""The solver against exact solutions, conserved quantities, early theory, its other backend."""

import re
import subprocess
import sys
from functools import partial

import numba
import numpy as np
import pytest
import torch
from conftest import REPOSITORY
from scipy.optimize import brentq

from skyloom.cli import BadInput
from skyloom.turbulence.simulate import solver_torch
from skyloom.turbulence.simulate.early import early_columns, early_contrast
from skyloom.turbulence.simulate.solver import evolve, initial_states
from skyloom.turbulence.simulate.velocity import velocity_field

SOUND = 0.188  # [km/s] 10 K, mu 2.33
BOTH = pytest.mark.parametrize("order", [1, 2])


@pytest.fixture(autouse=True)
def one_thread():
    """One thread: on grids of some thousand cells a second thread costs more than it saves."""
    threads = numba.get_num_threads(), torch.get_num_threads()
    numba.set_num_threads(1), torch.set_num_threads(1)
    yield
    numba.set_num_threads(threads[0]), torch.set_num_threads(threads[1])


def exact_tube(xi: np.ndarray, left: float, right: float) -> np.ndarray:
    """Density at x / t = xi of an isothermal tube at rest with left > right, at sound speed 1.

    Toro 2009, chapter 4.
    """
    middle = brentq(
        lambda r: np.log(left / r) - (r - right) / np.sqrt(r * right), right, left, xtol=1e-14
    )
    speed, shock = np.log(left / middle), np.sqrt(middle / right)
    density = np.where(xi < speed - 1, left * np.exp(-(np.maximum(xi, -1) + 1)), middle)
    return np.where(xi > shock, right, density)


def tube_error(n: int, order: int, axis: int = 2, backend: str = "numba") -> float:
    """L1 error at t = 0.12 of a tube 8:1, mirrored to be periodic."""
    fine = (np.arange(8 * n) + 0.5) / (8 * n)
    exact = exact_tube((abs(fine - 0.5) - 0.25) / 0.12, 8.0, 1.0).reshape(n, 8).mean(1)
    shape = [4, 4, 4]
    shape[axis] = n
    line = np.where(abs((np.arange(n) + 0.5) / n - 0.5) < 0.25, 8.0, 1.0)
    density = np.empty((1, 1, *shape))
    np.moveaxis(density, axis + 2, -1)[:] = line
    done = evolve(
        initial_states(np.zeros((1, 3, *shape)), density), 0.12, 1 / n, 1.0, order, backend=backend
    )
    return float(abs(np.moveaxis(done.states[0, 0], axis, -1)[0, 0] - exact).mean())


def wave_error(n: int, order: int) -> float:
    """L1 error of a sound wave along x after one period, in units of its amplitude."""
    amplitude = 1e-4
    shape = amplitude * np.sin(2 * np.pi * (np.arange(n) + 0.5) / n) * np.ones((4, 4, n))
    velocity = np.stack([0 * shape, 0 * shape, shape])[None]
    done = evolve(initial_states(velocity, 1 + shape), 1.0, 1 / n, 1.0, order)
    return float(abs(done.states[0, 0] - 1 - shape).mean() / amplitude)


def cloud(n: int = 32, seeds=(5, 6), index: float = 11 / 3) -> np.ndarray:
    return np.stack([velocity_field(n, index, seed, 1.41 * SOUND) for seed in seeds])


# Rates: a limited scheme is of first order at shocks. The first-order scheme smears the fan, which
# has no contact, by N^-0.65.
@pytest.mark.parametrize(("order", "low", "high"), [(1, 0.5, 0.8), (2, 0.85, 1.15)])
def test_shock_tube_converges_to_the_exact_riemann_solution(order, low, high):
    errors = [tube_error(n, order) for n in (64, 256)]
    assert low < np.log2(errors[0] / errors[1]) / 2 < high
    assert errors[1] < (0.2, 0.05)[order - 1]  # of a mean density of 4.5


@BOTH
def test_shock_tube_is_the_same_along_each_axis(order):
    errors = [tube_error(32, order, axis) for axis in range(3)]
    np.testing.assert_allclose(errors, errors[0], rtol=1e-12)


def test_sound_wave_converges_at_nearly_second_order():
    """Minmod clips extrema, so that the rate is below 2. First order stays below 1."""
    assert np.log2(wave_error(64, 2) / wave_error(128, 2)) > 1.7
    assert 0.8 < np.log2(wave_error(64, 1) / wave_error(128, 1)) < 1.0


@BOTH
def test_backends_agree_and_simulations_keep_their_own_clock(order):
    states, times = initial_states(cloud()), [0.5, 0.8]
    ours, theirs = (
        evolve(states, times, 10 / 32, SOUND, order, backend=name) for name in ("numba", "torch")
    )
    np.testing.assert_array_equal(ours.steps, theirs.steps)
    assert ours.steps[0] < ours.steps[1] and not ours.failures
    # the order of the sums depends on the compiler
    np.testing.assert_allclose(ours.states, theirs.states, rtol=0, atol=1e-13)
    for backend, batch in (("numba", ours), ("torch", theirs)):
        alone = evolve(states[1:], times[1], 10 / 32, SOUND, order, backend=backend)
        np.testing.assert_array_equal(alone.states[0], batch.states[1])


def test_compiled_steps_are_those_of_the_solver(monkeypatch):
    """With torch's own eager backend, which runs what was traced as it stands."""
    solver_torch.compiled.cache_clear()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    states = initial_states(cloud())
    plain, compiled = (
        evolve(states, [0.5, 0.8], 10 / 32, SOUND, backend="torch", compile=yes)
        for yes in (False, True)
    )
    solver_torch.compiled.cache_clear()
    np.testing.assert_array_equal(plain.steps, compiled.steps)
    np.testing.assert_allclose(plain.states, compiled.states, rtol=0, atol=1e-13)


@BOTH
def test_mass_and_momentum_are_conserved_to_round_off(order):
    states = initial_states(cloud())
    done = evolve(states, 2.0, 10 / 32, SOUND, order).states
    change = (done - states).mean((2, 3, 4))
    assert abs(change).max() < 1e-15  # of a density of 1 and velocities below it


def test_number_of_threads_does_not_change_a_bit():
    states = initial_states(cloud(seeds=(1,)))
    alone = evolve(states, 0.5, 10 / 32, SOUND)
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
    np.testing.assert_array_equal(evolve(states, 0.5, 10 / 32, SOUND).states, alone.states)


def test_second_process_does_not_compile_again():
    code = (
        "import numpy as np; from skyloom.turbulence.simulate import solver_numba as s;"
        "s.step(s.load(np.ones((1, 4, 8, 8, 8))), np.array([0.1]), 1.0, 2); "
        "print(*s._step.stats.cache_misses.values())"
    )
    run = [sys.executable, "-c", code]
    misses = [
        subprocess.run(run, cwd=REPOSITORY / "scripts", capture_output=True, text=True)
        for _ in range(2)
    ][1]
    assert misses.returncode == 0 and misses.stdout.strip() == "", misses.stdout + misses.stderr


def test_single_precision_keeps_the_contrast():
    states = initial_states(cloud(seeds=(1,)))
    double, single = (
        evolve(s, 0.5, 10 / 32, SOUND, backend="torch").states for s in (states, np.float32(states))
    )
    error = (single - double)[0, 0]
    assert single.dtype == np.float32
    # rounding of 6e-8 a step, on a contrast of some 0.03
    assert error.std() < 1e-5 * double[0, 0].std()


def test_early_density_is_that_of_lighthills_equation():
    """Column density after 0.2 pc / (km/s), k 1-4. At 64 cells the scheme loses a tenth of it."""
    velocity = cloud(64, seeds=(7,))
    done = evolve(initial_states(velocity), 0.2, 10 / 64, SOUND)
    found = np.fft.fft2(done.states[0, 0].mean(0))
    theory = np.fft.fft2(early_columns(velocity[0], 10, 0.2, SOUND)[2])
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(64, 1 / 64), np.fft.fftfreq(64, 1 / 64)))
    band = (k >= 1) & (k < 4)
    power = [(abs(field[band]) ** 2).sum() for field in (found, theory)]
    assert (found * theory.conj())[band].sum().real / np.sqrt(power[0] * power[1]) > 0.99
    assert 0.85 < np.sqrt(power[0] / power[1]) < 1.02


def test_early_columns_are_the_means_of_the_early_density():
    velocity = cloud(24, seeds=(7,))[0]
    contrast, columns = (
        early(velocity, 10, 0.3, SOUND) for early in (early_contrast, early_columns)
    )
    for column, axis in zip(columns, (2, 1, 0), strict=True):
        np.testing.assert_allclose(
            column, contrast.mean(axis), rtol=0, atol=1e-12 * abs(contrast).max()
        )


@pytest.mark.parametrize("backend", ["numba", "torch"])
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda state: state.__setitem__((1, 3, 2, 1), np.nan), "not finite after 0 steps"),
        (lambda state: state.__setitem__((0, 3, 2, 1), -0.1), "density of -0.1 of the mean"),
        (lambda state: state.__setitem__((0, 3, 2, 1), 0.0), "not finite|density of 0"),
        (lambda state: state.__setitem__((2, 3, 2, 1), 1e7), "unstable: time step of"),
    ],
)
def test_failed_simulation_is_reported_and_its_neighbour_kept(backend, spoil, reason):
    states = initial_states(cloud(16))
    alone = evolve(states[1:], 0.3, 10 / 16, SOUND, backend=backend)
    spoil(states[0])
    done = evolve(states, 0.3, 10 / 16, SOUND, backend=backend)
    assert list(done.failures) == [0]
    assert re.search(reason, done.failures[0])
    np.testing.assert_array_equal(done.states[1], alone.states[0])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"courant": 1.2}, "courant is 1.2.*unstable"),
        ({"courant": 0}, "courant is 0"),
        ({"order": 3}, "order is 3"),
    ]
    + [({"backend": "cupy"}, "backend is 'cupy'")],
)
def test_unstable_or_unknown_scheme_is_refused_before_it_runs(arguments, named):
    with pytest.raises(BadInput, match=named):
        evolve(initial_states(cloud(16)), 0.3, 10 / 16, SOUND, **arguments)
