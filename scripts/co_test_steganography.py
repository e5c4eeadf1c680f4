"""Test a trained CycleGAN for hidden texture in its CO (skyloom/co/explain/steganography.py).

The test adds noise to the generated CO of test tiles. It is a diagnosis: nothing is chosen by it.
"""

from pathlib import Path

import numpy as np

from skyloom import checkpoint, cli
from skyloom.co.data import examples
from skyloom.co.explain import steganography
from skyloom.gpus import claim
from skyloom.networks.devices import to_device

BATCH = 64


def main() -> None:
    parser = cli.parser(__doc__)
    help = '{"entry": {...}, "amplitudes", "tiles", "seed"}'
    parser.add_argument("--config", type=cli.json_argument, required=True, help=help)
    help = "patches.nc, and denoised.nc where used"
    parser.add_argument("--data", type=Path, nargs="+", required=True, help=help)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="CSV")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of the job")
    args = parser.parse_args()
    claim(args.gpus)

    entry = args.config["entry"]
    data = examples.load(args.data, entry)
    expected = {"study": "co", "module": "cyclegan", "entry": entry, "meta": data.meta}
    trained = checkpoint.load(args.checkpoint, expected)
    _, task = checkpoint.network(trained)
    device = next(task.parameters()).device
    tiles = np.unique(np.linspace(0, len(data.test) - 1, args.config["tiles"]).round().astype(int))
    batches = (
        {name: to_device(values, device) for name, values in data.test[index].items()}
        for index in np.array_split(tiles, -(-len(tiles) // BATCH))
    )
    table = steganography.scores(
        task.to_b, task.to_a, batches, args.config["amplitudes"], args.config["seed"]
    )
    with cli.atomic(args.output) as part:
        table.to_csv(part, index=False, float_format="%.6g")


if __name__ == "__main__":
    cli.run(main, gpus=True)
