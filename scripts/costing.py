"""A month's bill on AWS: prices, the figures it follows from, and the tables of docs/COSTS.md. Run by scripts/costs."""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs/COSTS.md"
ASSETS = ROOT / "functions/dashboard/assets"
MILLION, GB = 1e6, 1e9


@dataclass(frozen=True)
class Price:
    """A price in US dollars for us-east-1, and the units that are free each month for every account."""

    what: str
    dollars: float
    unit: str
    page: str
    free: float = 0.0
    per: float = 1.0
    seen: str = "third parties, 2026"

    def of(self, units: float, free: bool = False) -> float:
        """Returns the cost of these units; with `free` only of those beyond the free ones."""
        return (max(0.0, units - self.free) if free else units) / self.per * self.dollars


LAMBDA = "https://aws.amazon.com/lambda/pricing/"
GATEWAY = "https://aws.amazon.com/api-gateway/pricing/"
CACHE = "https://aws.amazon.com/elasticache/pricing/"
WATCH = "https://aws.amazon.com/cloudwatch/pricing/"
UNSEEN = "not seen: from memory"
PRICES = [
    REQUESTS := Price("Lambda, requests", 0.20, "a million", LAMBDA, free=MILLION, per=MILLION),
    SECONDS := Price("Lambda, arm64", 0.0000133334, "a GB-second", LAMBDA, free=400_000),
    HTTP_API := Price("HTTP API, up to 300 million", 1.00, "a million", GATEWAY, per=MILLION),
    HTTP_API_MORE := Price("HTTP API, beyond", 0.90, "a million", GATEWAY, per=MILLION),
    TRANSFER := Price("data to the internet", 0.09, "a GB", "https://aws.amazon.com/ec2/pricing/on-demand/", free=100),
    STORED := Price("ElastiCache Serverless for Valkey, data, at least 0.1 GB", 0.084, "a GB-hour", CACHE),
    UNITS := Price("ElastiCache Serverless for Valkey, requests", 0.0023, "a million ECPU", CACHE, per=MILLION),
    NODE := Price("ElastiCache for Valkey, cache.t4g.micro", 0.0128, "an hour", CACHE, seen=UNSEEN),
    METRIC := Price("CloudWatch, a metric of one's own", 0.30, "a month", WATCH, free=10),
    ALARM := Price("CloudWatch, an alarm", 0.10, "a month", WATCH, free=10),
    DASHBOARD := Price("CloudWatch, a dashboard", 3.00, "a month", WATCH, free=3),
    LOGGED := Price("CloudWatch Logs, ingested", 0.50, "a GB", WATCH, free=5),
    KEPT := Price("CloudWatch Logs, kept", 0.03, "a GB-month", WATCH, seen=UNSEEN),
    SECRET := Price("Secrets Manager, a secret", 0.40, "a month", "https://aws.amazon.com/secrets-manager/pricing/"),
    KEY := Price("KMS, a key of one's own", 1.00, "a month", "https://aws.amazon.com/kms/pricing/"),
    SCHEDULE := Price(
        "EventBridge Scheduler", 1.00, "a million", "https://aws.amazon.com/eventbridge/pricing/", 14 * MILLION, MILLION
    ),
]

HOURS = 730  # of a month, as AWS counts
RUNS = 43_200  # of flush-visits: each minute of 30 days
MEMORY = 0.125  # GB of each function: MemorySize in template.yaml
BILLED = 0.002  # seconds of a visit or a read from memory: docs/PERFORMANCE.md, "Money"; estimated, not measured on AWS
HELD = 1.0  # seconds of a sweep's round (HOLD in shared/src/sweep.rs); assumed: one a minute that holds one environment
ROUND_TRIP = 0.005  # seconds that a call of Redis is waited for, a generous guess
ANSWER = 600 / GB  # an answer with its headers
SCRIPT = 2_400 / GB  # counter.js with its headers: web/build.mjs holds it below 1,900 bytes
PAGE = 152 + 6_450 + 2 * 568  # bytes of a page with 400 days and two days' sketches: PERFORMANCE.md, "Memory in Redis"
TOP_LISTS = 400 * 24_700  # bytes of a shard's top lists of 400 days, with 200 pages each; fewer pages take less
RUN_LOG = 1_500 / GB  # of a run of flush-visits: three lines
ACCESS_LOG = 200 / GB  # a line of the HTTP API's access log; function URLs have none
OWN_METRICS = 17  # that the functions write at most; those that are 0 are neither written nor billed
IDLE_METRICS = 2  # that flush-visits writes without a visit: ParkedAge, and RedisMemory where a server has a bound
METRICS_LINE = 1_200 / GB  # in CloudWatch's embedded metric format
SHARDS = 4  # of a serverless cache
LEAST_STORED = 0.1  # GB that ElastiCache Serverless bills at least
API_TIER = 300e6  # requests of an HTTP API at the first price
# Routes with their most requests a second (template.yaml) and their answer's size, uncompressed.
THROTTLED = {
    "/openapi.json": (1, ASSETS / "openapi.json"),
    "/dashboard/app.js": (5, ASSETS / "app.js"),
    "/dashboard": (5, ASSETS / "index.html"),
    "/counter.js": (100, ASSETS / "counter.js"),
    "/visit/{page_id}": (100, None),
}


@dataclass(frozen=True)
class Site:
    """A month's visits, and the owner's choices. The defaults are the template's."""

    visits: float
    reads: float
    pages: int
    scripts: float = 0.0
    urls: bool = False
    redis: str = "valkey-serverless"
    metrics: bool = True
    owner: bool = True
    own_key: bool = False

    @property
    def requests(self) -> float:
        """The number of requests over HTTP."""
        return self.visits + self.reads + self.scripts

    @property
    def flushes(self) -> float:
        """Flushes of record-visit: one each 30 s of a busy environment, of which 10 visits a second make one."""
        return min(self.visits, 2 * RUNS * (1 + self.visits / (10 * HOURS * 3_600)))

    @property
    def gb_seconds(self) -> float:
        waited = (self.flushes * 2 + min(self.reads, RUNS * 12 * self.pages)) * ROUND_TRIP
        return MEMORY * (self.requests * BILLED + waited + 2 * RUNS * HELD)

    @property
    def alarms(self) -> int:
        """Metrics that alarms look at, which is what is billed; tests/template counts them in the template."""
        return 10 + (4 if self.metrics else 0) + (int(self.metrics) if self.redis == "given" else 2)

    @property
    def redis_cost(self) -> float:
        """The cost of Redis; a given one is paid elsewhere."""
        if self.redis == "given":
            return 0.0
        if self.redis != "valkey-serverless":
            return NODE.of((2 if self.redis == "valkey-nodes-single" else 4) * HOURS)
        stored = (self.pages * PAGE + TOP_LISTS * min(SHARDS, self.pages / 200)) / GB
        # 10 units a visit and 2 a read, far more than they should take, and the schedule's questions.
        units = self.visits * 10 + self.reads * 2 + RUNS * SHARDS * 20
        return STORED.of(max(LEAST_STORED, stored) * HOURS) + UNITS.of(units)

    @property
    def logged(self) -> float:
        """GB of logs: the schedule's, the access log, and lines of metrics, of reads as many as of flushes."""
        access = 0.0 if self.urls else self.requests * ACCESS_LOG
        return RUNS * RUN_LOG + access + ((2 * self.flushes + RUNS) * METRICS_LINE if self.metrics else 0.0)

    def bill(self, free: bool = False) -> dict[str, float]:
        """Returns the dollars of each part; with `free`, less what is free for every account."""
        first = 0.0 if self.urls else min(self.requests, API_TIER)
        more = 0.0 if self.urls else self.requests - first
        sent = (self.requests - self.scripts) * ANSWER + self.scripts * SCRIPT
        return {
            # The schedule's requests, and one environment that is swept each minute, are among them.
            "Lambda: requests": REQUESTS.of(self.requests + 2 * RUNS, free),
            "Lambda: time": SECONDS.of(self.gb_seconds, free),
            "HTTP API": HTTP_API.of(first) + HTTP_API_MORE.of(more),
            "data to visitors": TRANSFER.of(sent, free),
            "Redis": self.redis_cost,
            "metrics": METRIC.of((OWN_METRICS if self.visits else IDLE_METRICS) * self.metrics, free),
            "alarms": ALARM.of(self.alarms, free),
            "CloudWatch dashboard": DASHBOARD.of(int(self.metrics), free),
            "logs": LOGGED.of(self.logged, free) + KEPT.of(self.logged),
            "schedule": SCHEDULE.of(RUNS, free),
            "owner's token (a secret)": SECRET.of(int(self.owner)),
            "key of one's own": KEY.of(int(self.own_key)),
        }

    def total(self, free: bool = False) -> float:
        return sum(self.bill(free).values())


SIZES = {
    "no visit": Site(visits=0, reads=0, pages=0),
    "10 thousand": Site(visits=1e4, reads=2e4, scripts=1e4 / 3, pages=50),
    "1 million": Site(visits=1e6, reads=2e6, scripts=1e6 / 3, pages=1_000),
    "100 million": Site(visits=1e8, reads=2e8, scripts=1e8 / 3, pages=10_000),
}
CHOICES = {
    "function URLs instead of the HTTP API (`FunctionUrls=on`)": {"urls": True},
    "two nodes with a replica each instead of a serverless cache (`Redis=valkey-nodes`)": {"redis": "valkey-nodes"},
    "two nodes without replicas (`Redis=valkey-nodes-single`)": {"redis": "valkey-nodes-single"},
    "a Redis of your own (`Redis=given`), whatever that costs": {"redis": "given"},
    "no metrics of its own, and no dashboard of them (`Metrics=off`)": {"metrics": False},
    "a KMS key of your own (`Encryption=own-key`)": {"own_key": True},
}
SMALLEST = {"redis": "given", "metrics": False}


def visits_alone(site: Site, parts: Sequence[str] = ("Lambda: requests", "Lambda: time", "HTTP API")) -> float:
    """Returns the cost of visits beyond that of a site without any: of each, without reads."""
    per = replace(site, reads=0.0, scripts=0.0)
    with_them, without = per.bill(), replace(per, visits=0.0).bill()
    return sum(with_them[part] - without[part] for part in parts)


def flood(path: str) -> float:
    """Returns the cost of a month in which strangers ask for a path as often as its throttle lets them."""
    rate, file = THROTTLED[path]
    requests = rate * RUNS * 60
    sent = requests * (ANSWER + (file.stat().st_size / GB if file else 0))
    billed = HTTP_API.of(requests) + REQUESTS.of(requests) + SECONDS.of(requests * BILLED * MEMORY)
    return billed + TRANSFER.of(sent) + LOGGED.of(requests * ACCESS_LOG)


def dollars(amount: float) -> str:
    return "< 0.01" if 0 < amount < 0.005 else f"{amount:,.2f}"


def signed(amount: float) -> str:
    return f"{'+' if amount > 0 else '-'}{dollars(abs(amount))}" if abs(amount) >= 0.005 else "0"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Returns a Markdown table; columns behind the first `left` are aligned to the right."""
    lines = [head, ["---"] * left + ["---:"] * (len(head) - left), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def parts(sites: dict[str, Site]) -> str:
    bills = [site.bill() for site in sites.values()]
    rows = [[part, *(dollars(bill[part]) for bill in bills)] for part in bills[0]]
    rows.append(["**in all**", *(f"**{dollars(site.total())}**" for site in sites.values())])
    rows.append(["in all, less what is free for every account", *(dollars(s.total(free=True)) for s in sites.values())])
    per = [dollars(site.total() / site.visits * MILLION) if site.visits else "" for site in sites.values()]
    rows.append(["in all, for a million visits", *per])
    return table(["dollars a month", *sites], rows)


def tables() -> dict[str, str]:
    """The tables of the document, by the name of their place."""
    million = SIZES["1 million"]
    alone = {"HTTP API": million, "function URL": replace(million, urls=True)}
    every = tuple(million.bill())
    changes = [
        [name, *(signed(replace(site, **change).total() - site.total()) for site in SIZES.values())]
        for name, change in CHOICES.items()
    ]
    prices = [
        [
            p.what,
            p.unit,
            f"<{p.page}>",
            p.seen,
            f"{p.dollars:.10f}".rstrip("0").rstrip("."),
            f"{p.free:,.0f}" * bool(p.free),
        ]
        for p in PRICES
    ]
    return {
        "parts": parts(SIZES),
        "smallest": parts({name: replace(SIZES[name], **SMALLEST) for name in ("no visit", "10 thousand")}),
        "claim": table(
            ["a million visits, by themselves", "requests and time", "with access log, metrics' lines and data"],
            [[name, dollars(visits_alone(site)), dollars(visits_alone(site, every))] for name, site in alone.items()],
        ),
        "choices": table(["change of the sum", *SIZES], changes),
        "floods": table(
            ["asked for all the time", "a second at most", "dollars a month"],
            [[f"`{path}`", str(limit), dollars(flood(path))] for path, (limit, _) in THROTTLED.items()],
        ),
        "prices": table(["price", "for", "AWS's page", "seen at", "dollars", "free each month"], prices, left=4),
    }


def placed(text: str) -> str:
    """Returns the document with the tables of now between its marks."""
    for name, content in tables().items():
        mark = re.compile(rf"(<!-- costs: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, found = mark.subn(lambda m, content=content: f"{m[1]}\n{content}\n\n{m[2]}", text)
        if found != 1:
            sys.exit(f"error: {DOCUMENT.name} has {found} places for the table {name}, one is wanted")
    return text


def number(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1e12:
        raise argparse.ArgumentTypeError("0 to a million million is accepted")
    return value


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/costs", description="What a month on AWS costs.")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/COSTS.md")
    parser.add_argument("--check", action="store_true", help="fail unless docs/COSTS.md has these tables")
    parser.add_argument(
        "--visits", type=number, help="visits a month: prints the bill of one site; 0: that of an idle one"
    )
    parser.add_argument("--reads", type=number, help="counts read a month (default: twice the visits)")
    parser.add_argument("--scripts", type=number, help="loads of counter.js (default: one for three visits)")
    parser.add_argument("--pages", type=int, default=1_000, help="pages of the site")
    parser.add_argument("--function-urls", dest="urls", action="store_true")
    parser.add_argument("--redis", choices=["valkey-serverless", "valkey-nodes", "valkey-nodes-single", "given"])
    parser.add_argument("--no-metrics", dest="metrics", action="store_false")
    parser.add_argument("--no-owner", dest="owner", action="store_false")
    parser.add_argument("--own-key", action="store_true")
    asked = parser.parse_args()
    if asked.visits is not None:
        chosen = {name: getattr(asked, name) for name in ("pages", "urls", "metrics", "owner", "own_key")}
        reads = 2 * asked.visits if asked.reads is None else asked.reads
        scripts = asked.visits / 3 if asked.scripts is None else asked.scripts
        redis = asked.redis or Site.redis
        site = Site(visits=asked.visits, reads=reads, scripts=scripts, redis=redis, **chosen)
        print(parts({f"{asked.visits:,.0f} visits": site}))
    elif asked.write:
        DOCUMENT.write_text(placed(DOCUMENT.read_text()))
    elif asked.check and placed(DOCUMENT.read_text()) != DOCUMENT.read_text():
        sys.exit(f"error: the tables of {DOCUMENT.name} are not those of scripts/costs: run scripts/costs --write")
    elif not asked.check:
        print("\n\n".join(tables().values()))


if __name__ == "__main__":
    main()
