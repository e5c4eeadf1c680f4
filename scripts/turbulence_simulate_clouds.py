"""Simulate one shard of a set's clouds: decaying isothermal turbulence from a solenoidal velocity
field.
"""

import sys
import time
from pathlib import Path

from skyloom.cli import json_argument, parser, run
from skyloom.turbulence.simulate.plan import shard, simulations


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument(
        "--config", type=json_argument, required=True, help="section simulate of the set"
    )
    arguments.add_argument("--shard", type=int, required=True)
    arguments.add_argument("--shards", type=int, required=True)
    arguments.add_argument("--threads", type=int, default=1, help="CPU threads")
    arguments.add_argument("--output", type=Path, required=True)
    args = arguments.parse_args()
    config = args.config

    everything = simulations(config)
    mine = shard(everything, args.shard, args.shards)
    device = _prepare(config["backend"], args.threads)
    # what follows loads numba, which is of no use to a config that was refused
    from skyloom.turbulence.simulate.snapshots import write_snapshots

    wall, core = time.perf_counter(), time.process_time()
    failures = write_snapshots(config, mine, args.output, device)
    for seed, reason in failures.items():
        print(f"simulation with seed {seed} failed: {reason}", file=sys.stderr)
    print(
        f"{len(mine)} of {len(everything)} simulations of {config['grid']}^3 cells, "
        f"{len(failures)} failed: "
        f"{time.perf_counter() - wall:.1f} s, {time.process_time() - core:.1f} s of CPU "
        f"({device or config['backend']})"
    )


def _prepare(backend: str, threads: int) -> str | None:
    """Threads of the backend; torch's device, a GPU where there is one, and None for the others."""
    if backend == "early":
        return None
    if backend == "numba":
        import numba

        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        return None
    import torch

    torch.set_num_threads(threads)
    return "cuda" if torch.cuda.is_available() else "cpu"


if __name__ == "__main__":
    run(main)
