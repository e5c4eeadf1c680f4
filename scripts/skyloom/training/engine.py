"""How a training run lives, from the first weights to the published ones (`docs/architecture.md`,
training).

One loop for supervised and adversarial tasks. A run that was killed, ran out of time or got a
signal goes on from its saved state and gives the history of an uninterrupted one, byte for byte
(same device, threads and processes).
"""

import contextlib
import math
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from skyloom.cli import BadInput
from skyloom.training.feed import batches, on_device, rows, seed_of
from skyloom.training.lock import locked
from skyloom.training.log import Log
from skyloom.training.state import Diverged, Run
from skyloom.training.task import Batch, Examples, Plan, Task
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
    train: Examples,
    valid: Examples,
    plan: Plan,
    state: Path,
    publish: Callable[[Result], None],
    *,
    digest: str = "",
    budget_minutes: float = math.inf,
) -> None:
    """Train to the plan's end and call `publish`, or save the state and leave with exit code
    `UNFINISHED`.

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
        plan = plan.resolved(len(train), team.world)
        torch.manual_seed(plan.seed)
        task = make_task().to(team.device, memory_format=torch.channels_last).train()
        task.plan = plan
        average = AveragedModel(task, multi_avg_fn=_warmed_up_average(plan.ema))
        optimisers = task.optimisers()
        schedules = task.schedules(optimisers)
        parts = {
            "task": task,
            "average": average,
            **optimisers,
            **{f"lr_{k}": v for k, v in schedules.items()},
        }
        parts |= task.memory()
        run = Run(state, plan, digest, team, parts)
        run.load()
        log = Log(run, quiet=team.rank > 0)
        log.say(_opening(run))
        try:
            indices = (
                rows(len(train), step, plan, team.rank, team.world)
                for step in range(run.step, plan.steps)
            )
            for batch in batches(train, indices, team):
                team.seed(seed_of(plan.seed, run.step, team.rank))
                _step(task, optimisers, schedules, batch, run, team, stop)
                average.update_parameters(task)
                run.step += 1
                last = run.step == plan.steps
                row = last or run.step % plan.valid_every == 0
                if not row and run.step % team.check_every:
                    continue
                run.take_stock()
                if lost.is_set():
                    raise BadInput(
                        f"{state}: another trainer has taken this folder over since this one "
                        "stood still; "
                        f"this one ends at step {run.step} and saves nothing more"
                    )
                if row:
                    log.row(_row(run, average.module, optimisers, train, valid, team))
                log.progress()
                leave = run.told_to_stop and not last
                if leave or last or run.due(row):
                    run.save()
                if leave:
                    team.barrier()  # torchrun ends all processes when the first one leaves
                    reason = stop.reason or "another process was told to stop"
                    log.say(
                        f"NOT FINISHED: {reason}. The state is saved at step {run.step} of "
                        f"{plan.steps} in {state}; "
                        f"run the same command again to go on."
                    )
                    sys.exit(UNFINISHED)
        except Diverged as error:
            log.say(
                f"STOPPED: {error}; {run.kept()} in {state}. Running the same again ends the same "
                "way: lower "
                f"learning_rate or set clip in the model's entry (training then starts anew)."
            )
            sys.exit(1)
        finally:
            log.close()
        if team.rank == 0:
            publish(Result(_calibrated(run, average.module, valid), run.csv(), _summary(run, task)))
            run.forget()
            log.say(
                f"FINISHED: {plan.steps} steps; best {_first_score(run)} {run.best:.4g} at step "
                f"{run.best_step}, "
                f"whose weights are published."
            )
        team.barrier()


@contextlib.contextmanager
def _one_trainer(state: Path, team: Team) -> Iterator[threading.Event]:
    """The lock is rank 0's; the others wait for it, still without signal handlers, so that a
    refusal ends them too.
    """
    with locked(state) if team.rank == 0 else contextlib.nullcontext(threading.Event()) as lost:
        team.barrier()
        yield lost


def _step(
    task: Task, optimisers: dict, schedules: dict, batch: Batch, run: Run, team: Team, stop: Stop
) -> None:
    """One turn of each loss that the task yields, with its optimiser's step."""
    losses = task.losses(batch, run.step)
    while True:
        with team.autocast():
            name, loss = next(losses, (None, None))
        if name is None:
            return
        optimiser = optimisers[name]
        parameters = [
            parameter for group in optimiser.param_groups for parameter in group["params"]
        ]
        optimiser.zero_grad()
        loss.backward(
            inputs=parameters
        )  # this optimiser's weights only: a GAN needs no requires_grad switches
        record = torch.stack([loss.detach().float(), stop.flag])
        if (
            team.world > 1
            # gradients, batch-norm statistics and the loss in one all-reduce: ranks stay replicas
        ):
            gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
            statistics = [buffer for buffer in task.buffers() if buffer.is_floating_point()]
            team.mean_([*gradients, *statistics, record])
        if run.plan.clip is not None:
            nn.utils.clip_grad_norm_(parameters, run.plan.clip)
        optimiser.step()
        if name in schedules:
            schedules[name].step()
        run.note(name, record)


def _row(
    run: Run, averaged: Task, optimisers: dict, train: Examples, valid: Examples, team: Team
) -> dict[str, float]:
    """One row of the history; keeps the weights where the first validation score is the best since
    `judged_from`.

    The training score is taken as the validation score is, in evaluation mode, on a fixed part of
    the training set as large as the validation set: dropout and moving weights cannot make it look
    worse than validation.
    """
    part = np.linspace(0, len(train) - 1, min(len(train), len(valid))).astype(np.int64)
    train_scores = _scores(averaged, train, part, run.plan, team)
    valid_scores = _scores(averaged, valid, np.arange(len(valid)), run.plan, team)
    losses, first = run.means(), next(iter(valid_scores))
    if run.step >= min(averaged.judged_from, run.plan.steps):
        run.keep_if_best(first, valid_scores[first], averaged)
    return {
        "step": run.step,
        "epoch": run.step / (len(train) // run.plan.batch),
        **{
            f"loss_{name}": losses.get(name, math.nan) for name in optimisers
        },  # one may have had no step since
        **{f"train_{name}": value for name, value in train_scores.items()},
        **{f"valid_{name}": value for name, value in valid_scores.items()},
        **{
            f"lr_{name}": float(optimiser.param_groups[0]["lr"])
            for name, optimiser in optimisers.items()
        },
    }


@torch.no_grad()
def _scores(
    task: Task, data: Examples, index: np.ndarray, plan: Plan, team: Team
) -> dict[str, float]:
    """Mean scores over the examples `index`, shared among the processes."""
    task.eval()
    team.seed(seed_of(plan.seed, "score", team.rank))
    mine, chunk = index[team.rank :: team.world], max(1, plan.batch // team.world)
    sums: dict[str, Tensor] = {}
    for start in range(0, len(mine), chunk):
        with team.autocast():
            scores = task.score(on_device(data[mine[start : start + chunk]], team.device))
        for name, values in scores.items():
            sums[name] = sums.get(name, 0) + values.double().sum()
    team.sum_(sums.values())
    return {name: total.item() / len(index) for name, total in sums.items()}


@torch.no_grad()
def _calibrated(run: Run, task: Task, valid: Examples) -> dict[str, Tensor]:
    """The best weights, and beside them what the task fits to the validation split."""
    task.load_state_dict(run.best_weights)
    task.eval()
    run.team.seed(seed_of(run.plan.seed, "calibrate", 0))
    chunks = np.split(np.arange(len(valid)), range(run.plan.batch, len(valid), run.plan.batch))
    task.calibrate(on_device(valid[index], run.team.device) for index in chunks)
    return {name: value.detach().cpu().clone() for name, value in task.state_dict().items()}


def _warmed_up_average(decay: float) -> Callable:
    """Exponential average whose memory grows with the steps done, so that a short run forgets its
    first weights too.
    """

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
        done = int(count)  # AveragedModel keeps its count on the CPU
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + done) / (10 + done)))

    return update


def _opening(run: Run) -> str:
    plan, team = run.plan, run.team
    where = f"{team.world} process(es), {team.device.type}"
    where += f", {torch.get_num_threads()} thread(s) each"
    if run.resumes:
        return f"going on from step {run.step} of {plan.steps} ({where})"
    text = f"training {plan.steps} steps of {plan.batch} examples ({where})"
    if run.others():
        text += f"; starting anew, the state in {run.folder} is of another configuration, code or"
        text += " training set"
    return text


def _first_score(run: Run) -> str:
    return next(name for name in run.history[-1] if name.startswith("valid_"))


def _summary(run: Run, task: Task) -> dict:
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
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "processes": run.team.world,
        "threads": torch.get_num_threads(),
    }
