"""A site and how it is deployed: what a bill follows from. Each figure says where it is from."""

from dataclasses import dataclass

HOURS = 730
"""Of a month, as AWS counts."""

RUNS = 43_200
"""Of flush-visits: each minute of 30 days."""

MEMORY = 0.125
"""GB of each function: MemorySize in template.yaml."""

BILLED = 0.002
"""Seconds of a visit or a read from memory at 128 MB: docs/PERFORMANCE.md, "Money". Estimated, not measured on AWS."""

HELD = 1.0
"""Seconds of a sweep's round (HOLD in shared/src/sweep.rs). Assumed: one round a minute that holds one environment."""

ROUND_TRIP = 0.005
"""Seconds that a call of Redis is waited for, a generous guess."""

ANSWER = 600 / 1e9
"""GB of an answer with its headers."""

SCRIPT = 2_400 / 1e9
"""GB of counter.js with its headers: web/build.mjs holds it below 1,900 bytes."""

PAGE = 152 + 6_450 + 2 * 568
"""Bytes of a page with 400 days and two days' sketches of 100 visitors: docs/PERFORMANCE.md, "Memory in Redis"."""

TOP_LISTS = 400 * 24_700
"""Bytes of a shard's top lists of 400 days, with 200 pages each; fewer pages take less."""

RUN_LOG = 1_500 / 1e9
"""GB that a run of flush-visits logs: three lines."""

ACCESS_LOG = 200 / 1e9
"""GB of a line of the HTTP API's access log, as template.yaml has it; function URLs have none."""

OWN_METRICS = 17
"""Metrics that the functions write at most (VISITS_METRICS): those that are 0 are neither written nor billed."""

METRICS_LINE = 1_200 / 1e9
"""GB of a line in CloudWatch's embedded metric format."""


@dataclass(frozen=True)
class Site:
    """What visitors do in a month, and what the owner has chosen. The defaults are the template's."""

    visits: float
    reads: float
    pages: int
    scripts: float = 0.0
    api: str = "http-api"
    redis: str = "valkey-serverless"
    multi_zone: bool = True
    shards: int = 2
    metrics: bool = True
    own_key: bool = False

    @property
    def requests(self) -> float:
        """What comes over HTTP."""
        return self.visits + self.reads + self.scripts

    @property
    def flushes(self) -> float:
        """Of record-visit: one each 30 s of a busy environment, of which there is one for each 10 visits a second."""
        environments = 1 + self.visits / (10 * HOURS * 3_600)
        return min(self.visits, 2 * RUNS * environments)

    @property
    def lambda_requests(self) -> float:
        """What comes over HTTP, the schedule's, and one environment that is swept each minute."""
        return self.requests + 2 * RUNS

    @property
    def gb_seconds(self) -> float:
        """What Lambda bills time for."""
        waited = (self.flushes * 2 + min(self.reads, RUNS * 12 * self.pages)) * ROUND_TRIP
        return MEMORY * (self.requests * BILLED + waited + 2 * RUNS * HELD)

    @property
    def alarms(self) -> int:
        """Metrics that alarms look at, which is what is billed; tests/costs counts them in template.yaml."""
        memory = {"valkey-serverless": 1, "valkey-nodes": 2, "given": int(self.metrics)}
        return 10 + (4 if self.metrics else 0) + memory[self.redis]

    @property
    def stored(self) -> float:
        """GB in Redis, once there are 400 days."""
        top = TOP_LISTS * min(self.shards, self.pages / 200)
        return (self.pages * PAGE + top) / 1e9

    @property
    def units(self) -> float:
        """ECPU: 10 a visit and 2 a read, far more than they should take, and the schedule's questions."""
        return self.visits * 10 + self.reads * 2 + RUNS * self.shards * 20

    @property
    def logged(self) -> float:
        """GB of logs: the schedule's, the access log, and lines of metrics, of reads as many as of flushes."""
        access = self.requests * ACCESS_LOG if self.api == "http-api" else 0.0
        metrics = (2 * self.flushes + RUNS) * METRICS_LINE if self.metrics else 0.0
        return RUNS * RUN_LOG + access + metrics


SIZES = [
    ("10 thousand", Site(visits=1e4, reads=2e4, scripts=1e4 / 3, pages=50)),
    ("1 million", Site(visits=1e6, reads=2e6, scripts=1e6 / 3, pages=1_000)),
    ("100 million", Site(visits=1e8, reads=2e8, scripts=1e8 / 3, pages=10_000)),
]
