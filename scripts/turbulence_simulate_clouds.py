"""Simulate one shard of a set's clouds: decaying isothermal turbulence.

A simulation starts from a solenoidal velocity field.
"""

import sys
import time
from pathlib import Path

from skyloom import cli
from skyloom.gpus import claim
from skyloom.turbulence.simulate.plan import shard, simulations


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help="section simulate of the set"
    )
    parser.add_argument("--shard", type=int, required=True)
    parser.add_argument("--shards", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of the job")
    args = parser.parse_args()
    claim(args.gpus)
    config = args.config

    rows = simulations(config)
    shard_rows = shard(rows, args.shard, args.shards)
    device = _prepare(config["backend"], args.threads)
    # this import loads numba, which takes time, and comes after all refusals of the config
    from skyloom.turbulence.simulate.snapshots import write_snapshots

    wall, core = time.perf_counter(), time.process_time()
    failures = write_snapshots(config, shard_rows, args.output, device)
    for seed, reason in failures.items():
        print(f"simulation with seed {seed} failed: {reason}", file=sys.stderr)
    print(
        f"{len(shard_rows)} of {len(rows)} simulations of {config['grid']}^3 cells, "
        f"{len(failures)} failed: {time.perf_counter() - wall:.1f} s, "
        f"{time.process_time() - core:.1f} s of CPU ({device or config['backend']})"
    )


def _prepare(backend: str, threads: int) -> str | None:
    """Set the threads of the backend. Returns torch's device, None for the other backends."""
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
    cli.run(main, gpus=True)
