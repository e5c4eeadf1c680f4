# GPU-hours that a run or dry run at survey size announces, before anything is submitted.
# The operations of a step are counted once by benchmarks/training_cost.py; no scientific library is imported here.
A100_FLOPS = (
    312e12 * 0.25
)  # [1/s] bf16 with float32 accumulation, and the share that networks of this kind reach
TITLE = "Estimate: {study}, networks still to be trained, on A100 in bf16 at 25 % of its peak"


def estimate(study):
    """Lines for people: GPU-hours of each network that has no checkpoint yet, and their sum."""
    cost = read_yaml(BASE / "config" / study / "costs.yaml")["gflop"]
    lines, total = [TITLE.format(study=study)], 0.0
    for model in config[study]["run_models"]:
        entry = config[study]["models"][model]
        path = f"{RUN}/{study}/models/{model}"
        todo = [
            seed
            for seed in seeds(study, model)
            if not Path(f"{path}/seed{seed}/best.ckpt").exists()
        ]
        if entry["kind"] != "network" or not todo:
            continue
        if model not in cost:
            lines.append(
                f"  {model:28s} not in config/{study}/costs.yaml: see benchmarks/training_cost.py"
            )
            continue
        steps = entry["steps"]
        seen = (
            steps * entry["batch"] if steps else entry["epochs"] * TRAINING_EXAMPLES[study](entry)
        )
        hours = seen * cost[model] * 1e9 / A100_FLOPS / 3600
        total += hours * len(todo)
        gpus = max(entry["gpus"], 1)
        one = f"{hours / gpus:.2f} h on {gpus} GPU"
        lines.append(f"  {model:28s} {len(todo)} x {one:18s} {hours * len(todo):8.2f} GPU-hours")
    return [*lines, f"  {'sum':28s} {'':22s} {total:8.2f} GPU-hours"]


if config["size"] == "survey" and workflow.is_main_process:
    for study in config["studies"]:
        if study in TRAINING_EXAMPLES:
            print(*estimate(study), sep="\n", file=sys.stderr)
        if study in ESTIMATES:
            print(*ESTIMATES[study](), sep="\n", file=sys.stderr)
