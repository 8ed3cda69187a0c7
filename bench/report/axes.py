"""The axes of a plot: where they begin, and which numbers stand at them."""

import math

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter


def tick(value: float, _: object) -> str:
    """A number at an axis: a round one, without the zeros that tell how exact a figure is."""
    return f"{value:,.10g}"


def horizontal(drawing: Axes, plot: dict) -> None:
    """The x axis of lines."""
    values = [point[0] for series in plot["series"] for point in series["points"]]
    if plot["x"]["log"]:
        drawing.set_xscale("log")
        _logarithmic(drawing.xaxis, values)
    else:
        drawing.xaxis.set_major_formatter(FuncFormatter(tick))


def vertical(drawing: Axes, plot: dict) -> None:
    """The y axis. A linear one begins at zero: half as high shall mean half as much."""
    values = [point[1] for series in plot["series"] for point in series["points"]]
    drawing.margins(y=0.12)
    if plot["y"]["log"]:
        drawing.set_yscale("log")
        _logarithmic(drawing.yaxis, values)
        # Below the smallest value, whose bar would have no height otherwise.
        drawing.set_ylim(bottom=10 ** math.floor(math.log10(min(values) * 0.7)))
    else:
        drawing.yaxis.set_major_formatter(FuncFormatter(tick))
        if min(values) >= 0:
            drawing.set_ylim(bottom=0, top=None if max(values) > 0 else 1)


def _logarithmic(axis: Axis, values: list[float]) -> None:
    decades = math.log10(max(values) / min(values))
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2.5 else (1,), numticks=20))
    axis.set_major_formatter(FuncFormatter(tick))
    axis.set_minor_formatter(NullFormatter())
