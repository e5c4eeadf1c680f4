"""Draw one shard of a set's simulated fields."""

import time
from pathlib import Path

from skyloom import cli, patchset
from skyloom.radio.data.patches import shard
from skyloom.radio.simulate import maps


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--config", type=cli.json_argument, required=True, help="the set")
    parser.add_argument("--shard", type=int, required=True)
    parser.add_argument("--shards", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()

    for remark in maps.check(args.config["maps"]):
        print(remark)
    begin = time.process_time()
    drawn = shard(args.config, args.shard, args.shards)
    seconds = time.process_time() - begin
    patchset.write(drawn, args.output)
    number = drawn.sizes["example"]
    print(
        f"{number} fields of {args.config['pixels']} pixels: {number / seconds:.0f} a core-second"
    )


if __name__ == "__main__":
    cli.run(main)
