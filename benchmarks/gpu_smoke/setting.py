"""What the checks share: stand-ins for missing packages, the networks, and short trainings."""

import contextlib
import copy
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import io
import json
import math
import os
import pkgutil
import sys
import time
import types
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import torch

BASE = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(BASE / "scripts"), str(BASE / "workflow")]
# Packages that training on tensors in memory needs for imports alone.
OPTIONAL = "netCDF4 h5py xarray healpy astropy scipy pandas skimage sklearn skops matplotlib tqdm"
OPTIONAL += " tensorboardX numba requests jsonschema snakemake pynvml yaml"
# Keys in which entries may differ and take the same step.
ASIDE = {"set", "target", "base", "learns", "epochs", "steps"}
SMALL = {"width": 4, "depth": 2, "batch": 4, "samples": 2, "sample_steps": 2, "latent": 2}
SMALL |= {"generator_width": 4, "generator_depth": 2}
SMALL |= {"discriminator_width": 4, "discriminator_depth": 2}


class StandIn(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Modules of packages that are not installed: any attribute is a mock.

    Errors are classes, which can be caught, and numba's decorators leave functions alone.
    """

    def __init__(self):
        names = OPTIONAL.split()
        self.missing = [name for name in names if importlib.util.find_spec(name) is None]

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.missing:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        def decorator(*args, **options):
            return args[0] if args and callable(args[0]) else lambda function: function

        def attribute(key):
            if key.endswith(("Error", "Exception")):
                return type(key, (Exception,), {})
            return decorator if key in ("njit", "jit", "vectorize") else MagicMock(name=key)

        module = types.ModuleType(spec.name)
        module.__getattr__ = attribute
        return module

    def exec_module(self, module):
        pass


@dataclass(frozen=True)
class Network:
    """A network of a study with its entry of survey size."""

    study: str
    module: str
    entry: dict
    pixels: int

    @property
    def code(self) -> types.ModuleType:
        return importlib.import_module(f"skyloom.{self.study}.models.{self.module}")

    def examples(self, n: int):
        synthetic = importlib.import_module(f"skyloom.{self.study}.data.synthetic")
        return synthetic.examples(self.entry, self.pixels, n)


def survey_networks() -> dict[str, Network]:
    """Each module of each study, by the entries of its survey size, as "study/model".

    A module that the survey does not use has the defaults of its schema.
    """
    from dag.config import complete, complete_run, read_schema, read_yaml
    from dag.study import make

    networks, seen = {}, []
    for study in read_yaml(BASE / "config/config.yaml")["studies"]:
        if not (BASE / "config" / study / "survey.yaml").exists():
            continue
        run = {"studies": [study], "size": "survey"}
        complete_run(run)
        plan, schema = make(study, run), read_schema(study)
        used = plan.models(kind="network")
        entries = {model: plan.science(model) for model in used}
        package = importlib.import_module(f"skyloom.{study}.models")
        for found in pkgutil.iter_modules(package.__path__):
            code = importlib.import_module(f"{package.__name__}.{found.name}")
            known = {entry["module"] for entry in entries.values()}
            if hasattr(code, "make_task") and found.name not in known:
                value = {"module": found.name, "set": plan.entry(used[0])["set"]}
                entries[found.name] = complete(value, schema["$defs"][found.name], "", schema)
        for model, entry in entries.items():
            step = {key: value for key, value in entry.items() if key not in ASIDE}
            if (study, step) not in seen:
                seen.append((study, step))
                pixels = plan.image_pixels(model if model in used else used[0])
                networks[f"{study}/{model}"] = Network(study, entry["module"], entry, pixels)
    return networks


def deterministic(yes: bool) -> None:
    """As `skyloom.training.team` has it on a GPU."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(yes, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False


class Setting:
    """A device, the networks, and the trainings that checks make of them."""

    def __init__(self, device: str, small: bool = False, networks: Path | None = None):
        self.small, self.device = small, torch.device(device)
        self.stand_in = StandIn()
        sys.meta_path.insert(0, self.stand_in)
        from skyloom import gpus

        if "pynvml" in self.stand_in.missing:
            gpus.utilisation = lambda: None
        else:
            gpus.claim(torch.cuda.device_count() if self.on_gpu else 0)
        if self.on_gpu and not torch.cuda.is_available():
            raise SystemExit("no CUDA device; --device cpu --small tries the script itself")
        torch.set_num_threads(1 if small else min(8, os.cpu_count()))
        deterministic(self.on_gpu)
        self.compiles = self.on_gpu and not small
        self.words = ["--networks", str(networks)] if networks else []  # of a process like this one
        if networks is None:
            self.networks = survey_networks()
        else:
            described = json.loads(networks.read_text())
            self.networks = {name: Network(**parts) for name, parts in described.items()}
        if small:
            self.networks = {name: self.narrow(found) for name, found in self.networks.items()}

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"

    def narrow(self, network: Network) -> Network:
        entry = network.entry | {k: v for k, v in SMALL.items() if k in network.entry}
        return Network(network.study, network.module, entry, 32)

    def first_of_each_module(self) -> dict[str, Network]:
        modules: dict[tuple, str] = {}
        for name, network in self.networks.items():
            modules.setdefault((network.study, network.module), name)
        return {name: self.networks[name] for name in modules.values()}

    def synchronise(self) -> None:
        if self.on_gpu:
            torch.cuda.synchronize()

    def seconds(self, run, rounds: int = 5) -> float:
        """Mean time of `run`, after one run that is not counted."""
        run()
        self.synchronise()
        begin = time.perf_counter()
        for _ in range(rounds):
            run()
        self.synchronise()
        return (time.perf_counter() - begin) / rounds

    def task(self, network: Network, examples):
        """The network as the engine makes it; its closed-form start only where packages are."""
        task = network.code.make_task(network.entry, examples.meta)
        if "sklearn" not in self.stand_in.missing:
            task.prepare(examples.train)
        return task

    def fit(self, name: str, folder: Path | str, steps: int, n: int, **changes) -> "Fitted":
        """Train a network in the engine, from the first weights to the published ones."""
        from skyloom.training import Plan, fit

        network = self.networks[name]
        budget = changes.pop("budget", math.inf)
        entry = network.entry | {"steps": steps, "valid_every": steps // 2} | changes
        entry["batch"] = min(entry["batch"], n)
        network = Network(network.study, network.module, entry, network.pixels)
        examples, results = network.examples(n), []
        with contextlib.redirect_stderr(io.StringIO()):
            fit(
                lambda: self.task(network, examples),
                examples.train,
                examples.valid,
                Plan.from_entry(entry, 1),
                Path(folder),
                results.append,
                budget_minutes=budget,
            )
        parts = {"kind": "network", "study": network.study, "module": network.module}
        parts |= {"entry": entry, "meta": examples.meta, "state": results[0].weights}
        return Fitted(results[0].history, results[0].summary, parts, examples)


@dataclass(frozen=True)
class Fitted:
    """A finished training: its history, account and checkpoint, and the examples."""

    history: str
    summary: dict
    checkpoint: dict
    examples: object

    @property
    def last_row(self) -> dict[str, float]:
        names, *_, last = (line.split(",") for line in self.history.splitlines())
        return dict(zip(names, map(float, last), strict=True))


class Steps:
    """The engine's own step of a network, on one batch that stays on the device."""

    def __init__(self, setting: Setting, name: str, mode: str | None = None, prepare=None):
        from skyloom.training import Plan, engine
        from skyloom.training.feed import Feed
        from skyloom.training.team import Team

        network = setting.networks[name]
        self.setting, self.engine = setting, engine
        self.batch_size = network.entry["batch"]
        examples = network.examples(self.batch_size)
        torch.manual_seed(0)
        self.task = engine._moved(setting.task(network, examples), setting.device).train()
        entry = network.entry | {"compile": mode}
        self.task.plan = Plan.from_entry(entry, 0).resolved(20000, 1)
        self.average = copy.deepcopy(self.task)
        if mode:
            engine._compile(self.task, mode)
        if prepare:
            prepare(self.task)
        self.optimisers = self.task.optimisers()
        team = Team()
        team.rank, team.world, team.device = 0, 1, setting.device
        feed = Feed(examples.train, team, self.task.invariants)
        (self.batch,) = feed.batches([(0, np.arange(self.batch_size))])
        self.run = types.SimpleNamespace(plan=self.task.plan, team=team, note=lambda *args: None)
        self.stop = types.SimpleNamespace(flag=torch.zeros((), device=setting.device))

    def one(self, step: int = 1) -> None:
        self.run.step = step
        self.run.team.seed(step)
        self.engine._step(self.task, self.optimisers, {}, self.batch, self.run, self.stop)
        self.engine._average(self.average, self.task, self.task.plan.ema, step)

    def milliseconds(self, seconds: float = 1.0, step: int = 1) -> float:
        """Mean time of a step over at least `seconds` and three steps, after three others."""
        for _ in range(3):
            self.one(step)
        self.setting.synchronise()
        begin, count = time.perf_counter(), 0
        while count < 3 or time.perf_counter() - begin < seconds:
            self.one(step)
            count += 1
            if count % 10 == 0:
                self.setting.synchronise()  # else the host would run ahead of the clock
        self.setting.synchronise()
        return 1e3 * (time.perf_counter() - begin) / count
