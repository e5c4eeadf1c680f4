"""What the CUDA path does on a real GPU: one command, about six minutes, a table.

    python benchmarks/gpu_smoke [--device cuda] [--seconds 360] [--out FOLDER] [--only CHECK ...]
    python benchmarks/gpu_smoke --device cpu --small    # the same code, to try the script itself

Nothing is installed or downloaded: packages that are missing are replaced by stand-ins, and data
are random fields. Each check has a time limit and runs in a child process, which is replaced when
it hangs or dies: an error of CUDA spoils a process. All numbers go to FOLDER/gpu_smoke.json. A
machine without PyYAML needs the networks from another one:

    python benchmarks/gpu_smoke --write-networks networks.json
    python benchmarks/gpu_smoke --networks networks.json

Exit code 1 where a check failed.
"""

import argparse
import collections
import contextlib
import dataclasses
import faulthandler
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from checks import CHECKS, Failed, compiled_step, worker
from setting import Setting, survey_networks

BEGIN = time.monotonic()
START_SECONDS = 60  # of a child, before its first check
STACK_SECONDS = 2  # of a child that hangs, to say where
SLOWER_ON_CPU = 6  # times the limits of the checks
COLUMNS = ("batch", "ms", "ms of a late step", "TFLOP/s", "of bf16 products", "GiB", "kernels")
COLUMNS += ("busy", "waits")


def main() -> None:
    args = arguments()
    if args.write_networks:
        described = {k: dataclasses.asdict(v) for k, v in survey_networks().items()}
        args.write_networks.write_text(json.dumps(described, indent=1) + "\n")
    elif args.worker:
        worker(Setting(args.device, args.small, args.networks), args.worker)
    elif args.compiled:
        setting = Setting(args.device, args.small, args.networks)
        print(json.dumps(compiled_step(setting, args.compiled)))
    elif args.child is not None:
        child(args)
    else:
        results = supervise(args)
        print(table(results))
        sys.exit(any(row["failed"] for row in results.values()))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--small", action="store_true", help="narrow networks, little data")
    parser.add_argument("--seconds", type=float, default=360, help="of all checks together")
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", ".")))
    parser.add_argument("--only", nargs="*", choices=list(CHECKS), default=list(CHECKS))
    parser.add_argument("--networks", type=Path, help="written by --write-networks")
    parser.add_argument("--write-networks", type=Path)
    parser.add_argument("--child", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--compiled", help=argparse.SUPPRESS)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def child(args: argparse.Namespace) -> None:
    """Run checks one after another, and tell the parent by lines that begin with @@."""
    faulthandler.register(signal.SIGUSR1, file=sys.__stderr__)  # from the parent, of a hung check
    setting = Setting(args.device, args.small, args.networks)
    for name in args.child:
        print(f"@@start {name}", flush=True)
        begin, failed = time.perf_counter(), None
        try:
            for key, value in CHECKS[name][0](setting):
                print("@@found " + json.dumps({key: value}, default=str), flush=True)
        except Failed as error:
            failed = str(error)
        except Exception as error:
            traceback.print_exc()
            failed = f"{type(error).__name__}: {error}"[:500]
        end = {"s": round(time.perf_counter() - begin, 1), "failed": failed}
        print("@@end " + json.dumps(end), flush=True)
        if failed and "CUDA error" in failed:
            os._exit(3)  # this process can do no more


def supervise(args: argparse.Namespace) -> dict[str, dict]:
    """The result of each check, from as many children as it takes."""
    todo, results = list(args.only), {}
    while todo and left(args) > 20:
        results |= one_child(args, todo)
        todo = [name for name in todo if name not in results]
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "gpu_smoke.json").write_text(json.dumps(results, indent=1) + "\n")
    missing = {"s": None, "failed": "not run: no time left", "found": {}}
    return results | dict.fromkeys(todo, missing)


def one_child(args: argparse.Namespace, todo: list[str]) -> dict[str, dict]:
    """Results of the checks that a child gets through; the one in which it ends has failed."""
    words = [sys.executable, __file__, "--device", args.device, *["--small"] * args.small]
    words += ["--networks", str(args.networks)] if args.networks else []
    process = subprocess.Popen(
        [*words, "--child", *todo],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    lines: queue.Queue = queue.Queue()
    threading.Thread(target=read, args=(process.stdout, lines), daemon=True).start()
    results, now, tail = {}, todo[0], collections.deque(maxlen=60)
    found: dict[str, dict] = {name: {} for name in todo}
    deadline = time.monotonic() + START_SECONDS
    while len(results) < len(todo):
        try:
            line = lines.get(timeout=max(0.1, min(deadline - time.monotonic(), left(args))))
        except queue.Empty:
            line = None
            tail.append("its time is up\n")
            tail.extend(stacks(process, lines))
        if line is None:
            break
        mark, _, rest = line.partition(" ")
        if mark == "@@start":
            now = rest.strip()
            slower = SLOWER_ON_CPU if args.device == "cpu" else 1
            deadline = time.monotonic() + CHECKS[now][1] * slower
        elif mark == "@@found":
            found[now] |= json.loads(rest)
            print("   ", json.dumps(short(json.loads(rest)))[1:-1], flush=True)
        elif mark == "@@end":
            results[now] = json.loads(rest)
            report(now, results[now])
        else:
            tail.append(line)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait()
    if now not in results:
        results[now] = {"s": None, "failed": "hung or died", "output": "".join(tail)}
        report(now, results[now])
    return {name: row | {"found": found[name]} for name, row in results.items()}


def stacks(process: subprocess.Popen, lines: queue.Queue) -> Iterator[str]:
    """Where the threads of a child stand that has not said a word for too long."""
    process.send_signal(signal.SIGUSR1)
    with contextlib.suppress(queue.Empty):
        while line := lines.get(timeout=STACK_SECONDS):
            yield line


def read(stream, lines: queue.Queue) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def left(args: argparse.Namespace) -> float:
    return args.seconds - (time.monotonic() - BEGIN)


def report(name: str, row: dict) -> None:
    print(f"{name}: {'FAILED, ' + row['failed'] if row['failed'] else 'ok'}, {row['s']} s")
    print(row.get("output", ""), end="", flush=True)


def short(value):
    """Floats with four digits, in nested tables too."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: short(item) for key, item in value.items()}
    return value


def table(results: dict[str, dict]) -> str:
    """The results for benchmarks/README.md."""
    lines = ["", "| check | s | |", "|---|---|---|"]
    for name, row in results.items():
        lines.append(f"| {name} | {row['s']} | {row['failed'] or 'ok'} |")
    steps = results.get("steps", {}).get("found", {})
    columns = [c for c in COLUMNS if any(c in row for row in steps.values())]
    if columns:
        lines += ["", f"| a step of | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in steps.items() if columns else ():
        cells = [sum(v.values()) if isinstance(v := row.get(c, ""), dict) else v for c in columns]
        failed = row.get("FAILED", "")
        lines.append(f"| {name} {failed} | {' | '.join(str(short(cell)) for cell in cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
