"""The isothermal solver: speed against eager torch, exact solutions, conservation, early density.

    python benchmarks/turbulence_solver.py

Everything runs on one thread and is measured in CPU time. Both backends advance the same state in
turns within one run, and so does the copy that measures the memory bandwidth. The grid has 128^3
cells; double precision, second order unless stated otherwise.
"""

import time
from statistics import median

import numba
import numpy as np
import torch
from scipy.optimize import brentq

from skyloom.turbulence.physics import MYR_PER_TIME, sound_speed_kms
from skyloom.turbulence.simulate import solver_numba, solver_torch
from skyloom.turbulence.simulate.early import early_columns
from skyloom.turbulence.simulate.solver import evolve, initial_states
from skyloom.turbulence.simulate.velocity import velocity_field

GRID, BOX_PC, MACH, SEED, ROUNDS, STEPS = 128, 10.0, 1.41, 7, 5, 3
SOUND = sound_speed_kms(10, 2.33)
# least traffic of a cell and step: state read twice (signal speed), written once after a fetch of
# its cache lines
BYTES = 128
TUBE_TIME, TUBE = 0.12, (8.0, 1.0)


def cpu(run) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def steps(solver, fields, count: int):
    """Steps of `evolve` without its clocks."""
    for _ in range(count):
        fastest, _ = solver.signals(fields, SOUND)
        fields = solver.step(fields, 0.5 / fastest, SOUND, 2)
    return fields


def speeds(states: np.ndarray) -> None:
    # 512 MiB exceed the caches
    source = np.random.default_rng(0).random(2**26)
    target = np.ones_like(source)
    ours, theirs = solver_numba.load(states), solver_torch.load(states, "cpu")
    # compile, and warm the caches
    steps(solver_numba, ours, 1), steps(solver_torch, theirs, 1)
    times = {"numba": [], "torch": [], "copy": []}
    for _ in range(ROUNDS):
        times["numba"].append(cpu(lambda: steps(solver_numba, ours, STEPS)))
        times["torch"].append(cpu(lambda: steps(solver_torch, theirs, 1)))
        times["copy"].append(cpu(lambda: np.copyto(target, source)))
    updates = {
        name: n * GRID**3 / median(times[name]) / 1e6
        for name, n in (("numba", STEPS), ("torch", 1))
    }
    bandwidth = 2 * source.nbytes / median(times["copy"]) / 1e9
    share = updates["numba"] * 1e6 * BYTES / (bandwidth * 1e9)
    print(
        f"numba: {updates['numba']:.1f} million cells a core-second; torch eager: "
        f"{updates['torch']:.2f}"
    )
    print(f"{updates['numba'] / updates['torch']:.1f} times faster than torch eager (aim 10)")
    print(f"copy: {bandwidth:.1f} GB/s; {100 * share:.0f} % of it at {BYTES} bytes a cell and step")


def agreement(states: np.ndarray) -> None:
    small = initial_states(velocity_field(32, 11 / 3, SEED, MACH * SOUND)[None])
    for order in (2, 1):
        a, b = (
            evolve(small, 0.5, BOX_PC / 32, SOUND, order, backend=name)
            for name in ("numba", "torch")
        )
        print(
            f"order {order}, numba and torch, {a.steps[0]} steps: "
            f"{abs(a.states - b.states).max():.1e} (aim 1e-13)"
        )
    end = evolve(states, 0.5 / MYR_PER_TIME, BOX_PC / GRID, SOUND)
    mass, *momenta = abs((end.states - states).mean((2, 3, 4))[0])
    print(
        f"0.5 Myr, {end.steps[0]} steps: mass {mass:.1e}, momentum {max(momenta):.1e} (round-off)"
    )


def exact_tube(xi: np.ndarray) -> np.ndarray:
    """Density of the isothermal Riemann problem at x / t = xi, gas at rest, sound speed 1."""
    left, right = TUBE
    middle = brentq(
        lambda r: np.log(left / r) - (r - right) / np.sqrt(r * right), right, left, xtol=1e-14
    )
    speed, shock = np.log(left / middle), np.sqrt(middle / right)
    density = np.where(xi < speed - 1, left * np.exp(-(np.maximum(xi, -1) + 1)), middle)
    return np.where(xi > shock, right, density)


def tube_error(n: int, order: int) -> float:
    fine = (np.arange(8 * n) + 0.5) / (8 * n)
    exact = exact_tube((abs(fine - 0.5) - 0.25) / TUBE_TIME).reshape(n, 8).mean(1)
    density = np.where(abs((np.arange(n) + 0.5) / n - 0.5) < 0.25, *TUBE) * np.ones((1, 1, 4, 4, n))
    end = evolve(initial_states(np.zeros((1, 3, 4, 4, n)), density), TUBE_TIME, 1 / n, 1.0, order)
    return float(abs(end.states[0, 0, 0, 0] - exact).mean())


def wave_error(n: int, order: int) -> float:
    """Error after one period, in units of the amplitude of 1e-4."""
    wave = 1e-4 * np.sin(2 * np.pi * (np.arange(n) + 0.5) / n) * np.ones((4, 4, n))
    end = evolve(
        initial_states(np.stack([0 * wave, 0 * wave, wave])[None], 1 + wave), 1.0, 1 / n, 1.0, order
    )
    return float(abs(end.states[0, 0] - 1 - wave).mean() / 1e-4)


def convergence() -> None:
    for name, error, cells, aim in (
        ("shock tube 8:1", tube_error, (64, 128, 256, 512), "fitted 0.9 to 1.1"),
        ("sound wave", wave_error, (16, 32, 64, 128), "finest pair 1.7"),
    ):
        for order in (2, 1):
            errors = np.array([error(n, order) for n in cells])
            fitted = -np.polyfit(np.log2(cells), np.log2(errors), 1)[0]
            pairs = ", ".join(f"{rate:.2f}" for rate in np.log2(errors[:-1] / errors[1:]))
            values = ", ".join(f"{value:.3g}" for value in errors)
            aimed = f" (aim: {aim})" if order == 2 else ""
            print(
                f"{name}, order {order}, L1 at N = {cells}: {values}; rate {fitted:.2f} fitted, "
                f"pairs {pairs}{aimed}"
            )


def early() -> None:
    """Solver against Lighthill's equation, for column density in bands of k.

    Prints correlation and ratio of amplitudes.
    """
    for index in (11 / 3, 4.0):
        velocity = velocity_field(GRID, index, SEED, MACH * SOUND)
        end = evolve(initial_states(velocity[None]), 0.2 / MYR_PER_TIME, BOX_PC / GRID, SOUND)
        columns = np.stack([end.states[0, 0].mean(axis) - 1 for axis in (2, 1, 0)])
        theory = early_columns(velocity, BOX_PC, 0.2 / MYR_PER_TIME, SOUND)
        a, b = np.fft.fft2(columns), np.fft.fft2(theory)
        k = np.hypot(*np.meshgrid(*[np.fft.fftfreq(GRID, 1 / GRID)] * 2))
        parts = []
        for low, high in ((1, 4), (4, 8), (8, 16), (16, 32)):
            band = (k >= low) & (k < high)
            pa, pb = (abs(a[:, band]) ** 2).sum(), (abs(b[:, band]) ** 2).sum()
            r = (a * b.conj())[:, band].sum().real / np.sqrt(pa * pb)
            parts.append(f"k {low}-{high} r {r:.3f} amplitude {np.sqrt(pa / pb):.3f}")
        print(
            f"early density, 0.2 Myr, index {index:.2f}: {', '.join(parts)} (aim for k 1-4: 0.99, "
            "0.93 to 1.02)"
        )


def main() -> None:
    numba.set_num_threads(1)
    torch.set_num_threads(1)
    velocity = velocity_field(GRID, 11 / 3, SEED, MACH * SOUND)
    print(
        f"initial field: {cpu(lambda: velocity_field(GRID, 11 / 3, SEED, MACH * SOUND)):.2f} "
        "core-seconds"
    )
    states = initial_states(velocity[None])
    speeds(states)
    agreement(states)
    convergence()
    early()


if __name__ == "__main__":
    main()
