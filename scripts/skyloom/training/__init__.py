"""The one training engine of all studies: plain torch and torchrun.

A study says what is learned (`Task`), its config for how long (`Plan`); `fit` knows how a run
lives: resume, time budget, several processes, weight average, logs. Read `engine.py` first, it is
the whole loop.
"""

from skyloom.training.engine import UNFINISHED, Result, fit
from skyloom.training.task import Plan, Task, adamw, one_cycle

__all__ = ["UNFINISHED", "Plan", "Result", "Task", "adamw", "fit", "one_cycle"]
