"""The bill as Markdown tables."""

from collections.abc import Sequence
from dataclasses import replace

from . import prices
from .bill import bill, total, visits_alone
from .site import SIZES, Site

CHOICES = [
    ("function URLs instead of the HTTP API (`ApiType=function-urls`)", {"api": "function-urls"}),
    ("two nodes with a replica each instead of a serverless cache (`Redis=valkey-nodes`)", {"redis": "valkey-nodes"}),
    ("two nodes without replicas (`MultiZone=off`)", {"redis": "valkey-nodes", "multi_zone": False}),
    ("a Redis of your own (`Redis=given`), whatever that costs", {"redis": "given"}),
    ("no metrics of its own (`Metrics=off`)", {"metrics": False}),
    ("a KMS key of your own (`Encryption=own-key`)", {"own_key": True}),
]


def dollars(amount: float) -> str:
    """To the cent, and as `<` a cent what would be none."""
    if 0 < amount < 0.005:
        return "< 0.01"
    return f"{amount:,.2f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns behind the first are aligned to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def parts(sites: Sequence[tuple[str, Site]]) -> str:
    """What each part costs, the sum, and the sum where nothing else uses up what is free."""
    bills = [bill(site) for _, site in sites]
    rows = [[part, *(dollars(one[part]) for one in bills)] for part in bills[0]]
    rows.append(["**in all**", *(f"**{dollars(total(site))}**" for _, site in sites)])
    rows.append(
        ["in all, less what is free for every account", *(dollars(total(site, free=True)) for _, site in sites)]
    )
    rows.append(["in all, for a million visits", *(dollars(total(site) / site.visits * 1e6) for _, site in sites)])
    return table(["dollars a month", *(name for name, _ in sites)], rows)


def choices() -> str:
    """What another choice changes in the sum."""
    rows = []
    for name, change in CHOICES:
        changes = [total(replace(site, **change)) - total(site) for _, site in SIZES]
        rows.append([name, *(signed(change) for change in changes)])
    return table(["change of the sum", *(name for name, _ in SIZES)], rows)


def signed(amount: float) -> str:
    return f"{'+' if amount > 0 else '-'}{dollars(abs(amount))}" if abs(amount) >= 0.005 else "0"


def claim() -> str:
    """A million visits by themselves."""
    _, site = SIZES[1]
    rows = []
    for name, api in [("HTTP API", "http-api"), ("function URL", "function-urls")]:
        rows.append([name, dollars(visits_alone(replace(site, api=api)))])
    return table(["a million visits, by themselves", "dollars"], rows)


def price_list() -> str:
    """The prices that all of this rests on."""
    rows = []
    for price in prices.ALL:
        free = f"{price.free:,.0f}" if price.free else ""
        rows.append(
            [
                price.what,
                f"{price.dollars:.10f}".rstrip("0").rstrip("."),
                price.unit,
                free,
                price.seen,
                f"<{price.page}>",
            ]
        )
    head = "| price | dollars | for | free each month | seen at | AWS's page |\n| --- | ---: | --- | ---: | --- | --- |"
    return "\n".join([head, *(f"| {' | '.join(row)} |" for row in rows)])


def all_tables() -> dict[str, str]:
    """By the name of their place in the document."""
    return {"parts": parts(SIZES), "claim": claim(), "choices": choices(), "prices": price_list()}
