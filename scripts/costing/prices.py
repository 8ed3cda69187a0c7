"""List prices of AWS in US dollars for us-east-1, without discounts, as known in November 2026.

AWS changes them: look at the page that each one names. `seen` says where this one was read, since AWS's own price lists
could not be asked from here.
"""

from dataclasses import dataclass

MILLION = 1e6

LAMBDA = "https://aws.amazon.com/lambda/pricing/"
GATEWAY = "https://aws.amazon.com/api-gateway/pricing/"
CACHE = "https://aws.amazon.com/elasticache/pricing/"
WATCH = "https://aws.amazon.com/cloudwatch/pricing/"
OUT = "https://aws.amazon.com/ec2/pricing/on-demand/"
SECRETS = "https://aws.amazon.com/secrets-manager/pricing/"
KEYS = "https://aws.amazon.com/kms/pricing/"
EVENTS = "https://aws.amazon.com/eventbridge/pricing/"

THIRD = "third parties, 2026"
UNSEEN = "not seen: from memory"


@dataclass(frozen=True)
class Price:
    """A price of a unit, and how many units are free each month for as long as the account lives."""

    what: str
    dollars: float
    unit: str
    page: str
    seen: str
    free: float = 0.0
    per: float = 1.0

    def of(self, units: float, free: bool = False) -> float:
        """What so many units cost; with `free` only those beyond the free ones."""
        billed = max(0.0, units - self.free) if free else units
        return billed / self.per * self.dollars


REQUESTS = Price("Lambda, requests", 0.20, "a million", LAMBDA, THIRD, free=MILLION, per=MILLION)
SECONDS = Price("Lambda, arm64", 0.0000133334, "a GB-second", LAMBDA, THIRD, free=400_000)
HTTP_API = Price("HTTP API, up to 300 million", 1.00, "a million", GATEWAY, THIRD, per=MILLION)
HTTP_API_MORE = Price("HTTP API, beyond", 0.90, "a million", GATEWAY, THIRD, per=MILLION)
TRANSFER = Price("data to the internet", 0.09, "a GB", OUT, THIRD, free=100)
STORED = Price("ElastiCache Serverless for Valkey, data, at least 0.1 GB", 0.084, "a GB-hour", CACHE, THIRD)
UNITS = Price("ElastiCache Serverless for Valkey, requests", 0.0023, "a million ECPU", CACHE, THIRD, per=MILLION)
NODE = Price("ElastiCache for Valkey, cache.t4g.micro", 0.0128, "an hour", CACHE, UNSEEN)
METRIC = Price("CloudWatch, a metric of one's own", 0.30, "a month", WATCH, THIRD, free=10)
ALARM = Price("CloudWatch, an alarm", 0.10, "a month", WATCH, THIRD, free=10)
DASHBOARD = Price("CloudWatch, a dashboard", 3.00, "a month", WATCH, THIRD, free=3)
LOGGED = Price("CloudWatch Logs, ingested", 0.50, "a GB", WATCH, THIRD, free=5)
KEPT = Price("CloudWatch Logs, kept", 0.03, "a GB-month", WATCH, UNSEEN)
SECRET = Price("Secrets Manager, a secret", 0.40, "a month", SECRETS, THIRD)
KEY = Price("KMS, a key of one's own", 1.00, "a month", KEYS, THIRD)
SCHEDULE = Price("EventBridge Scheduler", 1.00, "a million", EVENTS, THIRD, free=14 * MILLION, per=MILLION)

ALL = [value for value in list(globals().values()) if isinstance(value, Price)]
