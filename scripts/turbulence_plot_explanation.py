"""A figure of explanations: `saliency`, `bands` of waves, `controls` of models, `embedding`."""

from pathlib import Path

from skyloom import cli, files, plotting
from skyloom.turbulence.figures import explain

FIGURES = {"saliency": explain.saliency, "bands": explain.bands}  # of one model


def main() -> None:
    parser = cli.parser(__doc__)
    choices = (*FIGURES, "controls", "embedding")
    parser.add_argument("--figure", choices=choices, required=True)
    help = '"models": {name: how it is drawn}, "sets": {name: label}'
    parser.add_argument("--config", type=cli.json_argument, required=True, help=help)
    help = "explain/*.nc; `controls`: several"
    parser.add_argument("--explanations", type=Path, nargs="+", required=True, help=help)
    help = ".png; the .pdf is written next to it"
    parser.add_argument("--output", type=Path, required=True, help=help)
    args = parser.parse_args()

    explanations = [files.load_dataset(path) for path in args.explanations]
    first, looks = explanations[0], plotting.model_looks(args.config["models"])
    name = args.config["sets"][first.attrs["set"]]
    if args.figure == "saliency":
        # a baseline has no gradients
        cli.require(first.variables, ["saliency"], args.explanations[0], "variable")
    if args.figure == "controls":
        figure = explain.controls(explanations, looks, name)
    elif args.figure == "embedding":
        labels = {model: look.label for model, look in looks.items()}
        figure = explain.embedding(first, labels, name)
    else:
        figure = FIGURES[args.figure](first, looks[first.attrs["model"]])
    plotting.save(figure, args.output, first.attrs["data_kind"])


if __name__ == "__main__":
    cli.run(main)
