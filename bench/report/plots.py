"""Draws the plots as SVG. The same figures give the same bytes, so that a commit shows what has changed."""

from io import BytesIO
from textwrap import fill

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import axes, human

# Okabe and Ito's colours, which stay apart for colour-blind readers, the palest left out.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vP*"
STYLE = {
    # Text stays text: the reader's browser draws it, and it can be searched.
    "svg.fonttype": "none",
    # The ids in the file are hashes over this; without it they are random.
    "svg.hashsalt": "visits",
    "font.size": 11,
    "axes.titlesize": 13,
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#666666",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "legend.frameon": False,
    # White, also where the page around it is dark.
    "figure.facecolor": "white",
}
# Most points of a line that are marked one by one.
MARKED = 40


def svg(plot: dict) -> bytes:
    """The file of a plot."""
    with matplotlib.rc_context():
        # Not what the user of this machine likes.
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        _draw(figure.add_subplot(), plot)
        file = BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    # Matplotlib leaves spaces at the ends of lines.
    return b"\n".join(line.rstrip() for line in file.getvalue().splitlines()) + b"\n"


def _draw(drawing: Axes, plot: dict) -> None:
    (_bars if plot["kind"] == "bars" else _lines)(drawing, plot)
    drawing.set_title(fill(plot["title"], 64), fontweight="bold")
    drawing.set_xlabel(plot["x"]["label"])
    drawing.set_ylabel(plot["y"]["label"])
    if len(plot["series"]) > 1:
        # Above the drawing, where it hides nothing.
        drawing.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=min(4, len(plot["series"])), fontsize=10)
        drawing.set_title(drawing.get_title(loc="left"), fontweight="bold", pad=30)


def _bars(drawing: Axes, plot: dict) -> None:
    count = len(plot["series"])
    width = 0.8 / count
    for index, series in enumerate(plot["series"]):
        places = [x + (index - (count - 1) / 2) * width for x, _ in series["points"]]
        heights = [y for _, y in series["points"]]
        # A little narrower than its place, so that bars side by side are told apart.
        bars = drawing.bar(places, heights, width * 0.92, color=_colour(index), label=series["name"])
        drawing.bar_label(bars, fmt=human.number, padding=2, fontsize=9)
    names = plot["x"]["names"]
    drawing.set_xticks(range(len(names)), [fill(name, max(10, 72 // len(names))) for name in names])
    drawing.set_xlim(-0.6, len(names) - 0.4)
    drawing.grid(visible=False, axis="x")
    axes.vertical(drawing, plot)


def _lines(drawing: Axes, plot: dict) -> None:
    for index, series in enumerate(plot["series"]):
        marker = MARKERS[index % len(MARKERS)] if len(series["points"]) <= MARKED else ""
        xs, ys = zip(*series["points"], strict=True) if series["points"] else ((), ())
        drawing.plot(xs, ys, color=_colour(index), marker=marker, markersize=5, linewidth=2, label=series["name"])
    axes.horizontal(drawing, plot)
    axes.vertical(drawing, plot)


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]
