"""The combinations of parameters: all of those that decide what is made, and each other value of the rest."""

from collections.abc import Iterator
from itertools import product

# Values that parameters without a useful default need.
EXISTING = {"VpcId": "vpc-0123456789abcdef0", "SubnetIds": "subnet-0123456789abcdef0,subnet-0123456789abcdef1"}
GROUPS = {"SecurityGroupIds": "sg-0123456789abcdef0"}
ENDPOINTS = {"RedisEndpoints": "a=rediss://a.example:6379,b=rediss://b.example:6379"}
SYNC = {"Redis": "valkey-nodes", "Durability": "sync", "NodeType": "cache.r7g.large"}
SECRET_ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:token-AbCdEf"

# What is made. Each value may bring others that it needs.
DECIDE = {
    "ApiType": [{"ApiType": "http-api"}, {"ApiType": "function-urls"}],
    "Redis": [
        {"Redis": "valkey-serverless"},
        {"Redis": "valkey-nodes"},
        {"Redis": "valkey-nodes", "MultiZone": "off"},
        SYNC,
        {"Redis": "given", **ENDPOINTS},
    ],
    "Network": [
        {"Network": "new"},
        {"Network": "existing", **EXISTING, **GROUPS},
        {"Network": "existing", "SubnetsDualStack": "on", **EXISTING, **GROUPS},
        {"Network": "none"},
    ],
    "ManagedInstances": [{"ManagedInstances": "off"}, {"ManagedInstances": "on"}],
    "Encryption": [{"Encryption": "aws-keys"}, {"Encryption": "own-key"}],
    "Token": [
        {"VisitsOwnerToken": "create"},
        {"VisitsOwnerToken": "off"},
        {"VisitsOwnerToken": f"secret:{SECRET_ARN}", "OwnerTokenSecretArn": SECRET_ARN},
    ],
    "VisitsPublic": [{"VisitsPublic": "on"}, {"VisitsPublic": "off"}],
    "Metrics": [{"Metrics": "on"}, {"Metrics": "off"}],
    "AlarmEmail": [{"AlarmEmail": ""}, {"AlarmEmail": "owner@example.org"}],
}
# What only fills in a value or two.
FILL = [
    {"LogicalShards": "4"},
    {"LogicalShards": "8"},
    {"Tracing": "on"},
    {"FlushConcurrency": "1"},
    {"FinalSnapshot": "off"},
    {"BackupDays": "0"},
    {"LogDays": "1"},
]


def deciding() -> Iterator[dict[str, str]]:
    """Every combination of what is made, with those that no rule allows among them."""
    for choice in product(*DECIDE.values()):
        yield {name: value for part in choice for name, value in part.items()}


def covering() -> list[dict[str, str]]:
    """A few combinations in which each two values that may stand together do so: for checks that take seconds each."""
    names = list(DECIDE)
    everything = [
        choice for choice in product(*(range(len(DECIDE[name])) for name in names)) if possible(names, choice)
    ]
    pairs = {pair for choice in everything for pair in pairs_of(choice)}
    chosen = []
    while pairs:
        best = max(everything, key=lambda choice: len(pairs & pairs_of(choice)))
        pairs -= pairs_of(best)
        chosen.append({n: v for name, index in zip(names, best, strict=True) for n, v in DECIDE[name][index].items()})
    return chosen


def pairs_of(choice: tuple[int, ...]) -> set[tuple]:
    return {(i, a, j, b) for j, b in enumerate(choice) for i, a in enumerate(choice[:j])}


def possible(names: list[str], choice: tuple[int, ...]) -> bool:
    """The same that the template's rules say, said once more: a test holds the two against each other."""
    values = {n: v for name, index in zip(names, choice, strict=True) for n, v in DECIDE[name][index].items()}
    given = values["Redis"] == "given"
    if values["Network"] == "none":
        return given and values["ManagedInstances"] == "off"
    return not given or values["Network"] == "existing"
