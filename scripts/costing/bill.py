"""A month's bill: what each part of a site's deployment costs."""

from dataclasses import replace

from . import prices
from .site import ANSWER, HOURS, OWN_METRICS, RUNS, SCRIPT, Site

MINIMUM = 0.1
"""GB that ElastiCache Serverless bills at least."""

API_TIER = 300e6
"""Requests of an HTTP API at the first price."""


def bill(site: Site, free: bool = False) -> dict[str, float]:
    """Dollars of each part; with `free`, less what is free for every account."""

    def cost(price: prices.Price, units: float) -> float:
        return price.of(units, free)

    return {
        "Lambda: requests": cost(prices.REQUESTS, site.lambda_requests),
        "Lambda: time": cost(prices.SECONDS, site.gb_seconds),
        "HTTP API": http_api(site),
        "data to visitors": cost(prices.TRANSFER, (site.requests - site.scripts) * ANSWER + site.scripts * SCRIPT),
        "Redis": redis(site),
        "metrics": cost(prices.METRIC, OWN_METRICS if site.metrics else 0),
        "alarms": cost(prices.ALARM, site.alarms),
        "CloudWatch dashboard": cost(prices.DASHBOARD, 1),
        "logs": cost(prices.LOGGED, site.logged) + prices.KEPT.of(site.logged),
        "schedule": cost(prices.SCHEDULE, RUNS),
        "owner's token (a secret)": cost(prices.SECRET, 1),
        "key of one's own": cost(prices.KEY, int(site.own_key)),
    }


def http_api(site: Site) -> float:
    """A function URL has no price of its own."""
    if site.api != "http-api":
        return 0.0
    first = min(site.requests, API_TIER)
    return prices.HTTP_API.of(first) + prices.HTTP_API_MORE.of(site.requests - first)


def redis(site: Site) -> float:
    """Of the owner's own there is nothing known."""
    if site.redis == "given":
        return 0.0
    if site.redis == "valkey-nodes":
        nodes = 4 if site.multi_zone else 2
        return prices.NODE.of(nodes * HOURS)
    return prices.STORED.of(max(MINIMUM, site.stored) * HOURS) + prices.UNITS.of(site.units)


def total(site: Site, free: bool = False) -> float:
    """All parts."""
    return sum(bill(site, free).values())


def visits_alone(site: Site) -> float:
    """What visits cost beyond what is there anyway: requests, time and gateway for each, and no reads."""
    per = replace(site, reads=0.0, scripts=0.0)
    none = replace(per, visits=0.0)
    parts = ("Lambda: requests", "Lambda: time", "HTTP API")
    return sum(bill(per)[part] - bill(none)[part] for part in parts)
