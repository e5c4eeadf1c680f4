"""The scheme of a network: its layers and their shapes, described from its checkpoint and drawn.

The description is written as JSON next to the figure.
"""

import json
from pathlib import Path

from skyloom import checkpoint, cli, plotting
from skyloom.figures.scheme import scheme
from skyloom.networks.scheme import describe


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--study", required=True)
    parser.add_argument("--model", required=True)
    help = '{"entry": {...}, "label"} of the model'
    parser.add_argument("--config", type=cli.json_argument, required=True, help=help)
    parser.add_argument("--checkpoint", type=Path, required=True, help="best.ckpt")
    parser.add_argument("--description", type=Path, required=True, help=".json")
    help = ".png; the .pdf is written next to it"
    parser.add_argument("--output", type=Path, required=True, help=help)
    args = parser.parse_args()

    expected = {"study": args.study, "model": args.model, "entry": args.config["entry"]}
    trained = checkpoint.load(args.checkpoint, expected)
    module, task = checkpoint.network(trained)
    if not hasattr(module, "scheme"):
        raise cli.BadInput(
            f"scheme: the module {trained['module']} has none; expected another model"
        )
    network, shape = module.scheme(task, trained["meta"])
    description = {"model": args.model, "module": trained["module"]}
    description |= describe(network.cpu(), shape)
    with cli.atomic(args.description) as part:
        part.write_text(json.dumps(description, indent=1) + "\n")
    plotting.save(scheme(description, args.config["label"]), args.output, None)


if __name__ == "__main__":
    cli.run(main)
