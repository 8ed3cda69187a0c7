"""What must hold of the stack whatever the parameters are, and of the rules which parameters go together."""

import json
import re
import unittest

from combinations import DECIDE, ENDPOINTS, EXISTING, FILL, SYNC, deciding, possible
from resolve import PSEUDO, Deployment
from stack import FUNCTIONS, TEMPLATE, Stack, references

APP = "on ~visits:* +@all -@dangerous +info"
# Reads of what get-visits answers with, and nothing of visitors.
READER = (
    "on ~visits:*:page:* ~visits:*:shard ~visits:shards "
    "-@all +hget +hmget +hgetall +smembers +info +cluster|slots +asking"
)


class EveryCombination(unittest.TestCase):
    """One pass over all that the rules allow: each combination is resolved once and looked at by all checks."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.combinations = [c for c in deciding() if not Deployment(TEMPLATE, **c).broken_rules()]
        cls.combinations += [{**c, **fill} for c in cls.combinations[::97] for fill in FILL]

    def test_nothing_refers_to_what_is_not_made(self) -> None:
        self.assertGreater(len(self.combinations), 1000)
        for parameters in self.combinations:
            stack = Stack(**parameters)
            known = set(stack.resources) | set(PSEUDO)
            for name, item in [*stack.resources.items(), *stack.stack["Outputs"].items()]:
                missing = references(item) - known
                self.assertFalse(missing, f"{name} with {parameters}")
                needed = item.get("DependsOn", [])
                self.assertLessEqual({needed} if isinstance(needed, str) else set(needed), known, name)
            self.check(stack, parameters)

    def check(self, stack: Stack, parameters: dict) -> None:
        said = str(parameters)
        self.assertEqual(4, len(stack.of_type("AWS::Lambda::Function")), said)
        for name in FUNCTIONS:
            function = stack.properties(stack.function(name))
            self.assertEqual(
                ("provided.al2023", ["arm64"], "bootstrap"),
                (function["Runtime"], function["Architectures"], function["Handler"]),
            )
            managed = stack.function(name) != name
            self.assertEqual(managed, "CapacityProviderConfig" in function, said)
            in_vpc = parameters["Network"] != "none" and not managed
            self.assertEqual(in_vpc, "VpcConfig" in function, said)
            self.assertIn("REDIS_ENDPOINTS", function["Environment"]["Variables"])
            self.assertTrue(stack.endpoints(name), said)
        self.check_redis(stack, parameters)
        self.check_keys(stack, parameters)

    def check_redis(self, stack: Stack, parameters: dict) -> None:
        for group in stack.of_type("AWS::ElastiCache::ReplicationGroup").values():
            sync = parameters.get("Durability") == "sync"
            self.assertEqual(("valkey", "9.0" if sync else "8.2"), (group["Engine"], group["EngineVersion"]))
            self.assertTrue(group["TransitEncryptionEnabled"] and group["AtRestEncryptionEnabled"])
            self.assertEqual("required", group["TransitEncryptionMode"])
            replicas = parameters.get("MultiZone", "on") == "on"
            self.assertEqual(
                (replicas, replicas, int(replicas)),
                (group["AutomaticFailoverEnabled"], group["MultiAZEnabled"], group["ReplicasPerNodeGroup"]),
            )
            self.assertEqual("sync" if sync else None, group.get("Durability"))
        for rules in stack.of_type("AWS::ElastiCache::ParameterGroup").values():
            self.assertEqual("noeviction", rules["Properties"]["maxmemory-policy"])
            sync = parameters.get("Durability") == "sync"
            self.assertEqual("valkey9" if sync else "valkey8", rules["CacheParameterGroupFamily"])
            self.assertEqual("yes" if sync else None, rules["Properties"].get("cluster-enabled"))
        for cache in stack.of_type("AWS::ElastiCache::ServerlessCache").values():
            self.assertEqual(("valkey", "8"), (cache["Engine"], cache["MajorEngineVersion"]))
        for user in stack.of_type("AWS::ElastiCache::User").values():
            self.assertEqual(user["UserId"], user["UserName"])
            self.assertEqual(("valkey", {"Type": "iam"}), (user["Engine"], user["AuthenticationMode"]))
        if users := stack.of_type("AWS::ElastiCache::User"):
            self.assertEqual(
                {"RedisUser": APP, "RedisReader": READER}, {n: u["AccessString"] for n, u in users.items()}
            )
            (group,) = stack.of_type("AWS::ElastiCache::UserGroup").values()
            self.assertEqual([{"Ref": name} for name in users], group["UserIds"])

    def check_keys(self, stack: Stack, parameters: dict) -> None:
        """With a key of one's own all that rests is encrypted with it, and it is there only then."""
        own = parameters["Encryption"] == "own-key"
        self.assertEqual(own, "Key" in stack.resources)
        holds = {
            "AWS::Logs::LogGroup": "KmsKeyId",
            "AWS::SecretsManager::Secret": "KmsKeyId",
            "AWS::ElastiCache::ReplicationGroup": "KmsKeyId",
            "AWS::ElastiCache::ServerlessCache": "KmsKeyId",
            "AWS::Lambda::Function": "KmsKeyArn",
            "AWS::SNS::Topic": "KmsMasterKeyId",
        }
        for kind, member in holds.items():
            for name, properties in stack.of_type(kind).items():
                self.assertEqual(own, member in properties, f"{name} with {parameters}")


class Rules(unittest.TestCase):
    def broken(self, **parameters: str) -> list[str]:
        return Deployment(TEMPLATE, **parameters).broken_rules()

    def test_a_rule_has_no_function_but_those_that_cloudformation_takes_in_one(self) -> None:
        known = {"And", "Contains", "EachMemberEquals", "EachMemberIn", "Equals", "Not", "Or", "RefAll", "ValueOf"}
        used = set(re.findall(r'"(Fn::\w+|Condition)":', json.dumps(TEMPLATE["Rules"])))
        self.assertLessEqual(used, {f"Fn::{name}" for name in known | {"ValueOfAll"}})

    def test_the_defaults_may_be_deployed(self) -> None:
        self.assertEqual([], self.broken())

    def test_the_rules_allow_exactly_what_can_work(self) -> None:
        names = list(DECIDE)
        for choice in deciding():
            index = tuple(
                next(i for i, v in enumerate(DECIDE[n]) if v.items() <= choice.items() and not longer(n, v, choice))
                for n in names
            )
            self.assertEqual(possible(names, index), not self.broken(**choice), choice)

    def test_what_a_choice_needs_is_told(self) -> None:
        given = {"Redis": "given", "Network": "none"}
        existing = {"Network": "existing", **EXISTING}
        for said, parameters in [
            ("Redis given needs RedisEndpoints", given),
            ("Network must be existing or none", {"Redis": "given", **ENDPOINTS}),
            ("needs SecurityGroupIds", {"Redis": "given", **ENDPOINTS, **existing}),
            ("Network existing needs VpcId", {"Network": "existing", "SubnetIds": EXISTING["SubnetIds"]}),
            ("Network existing needs SubnetIds", {"Network": "existing", "VpcId": EXISTING["VpcId"]}),
            ("ElastiCache is reached inside a VPC only", {"Network": "none"}),
            ("Durability sync is for Redis valkey-nodes", {**SYNC, "Redis": "valkey-serverless"}),
            ("Durability sync needs MultiZone on", {**SYNC, "MultiZone": "off"}),
            ("Durability sync needs a NodeType from cache.m6g.large on", {**SYNC, "NodeType": "cache.t4g.micro"}),
            ("Managed Instances run inside a VPC", {**given, **ENDPOINTS, "ManagedInstances": "on"}),
        ]:
            broken = self.broken(**parameters)
            self.assertEqual(1, len(broken), (said, broken))
            self.assertIn(said, broken[0])


def longer(name: str, value: dict, choice: dict) -> bool:
    """Whether another of the parameter's values says more about this choice."""
    return any(value.items() < other.items() <= choice.items() for other in DECIDE[name])
