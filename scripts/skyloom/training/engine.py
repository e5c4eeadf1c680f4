"""How a training run lives, from the first weights to the published ones (`docs/architecture.md`,
training).

One loop for supervised and adversarial tasks. A run that was killed, ran out of time or got a
signal goes on from its saved state and gives the history of an uninterrupted one, byte for byte
(same device, threads and processes).
"""

import contextlib
import copy
import math
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from skyloom.cli import BadInput
from skyloom.examples import Split, Stream
from skyloom.lock import locked
from skyloom.training.account import Account
from skyloom.training.feed import Feed, place, seed_of
from skyloom.training.log import Log
from skyloom.training.state import Diverged, Run
from skyloom.training.task import Batch, Plan, Task
from skyloom.training.team import Stop, Team

UNFINISHED = 75  # exit code EX_TEMPFAIL: the state is saved, run me again


@dataclass(frozen=True)
class Result:
    """What a finished run gives: the weights of the best validation score, the history as CSV, and
    its account.
    """

    weights: dict[str, Tensor]
    history: str
    summary: dict


def fit(
    make_task: Callable[[], Task],
    train: Split | Stream,
    valid: Split,
    plan: Plan,
    state: Path,
    publish: Callable[[Result], None],
    *,
    digest: str = "",
    budget_minutes: float = math.inf,
) -> None:
    """Train to the plan's end and call `publish`, or save the state and leave with `UNFINISHED`.

    `make_task` is called after seeding, so that the same seed gives the same first weights.
    `digest` stands for all that must be the same for a resume (configuration, code, data). The
    state in the folder `state` is removed after `publish` returned, on rank 0. A loss that is not
    finite ends the run with exit code 1 and the last state kept.
    """
    with (
        Team() as team,
        _one_trainer(state, team) as lost,
        Stop(budget_minutes, team.device) as stop,
    ):
        if len(valid) < team.world:
            raise BadInput(
                f"{len(valid)} validation example(s) cannot be shared by {team.world} processes"
            )
        plan = plan.resolved(len(train), team.world)
        if isinstance(train, Stream):
            train.seed = plan.seed
        torch.manual_seed(plan.seed)
        task = _moved(make_task(), team.device).train()
        task.plan = plan
        average = copy.deepcopy(task)
        if plan.compile:
            _require_compiler(plan.compile)
            _compile(task, plan.compile)
        optimisers = task.optimisers()
        schedules = task.schedules(optimisers)
        account = Account(plan, team)
        parts = {"task": task, "average": average, "account": account}
        parts |= {**optimisers, **task.memory()}
        parts |= {f"lr_{name}": schedule for name, schedule in schedules.items()}
        run = Run(state, plan, digest, team, parts)
        run.load()
        log = Log(run, quiet=team.rank > 0)
        log.say(_opening(run))
        feeds = tuple(Feed(data, team, task.invariants) for data in (train, valid))
        try:
            for batch in feeds[0].batches(_places(run, len(train)), plan.readers):
                team.seed(seed_of(plan.seed, run.step, team.rank))
                with account.counted(run.step):
                    _step(task, optimisers, schedules, batch, run, stop)
                _average(average, task, plan.ema, run.step)
                run.step += 1
                last = run.step == plan.steps
                row = last or run.step % plan.valid_every == 0
                if not row and run.step % team.check_every:
                    continue
                run.take_stock()
                account.look()
                if lost.is_set():
                    raise BadInput(
                        f"{state}: another trainer has taken this folder over since this one stood"
                        f" still; this one ends at step {run.step} and saves nothing more"
                    )
                if row:
                    team.compare(task, run.step)
                    log.row(_row(run, average, optimisers, *feeds))
                log.progress()
                leave = run.told_to_stop and not last
                if leave or last or run.due(row):
                    run.save()
                if leave:
                    run.note_stop()
                    team.barrier()  # torchrun ends all processes when the first one leaves
                    reason = stop.reason or "another process was told to stop"
                    log.say(
                        f"NOT FINISHED: {reason}. The state is saved at step {run.step} of "
                        f"{plan.steps} in {state}; run the same command again to go on."
                    )
                    sys.exit(UNFINISHED)
        except Diverged as error:
            log.say(
                f"STOPPED: {error}; {run.kept()} in {state}. Running the same again ends the same "
                "way: lower learning_rate or set clip in the model's entry (training then starts "
                "anew)."
            )
            sys.exit(1)
        finally:
            log.close()
        if team.rank == 0:
            weights = _calibrated(run, average, feeds[1])
            publish(Result(weights, run.csv(), _summary(run, task, account)))
            run.forget()
            log.say(
                f"FINISHED: {plan.steps} steps; best {_first_score(run)} {run.best:.4g} at step "
                f"{run.best_step}, whose weights are kept."
            )
        team.barrier()


def _places(run: Run, n_train: int) -> Iterator[tuple[int, np.ndarray]]:
    """What this process reads at each step that is left."""
    for step in range(run.step, run.plan.steps):
        yield place(n_train, step, run.plan, run.team.rank, run.team.world)


def _moved(task: Task, device: torch.device) -> Task:
    """The task on the device; 2-D convolutions channels-last, which only rank 4 knows."""
    return task._apply(
        lambda values: values.to(
            device, memory_format=torch.channels_last if values.ndim == 4 else torch.preserve_format
        )
    )


def _require_compiler(mode: str) -> None:
    """Refuse a compilation before the first step fails with torch's own error."""
    names = [os.environ.get("CC", "cc"), "gcc", "clang"]
    if not any(map(shutil.which, names)):
        raise BadInput(
            f"compile: {mode} needs a C compiler; found none of {', '.join(names)} on this node."
            " Load one, or set compile: null"
        )


def _compile(module: nn.Module, mode: str) -> None:
    """Compile each network of a task, in place: names of weights stay as they are."""
    for child in module.children():
        if isinstance(child, Task | nn.ModuleList | nn.ModuleDict):
            _compile(child, mode)
        else:
            child.compile(mode=mode)


@contextlib.contextmanager
def _one_trainer(state: Path, team: Team) -> Iterator[threading.Event]:
    """The lock, which is rank 0's.

    The others wait for it, still without signal handlers, so that a refusal ends them too.
    """
    with locked(state) if team.rank == 0 else contextlib.nullcontext(threading.Event()) as lost:
        team.barrier()
        yield lost


def _step(
    task: Task, optimisers: dict, schedules: dict, batch: Batch, run: Run, stop: Stop
) -> None:
    """One turn of each loss that the task yields, with its optimiser's step."""
    if run.plan.compile:
        torch.compiler.cudagraph_mark_step_begin()  # what earlier steps gave may be overwritten
    losses = task.losses(batch, run.step)
    while True:
        with run.team.autocast(run.plan.precision):
            name, loss = next(losses, (None, None))
        if name is None:
            return
        optimiser = optimisers[name]
        parameters = [
            parameter for group in optimiser.param_groups for parameter in group["params"]
        ]
        optimiser.zero_grad()
        # this optimiser's weights only: a GAN needs no requires_grad switches
        loss.backward(inputs=parameters)
        record = torch.stack([loss.detach().float(), stop.flag])
        if run.team.world > 1:
            # gradients, statistics and the loss in one all-reduce: the ranks stay replicas
            gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
            statistics = [values for values in _statistics(task) if values.is_floating_point()]
            run.team.mean_([*gradients, *statistics, record])
        if run.plan.clip is not None:
            nn.utils.clip_grad_norm_(parameters, run.plan.clip)
        optimiser.step()
        if name in schedules:
            schedules[name].step()
        run.note(name, record)


def _statistics(task: Task) -> list[Tensor]:
    """Buffers that training may change (those of batch norms): the ones that are saved.

    A buffer that is not persistent is a constant.
    """
    return [
        values
        for module in task.modules()
        for name, values in module._buffers.items()
        if values is not None and name not in module._non_persistent_buffers_set
    ]


@torch.no_grad()
def _average(average: Task, task: Task, decay: float, done: int) -> None:
    """One step of the exponential average, after `done` others.

    Its memory grows with the steps, so that a short run forgets its first weights too. The count is
    a number of the host: torch's AveragedModel reads it from the GPU, and waits for that.
    """
    weight = 1.0 if done == 0 else 1 - min(decay, (1 + done) / (10 + done))
    torch._foreach_lerp_(list(average.parameters()), list(task.parameters()), weight)
    for averaged, current in zip(_statistics(average), _statistics(task), strict=True):
        averaged.copy_(current)


def _row(run: Run, average: Task, optimisers: dict, train: Feed, valid: Feed) -> dict[str, float]:
    """One row of the history; keeps the weights of the best first validation score.

    The training score is taken as the validation score is, in evaluation mode, on a fixed part of
    the training set as large as the validation set: dropout and moving weights cannot make it look
    worse than validation. Of a stream it is a part of the first epoch.
    """
    part = np.linspace(0, len(train) - 1, min(len(train), len(valid))).astype(np.int64)
    train_scores = _scores(average, train, part, run)
    valid_scores = _scores(average, valid, np.arange(len(valid)), run)
    losses, first = run.means(), next(iter(valid_scores))
    if run.step >= min(average.judged_from, run.plan.steps):
        run.keep_if_best(first, valid_scores[first], average)
    rates = {name: float(o.param_groups[0]["lr"]) for name, o in optimisers.items()}
    return {
        "step": run.step,
        "epoch": run.step / (len(train) // run.plan.batch),
        # an optimiser may have had no step since the last row
        **{f"loss_{name}": losses.get(name, math.nan) for name in optimisers},
        **{f"train_{name}": value for name, value in train_scores.items()},
        **{f"valid_{name}": value for name, value in valid_scores.items()},
        **{f"lr_{name}": rate for name, rate in rates.items()},
    }


@torch.no_grad()
def _scores(task: Task, feed: Feed, index: np.ndarray, run: Run) -> dict[str, float]:
    """Mean scores over the examples `index`, shared among the processes."""
    team = run.team
    task.eval()
    team.seed(seed_of(run.plan.seed, "score", team.rank))
    sums: dict[str, Tensor] = {}
    for batch in feed.batches(
        _chunks(index[team.rank :: team.world], run.plan.batch // team.world)
    ):
        with team.autocast(run.plan.precision):
            scores = task.score(batch)
        for name, values in scores.items():
            sums[name] = sums.get(name, 0) + values.double().sum()
    team.sum_(sums.values())
    return {name: total.item() / len(index) for name, total in sums.items()}


@torch.no_grad()
def _calibrated(run: Run, task: Task, valid: Feed) -> dict[str, Tensor]:
    """The best weights, and beside them what the task fits to the validation split."""
    task.load_state_dict(run.best_weights)
    task.eval()
    run.team.seed(seed_of(run.plan.seed, "calibrate", 0))
    task.calibrate(valid.batches(_chunks(np.arange(len(valid)), run.plan.batch)))
    return {name: value.detach().cpu().clone() for name, value in task.state_dict().items()}


def _chunks(index: np.ndarray, size: int) -> Iterator[tuple[int, np.ndarray]]:
    """Places of the first epoch, `size` examples each."""
    for start in range(0, len(index), max(1, size)):
        yield 0, index[start : start + max(1, size)]


def _opening(run: Run) -> str:
    plan, team = run.plan, run.team
    where = f"{team.world} process(es), {team.device.type}"
    where += f", {torch.get_num_threads()} thread(s) each, {team.precision(plan.precision)}"
    if run.resumes:
        text = f"going on from step {run.step} of {plan.steps} ({where})"
        if run.device != team.device.type:
            text += f"; begun on {run.device}: the history is not that of one device alone"
        return text
    text = f"training {plan.steps} steps of {plan.batch} examples ({where})"
    if run.others():
        text += f"; starting anew, the state in {run.folder} is of another configuration, code,"
        text += " training set or number of processes"
    return text


def _first_score(run: Run) -> str:
    return next(name for name in run.history[-1] if name.startswith("valid_"))


def _summary(run: Run, task: Task, account: Account) -> dict:
    device = run.team.device
    return {
        "steps": run.step,
        "examples_seen": run.step * run.plan.batch,
        "best_step": run.best_step,
        "best": {_first_score(run): run.best},
        "parameters": sum(parameter.numel() for parameter in task.parameters()),
        "resumes": run.resumes,
        "wall_seconds": run.seconds,  # without what a kill threw away
        "device_seconds": run.seconds * run.team.world,
        **account.summary(run.step, run.seconds),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "processes": run.team.world,
        "threads": torch.get_num_threads(),
        "precision": run.team.precision(run.plan.precision),
    }
