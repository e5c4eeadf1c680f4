"""What a training costs: operations of its steps, and how busy the GPU is."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from skyloom import gpus
from skyloom.training.task import Plan
from skyloom.training.team import Team

LOOK_SECONDS = 5  # between two looks at the GPU


class Counter(TorchDispatchMode):
    """Floating-point operations by torch's own formulas, two for a multiplication and its sum.

    torch's FlopCounterMode takes operations apart, which moves last digits, and fails with a
    gradient penalty.
    """

    def __init__(self):
        super().__init__()
        self.flop = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        out = operation(*args, **(kwargs or {}))
        formula = flop_registry.get(operation.overloadpacket)
        if formula is not None:
            self.flop += formula(*args, **(kwargs or {}), out_val=out)
        return out


class Account:
    """Measured beside the training, without a wait for the GPU; resumed with it."""

    def __init__(self, plan: Plan, team: Team):
        self.plan, self.team = plan, team
        self.flop: list[int] = []  # of a step of this process
        self.busy: list[float] = []  # share of the last moments, at each look
        self.looked = time.monotonic()

    def state_dict(self) -> dict:
        return {"flop": self.flop, "busy": self.busy}

    def load_state_dict(self, state: dict) -> None:
        self.flop, self.busy = state["flop"], state["busy"]

    @contextmanager
    def counted(self, step: int) -> Iterator[None]:
        """Count the operations of the second and of the last but one step.

        Two, since a task may train one network after another; not the first, in which penalties of
        every so many steps fall due. These two are not compiled: fused operations have no formula.
        """
        last = self.plan.steps - 1
        if step not in (min(1, last), max(0, last - 1)):
            yield
            return
        eager = torch.compiler.set_stance("force_eager") if self.plan.compile else nullcontext()
        with eager, Counter() as counter:
            yield
        self.flop.append(counter.flop)

    def look(self) -> None:
        """Note how busy the GPU is, if some time has passed."""
        now = time.monotonic()
        if self.team.device.type == "cuda" and now - self.looked > LOOK_SECONDS:
            self.looked = now
            share = gpus.utilisation()
            self.busy += [share] if share is not None else []

    def summary(self, steps: int, seconds: float) -> dict[str, float | None]:
        """Operations of an example, of all processes in a second, and the GPU's busy share.

        None where nothing was counted or seen. Seconds include validation and saving.
        """
        step = sum(self.flop) / len(self.flop) * self.team.world if self.flop else None
        return {
            "flop_an_example": step and step / self.plan.batch,
            "flop_per_second": step and step * steps / seconds,
            "busy_share": sum(self.busy) / len(self.busy) if self.busy else None,
        }
