"""`make bench`: the cost of runs as multiples of bare Temporal's. Takes about six minutes.

ARGS=postgres uses Postgres, ARGS="--seconds 2" is quicker and less exact. ARGS=streams: the delay and completeness of
the model's chunks in streams. ARGS=models: the cost of model calls by each adapter, and what litellm costs at the
start. ARGS=takeovers: how long the answer of a killed worker waits for the next call of its model; the exit code is 1
if one waited longer than 5 s, which on an idle machine none does. ARGS=waiting: runs beside others that wait, and
cancels. ARGS=growth: an empty database against a full one. ARGS=parked (minutes): the cost of 10,000 runs that wait for
outputs. ARGS=files: uploads and downloads by the size of a file. ARGS=search: the search indexes by their sizes, and
the local embedding model. ARGS=sandbox: sessions of code.

Compare figures of one call with each other, not with those of another machine or hour.
"""

import argparse
import signal
import sys
import warnings

from tests.bench.comparison import measure_comparison
from tests.bench.files import measure_files
from tests.bench.growth import measure_growth
from tests.bench.models import measure_models
from tests.bench.parked import measure_parked
from tests.bench.sandbox import measure_sandbox
from tests.bench.search import measure_search
from tests.bench.starts import measure_starts
from tests.bench.streams import measure_streams
from tests.bench.takeovers import measure_takeovers
from tests.bench.waiting import measure_waiting

CHOICES = (
    *("sqlite", "postgres", "streams", "models", "takeovers", "waiting"),
    *("growth", "parked", "files", "search", "sandbox"),
)


def main() -> None:
    warnings.simplefilter("ignore", DeprecationWarning)
    # As an exception, so that a bench that is stopped stops its servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    arguments = _arguments()
    match arguments.what:
        case "streams":
            measure_streams()
        case "waiting":
            measure_waiting()
        case "growth":
            measure_growth()
        case "parked":
            measure_parked()
        case "models":
            measure_models()
            print()
            measure_starts()
        case "takeovers":
            sys.exit(0 if measure_takeovers() else 1)
        case "files":
            measure_files()
        case "sandbox":
            measure_sandbox()
        case "search":
            measure_search()
        case database:
            measure_comparison(on_postgres=database == "postgres", seconds=arguments.seconds)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("what", nargs="?", default="sqlite", choices=CHOICES)
    parser.add_argument("--seconds", type=float, default=5, help="how long each load is put on; twice for each figure")
    return parser.parse_args()


if __name__ == "__main__":
    main()
