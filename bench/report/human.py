"""Numbers as a reader wants them: three significant digits, in the unit that keeps them short."""

import math

# From small to large, with the size of each in the first.
SCALES = (
    (("ns", 1.0), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)),
    (("bytes", 1.0), ("KB", 1e3), ("MB", 1e6), ("GB", 1e9)),
)


def number(value: float) -> str:
    """Three significant digits: 12,300 or 1.50 or 0.0123. A whole number below 1,000 stays as it is."""
    if value == 0 or (abs(value) < 1000 and float(value).is_integer()):
        return str(int(value))
    rounded = _rounded(value)
    return f"{rounded:,.{max(0, 2 - _magnitude(rounded))}f}"


def quantity(value: float, unit: str) -> str:
    """A number with its unit: `1.20 ms` for 1200 `us`."""
    unit = "µs" if unit == "us" else unit
    for scale in SCALES:
        if unit in dict(scale) and value != 0:
            return _scaled(value * dict(scale)[unit], scale)
    if unit == "1/s":
        return f"{number(value)}/s"
    return _named(value, unit)


def percent(share: float) -> str:
    """0.123 as `12 %`; two digits are enough for how far something is off."""
    if share < 0.001:
        return "less than 0.1 %"
    return f"{share * 100:,.0f} %" if share >= 0.095 else f"{share * 100:.1f} %"


def _scaled(value: float, scale: tuple[tuple[str, float], ...]) -> str:
    # Rounded first: 999.9 µs are 1.00 ms.
    size = abs(_rounded(value))
    name, factor = next(((name, factor) for name, factor in reversed(scale) if size >= factor), scale[0])
    return _named(value / factor, name)


def _named(value: float, unit: str) -> str:
    if value == 1 and unit.endswith("s") and len(unit) > 2:
        unit = unit.removesuffix("s")
    return f"{number(value)} {unit}".rstrip()


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value)))


def _rounded(value: float) -> float:
    return round(value, 2 - _magnitude(value))
