"""`scripts/costs`: prints the tables, or one for a site of one's own; puts them into docs/COSTS.md, or checks them."""

import argparse
import re
import sys
from pathlib import Path

from .report import all_tables, parts
from .site import SIZES, Site

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/COSTS.md"


def placed(text: str) -> str:
    """The document with the tables of now between its marks."""
    for name, table in all_tables().items():
        mark = re.compile(rf"(<!-- costs: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, found = mark.subn(lambda m, table=table: f"{m[1]}\n{table}\n\n{m[2]}", text)
        if found != 1:
            sys.exit(f"error: {DOCUMENT.name} has {found} places for the table {name}, one is wanted")
    return text


def number(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1e12:
        raise argparse.ArgumentTypeError("0 to a million million is accepted")
    return value


def arguments() -> argparse.Namespace:
    default = SIZES[1][1]
    parser = argparse.ArgumentParser(prog="scripts/costs", description="What a month on AWS costs.")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/COSTS.md")
    parser.add_argument("--check", action="store_true", help="fail unless docs/COSTS.md has these tables")
    parser.add_argument("--visits", type=number, help="visits a month: prints the bill of one site")
    parser.add_argument("--reads", type=number, help="counts read a month (default: twice the visits)")
    parser.add_argument("--scripts", type=number, help="loads of counter.js (default: one for three visits)")
    parser.add_argument("--pages", type=int, default=default.pages, help="pages of the site")
    parser.add_argument("--api", choices=["http-api", "function-urls"], default=default.api)
    parser.add_argument("--redis", choices=["valkey-serverless", "valkey-nodes", "given"], default=default.redis)
    parser.add_argument("--one-zone", dest="multi_zone", action="store_false", help="nodes without replicas")
    parser.add_argument("--no-metrics", dest="metrics", action="store_false")
    parser.add_argument("--own-key", action="store_true")
    return parser.parse_args()


def own(asked: argparse.Namespace) -> Site:
    visits = asked.visits
    reads = 2 * visits if asked.reads is None else asked.reads
    scripts = visits / 3 if asked.scripts is None else asked.scripts
    chosen = {name: getattr(asked, name) for name in ("pages", "api", "redis", "multi_zone", "metrics", "own_key")}
    return Site(visits=visits, reads=reads, scripts=scripts, **chosen)


def main() -> None:
    asked = arguments()
    if asked.write:
        DOCUMENT.write_text(placed(DOCUMENT.read_text()))
    elif asked.check:
        text = DOCUMENT.read_text()
        if placed(text) != text:
            sys.exit(
                f"error: the tables of {DOCUMENT.name} are not what scripts/costs gives: run scripts/costs --write"
            )
    elif asked.visits:
        print(parts([(f"{asked.visits:,.0f} visits", own(asked))]))
    else:
        print("\n\n".join(all_tables().values()))


main()
