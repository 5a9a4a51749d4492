"""Makes the example plant from `parameters.toml`.

python stages/factory/make_factory.py                      # here, as committed
python stages/factory/make_factory.py --lines 20 --out /tmp/plant
"""

import argparse
import sys
from pathlib import Path

from factorybuild import build_plant, load_parameters

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Parse the command line and write the plant."""
    parser = argparse.ArgumentParser(description="Make the example plant as USD.")
    parser.add_argument(
        "--lines", type=int, help="number of process lines (default: as on the page)"
    )
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to (default: here)")
    parser.add_argument("--parameters", type=Path, default=HERE / "parameters.toml")
    arguments = parser.parse_args()
    if arguments.lines is not None and arguments.lines < 1:
        parser.error(f"--lines must be at least 1, got {arguments.lines}")
    files = build_plant(load_parameters(arguments.parameters, arguments.lines), arguments.out)
    sys.stdout.write(f"{len(files)} layers in {arguments.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
