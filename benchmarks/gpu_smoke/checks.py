"""The checks, the most valuable ones first: each yields (name, numbers), and may raise `Failed`."""

import collections
import contextlib
import fcntl
import hashlib
import importlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import traceback
import types
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from setting import Setting, Steps, deterministic

HERE = Path(__file__).parent
LIBRARIES = ("numpy", "h5py", "netCDF4", "numba", "scipy", "sklearn", "triton")
# Largest difference of predictions in fp32 on both devices, of the largest value: convolutions on a
# GPU round their inputs to TF32.
AGREEMENT = 0.02
LAUNCH_SECONDS = 100  # of one start of torchrun

Found = Iterator[tuple[str, object]]


class Failed(Exception):
    """A promise that does not hold on this machine."""


def environment(s: Setting) -> Found:
    """Versions, and the two ceilings: bandwidth of a copy, and products of bf16 matrices."""
    from skyloom import gpus

    yield "device", torch.cuda.get_device_name() if s.on_gpu else "cpu"
    yield "driver", gpus.driver()
    yield "torch", gpus.wheel()
    yield "python, cores", [sys.version.split()[0], os.cpu_count()]
    yield "stand-ins", s.stand_in.missing
    for name in sorted({*LIBRARIES} - {*s.stand_in.missing}):
        with contextlib.suppress(ImportError):
            yield name, importlib.import_module(name).__version__
    source = torch.randn(1 << (20 if s.small else 28), device=s.device)
    target = torch.empty_like(source)
    yield "copy TB/s", 2 * source.nbytes / s.seconds(lambda: target.copy_(source)) / 1e12
    yield "bf16 TFLOP/s", matrix_rate(s) / 1e12
    if not s.on_gpu:
        return
    yield "cuDNN", torch.backends.cudnn.version()
    yield "free GiB", torch.cuda.mem_get_info()[0] / 2**30
    host = torch.empty(1 << 26, dtype=torch.uint8)
    for label, values in (("pageable", host), ("pinned", host.pin_memory())):
        copy = s.seconds(lambda values=values: values.to(s.device, non_blocking=True))
        yield f"{label} memory to the GPU GB/s", host.nbytes / copy / 1e9


def matrix_rate(s: Setting) -> float:
    """Operations a second in products of square bf16 matrices."""
    n = 256 if s.small else 8192
    a, b = (torch.randn(n, n, device=s.device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * n**3 / s.seconds(lambda: a @ b)


def trains(s: Setting) -> Found:
    """The engine from end to end: a set that is resident on the GPU, and one that is read ahead."""
    from skyloom.training import feed

    n = 32 if s.small else 256
    for name, network in s.first_of_each_module().items():
        if network.module not in ("res_unet", "cnn"):
            continue
        with tempfile.TemporaryDirectory() as folder:
            begin = time.perf_counter()
            fitted = s.fit(name, f"{folder}/resident", 40, n)
            row = {"s": time.perf_counter() - begin, **fitted.last_row}
            row |= {key: fitted.summary[key] for key in ("device", "busy_share")}
            if s.on_gpu:
                share, feed.RESIDENT_SHARE = feed.RESIDENT_SHARE, 0.0
                ahead = s.fit(name, f"{folder}/ahead", 40, n)
                feed.RESIDENT_SHARE = share
                row["read ahead: same history"] = ahead.history == fitted.history
        yield name, row
        if not row.get("read ahead: same history", True):
            raise Failed(f"{name}: data read ahead give another history")


def steps(s: Setting) -> Found:
    """A step of each network at survey size: time, memory, rate, kernels, and the host's waits."""
    best, failed = matrix_rate(s), []
    for name in s.networks:
        try:
            yield name, step_of(s, name, best)
        except Exception as error:  # the other networks still have a chance
            failed.append(name)
            yield name, {"FAILED": f"{type(error).__name__}: {error}"[:300]}
        if s.on_gpu:
            torch.cuda.empty_cache()
    if failed:
        raise Failed(f"no step of {', '.join(failed)}")


def step_of(s: Setting, name: str, best: float) -> dict:
    from skyloom.training.account import Counter

    if s.on_gpu:
        torch.cuda.reset_peak_memory_stats()
    engine = Steps(s, name)
    last = engine.task.plan.steps - 1  # a task may train another network in its second half
    times = [engine.milliseconds(0.0 if s.small else 0.4, step) for step in (1, last)]
    with Counter() as counter:
        engine.one(1)
        engine.one(last)
    ms = sum(times) / 2
    row = {"batch": engine.batch_size, "ms": ms, "ms of a late step": times[1]}
    row["TFLOP/s"] = counter.flop / 2 / ms / 1e9
    row["of bf16 products"] = row["TFLOP/s"] * 1e12 / best
    if not s.on_gpu:
        return row
    row["GiB"] = torch.cuda.max_memory_allocated() / 2**30
    row["waits"] = waits(engine)
    return row | kernels(s, engine)


def waits(engine: Steps) -> dict[str, float]:
    """Calls of a step that make the host wait, by the line of the project."""
    counts: collections.Counter = collections.Counter()

    def note(message, *args, **options):
        if "synchroniz" in str(message):
            lines = [f for f in traceback.extract_stack() if "skyloom/" in f.filename]
            counts[f"{Path(lines[-1].filename).name}:{lines[-1].lineno}" if lines else "?"] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        torch.cuda.set_sync_debug_mode("warn")
        try:
            for step in (2, 3, 4):
                engine.one(step)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return {line: round(n / 3, 1) for line, n in counts.most_common(8)}


def kernels(s: Setting, engine: Steps) -> dict:
    """Number of kernels of a step, the share of its time in which one runs, and the longest."""

    def three_steps():
        for step in (1, 2, 3):
            engine.one(step)

    row = busy(s, three_steps)
    row["kernels"] //= 3
    row["ms by kernel"] = {name: round(ms / 3, 2) for name, ms in row["ms by kernel"].items()}
    return row


def busy(s: Setting, run) -> dict:
    """Number of kernels, the share of the time in which one runs, and the longest."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        s.synchronise()
        begin = time.perf_counter()
        run()
        s.synchronise()
        wall = time.perf_counter() - begin
    ran = [event for event in profiler.events() if event.device_type.name == "CUDA"]
    longest: collections.Counter = collections.Counter()
    for event in ran:
        longest[event.name[:60]] += event.device_time / 1e3
    share = sum(event.device_time for event in ran) / 1e6 / wall
    return {"kernels": len(ran), "busy": share, "ms by kernel": dict(longest.most_common(8))}


def resumes(s: Setting) -> Found:
    """Stopped and resumed, and once more from the start: the same history to the byte?"""
    broken = []
    for name, network in s.first_of_each_module().items():
        changes = {"cycle_noise": 0.1, "buffer": 6, "r1": 1.0, "r1_every": 4}
        changes = {k: v for k, v in changes.items() if k in network.entry}
        changes |= {"batch": 4 if s.small else 8}
        with tempfile.TemporaryDirectory() as folder:

            def run(part, budget=math.inf, name=name, changes=changes, folder=folder):
                return s.fit(name, f"{folder}/{part}", 12, 32, budget=budget, **changes).history

            whole, again, code = run("whole"), run("again"), None
            try:
                run("parts", budget=0)
            except SystemExit as stopped:
                code = stopped.code
            same = run("parts") == whole
        row = {"exit code": code, "resumed: same history": same}
        yield name, row | {"repeated: same history": again == whole}
        if not same:
            broken.append(name)
    if broken:
        raise Failed(f"another history after a resume: {', '.join(broken)}")


def compiles(s: Setting) -> Found:
    """Compiled trainings: the same history when repeated, and how far from one that is not?"""
    broken = []
    for name, network in s.first_of_each_module().items() if s.compiles else ():
        if network.module not in ("res_unet", "cnn"):
            continue
        with tempfile.TemporaryDirectory() as folder:
            begin = time.perf_counter()
            fits = [
                s.fit(name, f"{folder}/{k}", 12, 32, batch=8, compile=mode)
                for k, mode in enumerate((MODES[-1], MODES[-1], None))
            ]
        first, again, eager = (fitted.last_row for fitted in fits)
        key = next(key for key in first if key.startswith("valid_"))
        yield (
            name,
            {
                "repeated: same history": first == again,
                f"{key}, compiled": first[key],
                f"{key}, not compiled": eager[key],
                "s": time.perf_counter() - begin,
            },
        )
        if first != again:
            broken.append(name)
    if broken:
        raise Failed(f"another history of a compiled training: {', '.join(broken)}")


def agrees(s: Setting) -> Found:
    """The same weights on the CPU and on the GPU: predictions in fp32, and scores in bf16."""
    from skyloom import checkpoint

    cpu, worst = torch.device("cpu"), 0.0
    for name, network in s.first_of_each_module().items():
        changes = {"samples": 2, "sample_steps": 2}
        changes = {k: v for k, v in changes.items() if k in network.entry}
        with tempfile.TemporaryDirectory() as folder:
            fitted = s.fit(name, folder, 12, 8, batch=4, **changes)
        predicted = []
        for device in (s.device, cpu):
            checkpoint._device = lambda device=device: device
            torch.manual_seed(0)
            predicted.append(checkpoint.predict(fitted.checkpoint, fitted.examples.test))
        there, here = predicted
        row = {k: float(abs(there[k] - here[k]).max() / abs(here[k]).max()) for k in here}
        worst = max(worst, row.get("prediction", 0.0))
        _, task = checkpoint.network(fitted.checkpoint)
        batch = fitted.examples.test[np.arange(8)]
        for device, half in ((cpu, False), (s.device, False), (s.device, True)):
            label = f"{device.type} {'bf16' if half else 'fp32'}"
            row[label] = scores(task.to(device), batch, device, half)
        yield name, row
    if not worst < AGREEMENT:
        raise Failed(f"predictions differ by {worst:.2g} of the largest value")


def scores(task, batch: dict, device: torch.device, half: bool) -> dict[str, float]:
    """Mean scores of a batch, in bf16 or in fp32."""
    torch.manual_seed(0)
    batch = {key: values.to(device) for key, values in batch.items()}
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=half):
        found = task.score(batch)
    return {key: float(values.float().mean()) for key, values in found.items()}


def processes(s: Setting) -> Found:
    """torchrun with one process a GPU: gathered buffers, and equal weights on all ranks."""
    for number in sorted({1, torch.cuda.device_count() if s.on_gpu else 2}):
        with tempfile.TemporaryDirectory() as folder:
            # `timeout` asks torchrun to end its workers, which a killed one leaves behind
            words = ["timeout", str(LAUNCH_SECONDS), sys.executable, "-m", "torch.distributed.run"]
            words += ["--standalone", "--nproc-per-node", str(number), str(HERE)]
            words += ["--device", s.device.type, "--worker", folder]
            words += [*s.words, *["--small"] * s.small]
            done = subprocess.run(words, capture_output=True, text=True)
            digests = sorted({path.read_text() for path in Path(folder).glob("rank*")})
        row = {"exit code": done.returncode, "weights": digests}
        yield f"{number} process(es)", row
        if done.returncode or len(digests) != 1:
            raise Failed(done.stderr[-1500:] or "the weights of the ranks differ")


def worker(s: Setting, folder: Path) -> None:
    """What each process does: train, and write the digest of its weights."""
    from skyloom.training import Plan, fit

    name = next(name for name, n in s.networks.items() if n.entry.get("buffer"))
    network, tasks = s.networks[name], []
    entry = network.entry | {"steps": 6, "valid_every": 6, "batch": 8}
    examples = network.examples(16)

    def make_task():
        tasks.append(network.code.make_task(entry, examples.meta))
        return tasks[0]

    plan = Plan.from_entry(entry, 1)
    fit(make_task, examples.train, examples.valid, plan, folder / "state", lambda result: None)
    text = hashlib.sha256()
    for values in tasks[0].state_dict().values():
        text.update(values.detach().cpu().contiguous().numpy().tobytes())
    (folder / f"rank{os.environ['RANK']}").write_text(text.hexdigest()[:12])


def solver(s: Setting) -> Found:
    """Simulations: cells a second of a step, also compiled, and a whole simulation."""
    from skyloom.turbulence.simulate import solver_torch
    from skyloom.turbulence.simulate.clouds import clouds
    from skyloom.turbulence.simulate.plan import simulations

    config = survey_family(s)
    count, grid = config["batch"], config["grid"]

    def rate(advance, kind):
        states = torch.rand(count, 4, *[grid] * 3, dtype=kind) + 1
        fields, ratio = solver_torch.load(states, s.device.type), np.full(count, 0.1)
        return count * grid**3 / s.seconds(lambda: advance(fields, ratio, 0.2, 2)) / 1e6

    for kind in (torch.float32, torch.float64):
        yield f"{kind}, M cells/s", rate(solver_torch.step, kind)
    if s.compiles:
        begin = time.perf_counter()
        yield "compiled float32, M cells/s", rate(solver_torch.compiled(), torch.float32)
        yield "s of compiling", time.perf_counter() - begin
    if "scipy" not in s.stand_in.missing:
        made = []

        def simulate():
            made[:] = clouds(config, simulations(config), s.device.type)

        yield "s a simulation", s.seconds(simulate, 1) / count
        yield "steps", [cloud.steps for _, cloud in made]
        yield "failures", [cloud.failure for _, cloud in made if cloud.failure]
        if s.on_gpu:
            yield "busy", busy(s, simulate)


def survey_family(s: Setting) -> dict:
    """Four clouds of the published recipe."""
    config = {"simulations": 4, "seed": 0, "index": [11 / 3, 4.0], "mach": 1.41, "time_myr": 0.5}
    config |= {"box_pc": 10.0, "mass_msun": 1e4, "mu": 2.33, "temperature_k": 10.0}
    config |= {"initial_kmax": None, "order": 2, "courant": 0.5, "backend": "torch"}
    return config | {
        "precision": "float32",
        "compile": s.compiles,
        "batch": 4,
        "grid": 16 if s.small else 256,
    }


def variants(s: Setting) -> Found:
    """A step under other settings of torch [ms]: layout, norms, determinism, cuDNN's search."""
    for name, network in s.first_of_each_module().items():
        if network.module not in ("res_unet", "cnn", "pix2pix", "residual"):
            continue

        def measure(prepare=lambda task: None, name=name):
            return Steps(s, name, prepare=prepare).milliseconds(0.0 if s.small else 1.0)

        row = {"as the engine has it": measure()}
        contiguous = measure(lambda task: task.to(memory_format=torch.contiguous_format))
        row["contiguous instead of channels-last"] = contiguous
        row["group norms in bf16"] = measure(norms_in_half)
        deterministic(False)
        row["not deterministic"] = measure()
        torch.backends.cudnn.benchmark = True
        row["not deterministic, cuDNN's search"] = measure()
        torch.backends.cudnn.benchmark = False
        deterministic(s.on_gpu)
        yield name, row


MODES = None, "default", "reduce-overhead"


def compiled(s: Setting) -> Found:
    """A step of the networks that survey size compiles [ms], without it and in each mode.

    They are compiled in processes of their own at one time, and measured one after another.
    """
    if not s.compiles:
        return
    words = [sys.executable, str(HERE), "--device", s.device.type, *s.words, "--compiled"]
    few = os.environ | {"TORCHINDUCTOR_COMPILE_THREADS": "2"}
    running = {
        name: subprocess.Popen(
            [*words, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=few
        )
        for name, network in s.networks.items()
        if network.entry["compile"]
    }
    failed = []
    for name, process in running.items():
        out, errors = process.communicate()
        row = out.strip().splitlines()[-1:] if process.returncode == 0 else []
        yield name, json.loads(row[0]) if row else {"FAILED": errors[-300:]}
        failed += [] if row else [name]
    if failed:
        raise Failed(f"no compiled step of {', '.join(failed)}")


def compiled_step(s: Setting, name: str) -> dict:
    """What one process of `compiled` finds; it measures when no other compiles or measures."""

    row, made = {}, {}
    with open(Path(tempfile.gettempdir()) / "skyloom-gpu-smoke.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        for mode in MODES:
            begin = time.perf_counter()
            try:
                made[mode] = Steps(s, name, mode)
                last = made[mode].task.plan.steps - 1
                for step in (1, last):
                    made[mode].milliseconds(0.0, step)
            except Exception as error:  # the other mode still has a chance
                del made[mode]
                row[str(mode)] = {"FAILED": f"{type(error).__name__}: {error}"[:300]}
            else:
                row[str(mode)] = {"s of compiling": time.perf_counter() - begin}
        fcntl.flock(lock, fcntl.LOCK_UN)
        fcntl.flock(lock, fcntl.LOCK_EX)
        for mode, steps in made.items():
            last = steps.task.plan.steps - 1
            found = {"ms": sum(steps.milliseconds(0.4, step) for step in (1, last)) / 2}
            row[str(mode)] |= found | kernels(s, steps)
    return row


def norms_in_half(task: torch.nn.Module) -> None:
    """Group norms of a task without autocast: in and out in the type of their input."""
    for module in task.modules():
        if isinstance(module, torch.nn.GroupNorm):
            module.forward = types.MethodType(_norm_in_half, module)


def _norm_in_half(norm: torch.nn.GroupNorm, x: torch.Tensor) -> torch.Tensor:
    weights = norm.weight.to(x.dtype), norm.bias.to(x.dtype)
    with torch.autocast(x.device.type, enabled=False):
        return torch.nn.functional.group_norm(x, norm.num_groups, *weights, norm.eps)


def predicts(s: Setting) -> Found:
    """Tiles a second and memory of the predictions of networks that draw samples."""
    from skyloom import checkpoint

    checkpoint._device = lambda: s.device
    for name, network in s.first_of_each_module().items():
        if "samples" not in network.entry:
            continue
        n = 4 if s.small else 64
        with tempfile.TemporaryDirectory() as folder:
            fitted = s.fit(name, folder, 4, n, batch=4)
        if s.on_gpu:
            torch.cuda.reset_peak_memory_stats()
        parts = fitted.checkpoint, fitted.examples.test
        row = {"tiles/s": n / s.seconds(lambda parts=parts: checkpoint.predict(*parts), 1)}
        if s.on_gpu:
            row["GiB"] = torch.cuda.max_memory_allocated() / 2**30
        yield name, row


# name: (check, seconds that it may take)
CHECKS = {
    "environment": (environment, 45),
    "trains": (trains, 60),
    "steps": (steps, 110),
    "resumes": (resumes, 90),
    "agrees": (agrees, 60),
    "processes": (processes, 60),
    "solver": (solver, 60),
    "predicts": (predicts, 40),
    "variants": (variants, 60),
    "compiles": (compiles, 100),
    "compiled": (compiled, 150),
}
