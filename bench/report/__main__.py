"""Draws the plots and fills the document.

    python -m report [--partial]      with bench/ on PYTHONPATH

Reads target/bench/figures.json, which may lack groups, and prints its tables; writes docs/PERFORMANCE.md,
docs/performance/*.svg and docs/performance/figures.json. The exit code is 1 if a group has failed.
"""

import argparse
import sys
from pathlib import Path

from . import document, figures, plots
from .errors import ReportError

ROOT = Path(__file__).resolve().parents[2]


def write(source: Path, docs: Path, partial: bool) -> list[str]:
    """Writes the report of the figures in `source` into the folder `docs`; nothing when something does not fit.

    Returns the groups that failed.
    """
    page, kept = docs / "PERFORMANCE.md", docs / "performance/figures.json"
    found = figures.load(source)
    print(document.tables(found))
    failed = [group["id"] for group in found["groups"] if group.get("failed")]
    if partial and kept.exists():
        found = figures.merged(figures.load(kept), found)
    if not page.exists():
        raise ReportError(f"{page} is missing: its text is written by hand, with a marker for each group")
    text = document.written(page.read_text(), found, partial)
    drawn = {plot["id"]: plots.svg(plot) for group in found["groups"] for plot in group["plots"]}
    kept.parent.mkdir(exist_ok=True)
    for plot, svg in drawn.items():
        (kept.parent / f"{plot}.svg").write_bytes(svg)
    kept.write_text(figures.stored(found))
    page.write_text(text)
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(prog="report", description="Writes the benchmark's figures into docs/.")
    parser.add_argument("--figures", type=Path, default=ROOT / "target/bench/figures.json", help="of the run")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="folder of PERFORMANCE.md")
    parser.add_argument("--partial", action="store_true", help="some groups were run: keep the figures of the others")
    arguments = parser.parse_args()
    try:
        failed = write(arguments.figures, arguments.docs, arguments.partial)
    except ReportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{arguments.docs / 'PERFORMANCE.md'} is written", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
