"""Train one model of a study: a network through the training engine, a baseline through its own
fit.

    python scripts/train_model.py --study co --model res_unet --seed 1 --config "$ENTRY" --data
        patches.nc \\
        --state results/demo/state/co/res_unet/seed1 --checkpoint best.ckpt --history history.csv
            --run-json run.json

With several GPUs it starts one process a GPU under torchrun. Exit codes: 0 finished, 75 saved and
to be run again (time budget spent, or a signal), 2 bad input, 1 the loss is not finite.
"""

import hashlib
import importlib
import io
import json
import math
import os
import sys
import time
from argparse import Namespace
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType

import torch
import torch.distributed as dist
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args as torchrun_args
from torch.distributed.run import run as torchrun

from skyloom import checkpoint, cli
from skyloom.files import read_json
from skyloom.finished import Finished
from skyloom.gpus import claim
from skyloom.patchset import PatchSet
from skyloom.provenance import file_checksum, git_state, package_versions, training_line
from skyloom.training import UNFINISHED, Plan, Result, fit

STARTED = time.monotonic()
# of batch norms, as torch names them
NORM_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def main() -> None:
    args = _arguments()
    if dist.is_torchelastic_launched():
        return train(args, int(os.environ["WORLD_SIZE"]))
    train(args, len(claim(args.gpus)) or args.config.get("processes", 1))


def train(args: Namespace, processes: int) -> None:
    """Train or fit with the GPUs that are visible, or hand over to torchrun where there are to be
    several processes. A training that has finished is taken over.
    """
    kind = args.config.get("kind", "network")
    processes = processes if kind == "network" else 1
    inputs = {
        str(path): file_checksum(path)
        for path in [*args.data, *([args.start] if args.start else [])]
    }
    digest = _digest(args, processes, inputs)
    files = (args.history, args.run_json, args.checkpoint)
    finished = Finished(args.state / "finished", digest, files)
    if not dist.is_torchelastic_launched():
        if _taken_over(finished):
            return
        if processes > 1:
            raise SystemExit(_launch(processes, args.threads))
    torch.set_num_threads(max(1, args.threads // processes - args.readers))
    module = _module(
        args.study, "baselines" if kind == "baseline" else f"models.{args.config['module']}"
    )
    examples = _module(args.study, "data.examples").load(args.data, args.config)
    for split in ("train", "valid"):
        if len(getattr(examples, split)) == 0:
            raise cli.BadInput(
                f"{args.data[0]}: no example of the split '{split}'; expected at least one"
            )
    plan = replace(Plan.from_entry(args.config, args.seed), readers=args.readers)

    def publish(result: Result) -> None:
        trained = {
            "study": args.study,
            "model": args.model,
            "kind": kind,
            "module": args.config.get("module"),
        }
        trained |= {
            "entry": args.config,
            "meta": examples.meta,
            "digest": digest,
            "state": result.weights,
        }
        account = {
            "study": args.study,
            "model": args.model,
            "entry": args.config,
            "seed": args.seed,
        }
        account |= {"plan": asdict(plan)} if kind == "network" else {}
        account |= {
            "data_kind": PatchSet(args.data[0]).attrs.get("data_kind", "unknown"),
            "inputs": inputs,
        }
        account |= {"digest": digest, "git": git_state(), "packages": package_versions()}
        account |= {"slurm_job": os.environ.get("SLURM_JOB_ID"), **result.summary}
        _publish(finished, trained, account, result.history)

    if kind == "baseline":
        publish(_fit_baseline(module, args, examples))
        return

    def make_task() -> torch.nn.Module:
        task = module.make_task(args.config, examples.meta)
        task.prepare(examples.train)
        return started(task, args.start)

    fit(
        make_task,
        examples.train,
        examples.valid,
        plan,
        args.state,
        publish,
        digest=digest,
        budget_minutes=_budget_minutes(args.runtime),
    )


def started(task: torch.nn.Module, path: Path | None) -> torch.nn.Module:
    """The task with the weights of the checkpoint at `path`, if one is given, where names and
    shapes agree.

    Of the buffers batch-norm statistics come along; what else is fitted beside the weights belongs
    to the other training set. Raises BadInput where no parameter agrees.
    """
    if path is None:
        return task
    found = checkpoint.load(path, {})["state"]
    known = dict(task.named_parameters())
    taken = {
        name
        for name, values in known.items()
        if name in found and found[name].shape == values.shape
    }
    if not taken:
        raise cli.BadInput(
            f"{path}: none of its {len(found)} tensors has name and shape of one of the "
            f"{len(known)} parameters;"
            " expected, as `start`, a model of the same module or with the same encoder"
        )
    norms = {
        name for name, values in task.named_buffers() if name.rpartition(".")[2] in NORM_STATISTICS
    }
    norms = {
        name for name in norms if name in found and found[name].shape == task.get_buffer(name).shape
    }
    task.load_state_dict({name: found[name] for name in taken | norms}, strict=False)
    print(
        f"starting from {path}: {len(taken)} of {len(known)} parameters taken over", file=sys.stderr
    )
    return task


def _arguments() -> Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--study", required=True)
    parser.add_argument("--model", required=True, help="the entry's name in the config")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help="the model's resolved config entry, JSON",
    )
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        required=True,
        help="patches.nc, then denoised.nc where used",
    )
    parser.add_argument(
        "--code",
        type=Path,
        nargs="*",
        default=[],
        help="source files that a resume must find unchanged",
    )
    parser.add_argument(
        "--state",
        type=Path,
        required=True,
        help="folder of the resumable state and of the finished training",
    )
    parser.add_argument(
        "--start", type=Path, help="best.ckpt of another model of the study, to start from"
    )
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--history", type=Path, required=True)
    parser.add_argument("--run-json", type=Path, required=True)
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of the job")
    parser.add_argument(
        "--runtime",
        type=float,
        default=math.inf,
        help="minutes the job may take, a margin included",
    )
    parser.add_argument(
        "--threads", type=int, default=1, help="CPU threads of all processes together"
    )
    parser.add_argument(
        "--readers",
        type=int,
        default=0,
        help="of each process's threads, worker processes that draw or read batches ahead",
    )
    return parser.parse_args()


def _launch(processes: int, threads: int) -> int:
    """Run this very command under torchrun; returns the workers' exit code, which torchrun itself
    turns into 1.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, threads // processes)))
    words = ["--standalone", "--nproc-per-node", str(processes)]
    # Without this SIGUSR1 kills torchrun and leaves its workers behind; the environment variable
    # has no effect.
    words += ["--signals-to-handle", "SIGTERM,SIGINT,SIGUSR1"]
    try:
        torchrun(torchrun_args([*words, *sys.argv]))
    except ChildFailedError as error:
        return max(1, error.get_first_failure()[1].exitcode)
    except SignalException as error:
        print(
            f"NOT FINISHED: {error}; run the same command again to go on from the saved state.",
            file=sys.stderr,
        )
        return UNFINISHED
    return 0


def _module(study: str, name: str) -> ModuleType:
    full = f"skyloom.{study}.{name}"
    try:
        return importlib.import_module(full)
    except ModuleNotFoundError as error:
        if not full.startswith(str(error.name)):  # something that the module imports is missing
            raise
        raise cli.BadInput(
            f"config: there is no module {full}; expected scripts/{full.replace('.', '/')}.py"
        ) from None


def _digest(args: Namespace, processes: int, inputs: dict[str, str]) -> str:
    """Stands for all that must be the same for a resume; file paths do not count."""
    code = sorted([path.name, file_checksum(path)] for path in args.code)
    key = [args.study, args.config, args.seed, code, list(inputs.values()), processes]
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def _budget_minutes(runtime: float) -> float:
    """The job's time less a tenth (ten minutes at most) for a last step, validation and saving; and
    less the start.
    """
    if math.isinf(runtime):
        return runtime
    return runtime - min(0.1 * runtime, 10.0) - (time.monotonic() - STARTED) / 60


def _fit_baseline(module: ModuleType, args: Namespace, examples) -> Result:
    """A baseline has no steps: its history is empty, its account short."""
    torch.manual_seed(args.seed)
    state = module.fit(args.config, examples, args.seed)
    seconds = time.monotonic() - STARTED
    summary = {
        "examples_seen": len(examples.train),
        "resumes": 0,
        "wall_seconds": seconds,
        "device_seconds": seconds,
    }
    summary |= {"device": "cpu", "processes": 1, "threads": torch.get_num_threads()}
    return Result(state, "step,epoch\n", summary)


def _taken_over(finished: Finished) -> bool:
    """Whether this very training has finished before; its files are then in place again."""
    if not finished.exists():
        return False
    finished.publish()
    _, run_json, _ = finished.files
    print(f"taken over from the finished training in {finished.folder}", file=sys.stderr)
    print(training_line(read_json(run_json)))
    return True


def _publish(finished: Finished, checkpoint: dict, account: dict, history: str) -> None:
    """Keep the three files, then put them in place."""
    history_file, run_json, best = map(finished.kept, finished.files)
    with cli.atomic(history_file) as part:
        part.write_text(history)
    with cli.atomic(run_json) as part:
        part.write_text(json.dumps(account, indent=1) + "\n")
    buffer = io.BytesIO()  # torch's own writer hides a full disc
    torch.save(checkpoint, buffer)
    with cli.atomic(best) as part:
        part.write_bytes(buffer.getbuffer())
    finished.seal()
    finished.publish()
    print(training_line(account))


if __name__ == "__main__":
    cli.run(main, gpus=True)
