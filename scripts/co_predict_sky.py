"""Predict an area of the sky with one trained model and blend its tiles on the sphere."""

from pathlib import Path

from skyloom import checkpoint, cli
from skyloom.co.products.sky import predict_sky, require_match
from skyloom.gpus import claim
from skyloom.patchset import PatchSet


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help="entry, line, tiles, product, bands"
    )
    parser.add_argument("--maps", type=Path, required=True, help="maps.nc of co_prepare_maps")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of the job")
    args = parser.parse_args()
    claim(args.gpus)

    config = args.config
    expected = {"study": "co", "model": args.model, "entry": config["entry"]}
    trained = checkpoint.load(args.checkpoint, expected)
    maps = PatchSet(args.maps)
    require_match(args.checkpoint, trained["meta"], maps, config["line"], config["tiles"])
    sky = predict_sky(trained, maps, config["product"], config["bands"])
    sky.attrs |= {
        "model": args.model,
        "seed": args.seed,
        "line": config["line"],
        "digest": trained["digest"],
        "kind": trained["kind"],
    }
    with cli.atomic(args.output) as path:
        sky.to_netcdf(path)
    print(
        f"{sky.attrs['tiles']} tiles, {sky.sizes['pixel']} pixels; closure "
        f"{sky.attrs['closure_rms']:.2%} of std, seam {sky.attrs['seam']:.2%}, "
        f"beam {sky.attrs['beam_arcmin']:.2f} arcmin"
    )


if __name__ == "__main__":
    cli.run(main, gpus=True)
