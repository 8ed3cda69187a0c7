"""A group's rows as a Markdown table that says whether each goal is reached."""

from . import human


def table(group: dict) -> str:
    """The table, without the columns that no row fills."""
    head = ["what", "ours", group["compared_with"], "ratio", "must reach", "reached"]
    lines = [_cells(row) for row in group["rows"]]
    kept = [column for column in range(len(head)) if any(line[column] for line in lines)]
    rules = ["---" if column in (0, 5) else "---:" for column in kept]
    return markdown([head[column] for column in kept], rules, [[line[column] for column in kept] for line in lines])


def markdown(head: list[str], rules: list[str], lines: list[list[str]]) -> str:
    """A Markdown table; `rules` align its columns."""
    escaped = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in [head, *lines]]
    return "\n".join(f"| {' | '.join(line)} |" for line in [escaped[0], rules, *escaped[1:]])


def reached(row: dict) -> str:
    """`yes`, or by how much the goal is missed; nothing without a goal."""
    if not row["goal"]:
        return ""
    ((kind, bound),) = row["goal"].items()
    value = row["ours"] if row["ratio"] is None else row["ratio"]
    over = value - bound if kind == "at_most" else bound - value
    if over <= 0:
        return "yes"
    # Of nothing there is no share.
    return f"no, by {human.percent(over / abs(bound)) if bound else _judged(over, row)}"


def _cells(row: dict) -> list[str]:
    other = "" if row["other"] is None else human.quantity(row["other"], row["unit"])
    ratio = "" if row["ratio"] is None else f"{human.number(row['ratio'])} ×"
    return [row["what"], human.quantity(row["ours"], row["unit"]), other, ratio, _bound(row), reached(row)]


def _bound(row: dict) -> str:
    if not row["goal"]:
        return ""
    ((kind, bound),) = row["goal"].items()
    return f"{kind.replace('_', ' ')} {_judged(bound, row)}"


def _judged(value: float, row: dict) -> str:
    """A value of what the goal is about: the ratio, or without one our figure."""
    # A ratio's bound was chosen, not measured: it has the digits that it was written with.
    return human.quantity(value, row["unit"]) if row["ratio"] is None else f"{value:,.10g} ×"
