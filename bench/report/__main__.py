"""Draws the plots and fills the document.

    python -m report [--partial]      with bench/ on PYTHONPATH

Reads target/bench/figures.json; writes docs/PERFORMANCE.md, docs/performance/*.svg and docs/performance/figures.json.
"""

import argparse
import sys
from pathlib import Path

from . import document, figures, plots
from .errors import ReportError

ROOT = Path(__file__).resolve().parents[2]


def write(source: Path, docs: Path, partial: bool) -> None:
    """Writes the report of the figures in `source` into the folder `docs`; nothing when something does not fit."""
    page, kept = docs / "PERFORMANCE.md", docs / "performance/figures.json"
    found = figures.load(source)
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


def main() -> int:
    parser = argparse.ArgumentParser(prog="report", description="Writes the benchmark's figures into docs/.")
    parser.add_argument("--figures", type=Path, default=ROOT / "target/bench/figures.json", help="of the run")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="folder of PERFORMANCE.md")
    parser.add_argument("--partial", action="store_true", help="some groups were run: keep the figures of the others")
    arguments = parser.parse_args()
    try:
        write(arguments.figures, arguments.docs, arguments.partial)
    except ReportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
