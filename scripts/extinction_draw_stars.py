"""Draw the model stars of the sightlines of a set: pools for training, validation and test."""

import time
from pathlib import Path

from skyloom import cli, patchset
from skyloom.extinction.data import pools


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--config", type=cli.json_argument, required=True, help="the fields")
    parser.add_argument("--output", type=Path, required=True, help="stars.nc")
    args = parser.parse_args()

    begin = time.process_time()
    fields = args.config
    besancon = fields["source"] == "besancon"
    drawn = pools.read(fields["files"], fields) if besancon else pools.draw(fields)
    patchset.write(drawn, args.output)
    number, stars = drawn.sizes["pool"], drawn.sizes["star"]
    print(f"{stars} stars in {number} pools: {time.process_time() - begin:.0f} core-seconds")


if __name__ == "__main__":
    cli.run(main)
