"""Claims about what CloudFormation is handed: that it takes it, for which parameters, and what a failure leaves."""

import re
import unittest

import tomli
from stack import (
    EXISTING,
    GIVEN,
    IN_RULES,
    PSEUDO,
    ROOT,
    SYNC,
    TEMPLATE,
    Deployment,
    Stack,
    combinations,
    functions,
    references,
)


def broken(**parameters: str) -> list[str]:
    return Deployment(TEMPLATE, **parameters).broken_rules()


class Rules(unittest.TestCase):
    def test_a_rule_has_no_function_but_those_that_cloudformation_takes_in_one(self) -> None:
        for name, rule in TEMPLATE["Rules"].items():
            tests = [rule.get("RuleCondition", {}), *(assertion["Assert"] for assertion in rule["Assertions"])]
            self.assertLessEqual(functions(tests), IN_RULES, name)

    def test_the_evaluator_refuses_what_cloudformation_refuses_even_in_a_rule_that_does_not_apply(self) -> None:
        join = {"Fn::Equals": [{"Fn::Join": [",", {"Ref": "SubnetIds"}]}, ""]}
        for refused in (join, {"Fn::Not": [{"Condition": "Given"}]}, {"Fn::Not": [{"Fn::If": ["Given", join, join]}]}):
            rule = {
                "RuleCondition": {"Fn::Equals": ["a", "b"]},
                "Assertions": [{"Assert": refused, "AssertDescription": ""}],
            }
            with self.assertRaisesRegex(AssertionError, "CloudFormation takes no", msg=str(refused)):
                Deployment({**TEMPLATE, "Rules": {"Rule": rule}}).broken_rules()
        with self.assertRaisesRegex(AssertionError, "CloudFormation takes no Fn::Join", msg="in a condition"):
            Deployment({**TEMPLATE, "Conditions": {"Given": join}}).condition("Given")

    def test_an_empty_list_is_one_empty_text(self) -> None:
        self.assertEqual([""], Deployment(TEMPLATE).values["SubnetIds"])

    def test_the_defaults_and_every_combination_of_what_is_made_may_be_deployed(self) -> None:
        for parameters in [{}, *combinations()]:
            self.assertEqual([], broken(**parameters), parameters)

    def test_what_a_choice_needs_is_told(self) -> None:
        for said, parameters in [
            ("Redis given needs RedisEndpoints", {"Redis": "given"}),
            ("Redis given needs RedisEndpoints", {"Redis": "given", "RedisEndpoints": "-"}),
            ("needs SecurityGroupIds", {**GIVEN, **EXISTING}),
            ("VpcId needs SubnetIds", {"VpcId": EXISTING["VpcId"]}),
            ("needs a NodeType from cache.m6g.large on", {**SYNC, "NodeType": "cache.t4g.micro"}),
        ]:
            found = broken(**parameters)
            self.assertEqual(1, len(found), (said, found))
            self.assertIn(said, found[0])


class Parameters(unittest.TestCase):
    def test_there_are_at_most_20_and_each_has_a_default_that_works(self) -> None:
        self.assertLessEqual(len(TEMPLATE["Parameters"]), 20)
        for name, parameter in TEMPLATE["Parameters"].items():
            default = str(parameter["Default"])
            self.assertIn(default, [str(value) for value in parameter.get("AllowedValues", [default])], name)
            self.assertRegex(default, f"^({parameter.get('AllowedPattern', '.*')})$", name)
            self.assertLessEqual(
                parameter.get("MinValue", 0), float(default) if parameter["Type"] == "Number" else 0, name
            )

    def test_two_commands_deploy(self) -> None:
        config = tomli.loads((ROOT / "samconfig.toml").read_text())["default"]
        self.assertTrue(config["global"]["parameters"]["stack_name"])
        self.assertTrue(config["deploy"]["parameters"]["resolve_s3"])
        # A named role or another transform would need more than this.
        self.assertEqual("CAPABILITY_IAM", config["deploy"]["parameters"]["capabilities"])
        self.assertIn("\nTransform: AWS::Serverless-2016-10-31\n", (ROOT / "template.yaml").read_text())
        named = {
            name
            for name, item in Stack().resources.items()
            if {"RoleName", "ManagedPolicyName"} & set(item["Properties"])
        }
        self.assertEqual(set(), named)

    def test_no_two_things_have_one_name(self) -> None:
        sections = ("Parameters", "Mappings", "Conditions", "Rules", "Resources")
        names = [name for section in sections for name in TEMPLATE[section]]
        self.assertEqual(len(names), len(set(names)), {name for name in names if names.count(name) > 1})

    def test_each_is_used(self) -> None:
        used = set().union(*(references(TEMPLATE[s]) for s in ("Conditions", "Rules", "Resources", "Outputs")))
        self.assertEqual(set(), set(TEMPLATE["Parameters"]) - used)

    def test_the_redis_addresses_are_never_shown(self) -> None:
        for name in ("RedisEndpoints", "ReadOnlyRedisEndpoints"):
            self.assertTrue(TEMPLATE["Parameters"][name]["NoEcho"])
            self.assertNotIn(name, references(TEMPLATE["Outputs"]))


class Failures(unittest.TestCase):
    def test_a_deployment_that_fails_orphans_nothing(self) -> None:
        kept = {
            name: item["DeletionPolicy"] for name, item in TEMPLATE["Resources"].items() if "DeletionPolicy" in item
        }
        self.assertEqual({"Key": "RetainExceptOnCreate", "RedisA": "Snapshot", "RedisB": "Snapshot"}, kept)
        self.assertIn("FinalSnapshotName", Stack().properties("ServerlessRedis"))

    def test_nothing_is_reserved_of_a_new_accounts_ten_environments(self) -> None:
        for name, function in Stack().of_type("AWS::Lambda::Function").items():
            self.assertNotIn("ReservedConcurrentExecutions", function, name)

    def test_subnets_stand_in_two_zones_named_by_id(self) -> None:
        for region, zones in TEMPLATE["Mappings"]["Zones"].items():
            # use1-az3 has neither Lambda nor small nodes; letters, as GetAZs gives them, differ by account.
            words = region.split("-")
            prefix = words[0] + re.sub("(north|south|west|east|central)", lambda m: m[0][0], words[1]) + words[2]
            for zone in (zones["A"], zones["B"]):
                self.assertRegex(zone, f"^{prefix}-az[1-6]$")
                self.assertNotEqual("use1-az3", zone)
            self.assertNotEqual(zones["A"], zones["B"], region)
        subnets = Stack().of_type("AWS::EC2::Subnet").values()
        self.assertEqual({"use1-az4", "use1-az6"}, {subnet.get("AvailabilityZoneId") for subnet in subnets})
        self.assertEqual([], [subnet for subnet in subnets if "AvailabilityZone" in subnet])


# Reads of what get-visits answers with, and nothing of visitors.
READER = (
    "on ~visits:*:page:* ~visits:*:shard ~visits:shards "
    "-@all +hget +hmget +hgetall +smembers +info +cluster|slots +asking"
)
ACCESS = {"RedisUser": "on ~visits:* +@all -@dangerous +info", "RedisReader": READER}
ENCRYPTED = {
    "AWS::Logs::LogGroup": "KmsKeyId",
    "AWS::SecretsManager::Secret": "KmsKeyId",
    "AWS::ElastiCache::ReplicationGroup": "KmsKeyId",
    "AWS::ElastiCache::ServerlessCache": "KmsKeyId",
    "AWS::Lambda::Function": "KmsKeyArn",
    "AWS::SNS::Topic": "KmsMasterKeyId",
}


class EveryCombination(unittest.TestCase):
    """One pass: each combination is resolved once and looked at by all checks."""

    def test_each_is_whole_and_as_its_parameters_say(self) -> None:
        count = 0
        for parameters in combinations():
            stack = Stack(**parameters)
            with self.subTest(parameters):
                self.references(stack)
                self.functions(stack, parameters)
                self.redis(stack, parameters["Redis"])
                self.keys(stack, parameters["Encryption"] == "own-key")
            count += 1
        self.assertGreater(count, 1000)

    def references(self, stack: Stack) -> None:
        known = set(stack.resources) | set(PSEUDO)
        for name, item in [*stack.resources.items(), *stack.stack["Outputs"].items()]:
            self.assertEqual(set(), references(item) - known, name)
            needed = item.get("DependsOn", [])
            self.assertLessEqual({needed} if isinstance(needed, str) else set(needed), known, name)

    def functions(self, stack: Stack, parameters: dict) -> None:
        made = stack.of_type("AWS::Lambda::Function")
        self.assertEqual(4, len(made))
        for name, function in made.items():
            described = (function["Runtime"], function["Architectures"], function["Handler"], function["MemorySize"])
            self.assertEqual(("provided.al2023", ["arm64"], "bootstrap", 128), described)
            self.assertEqual(parameters["Redis"] != "given" or "VpcId" in parameters, "VpcConfig" in function, name)
            self.assertTrue(stack.endpoints(name), name)

    def redis(self, stack: Stack, kind: str) -> None:
        sync, replicas = kind == "valkey-nodes-sync", kind in ("valkey-nodes", "valkey-nodes-sync")
        for group in stack.of_type("AWS::ElastiCache::ReplicationGroup").values():
            self.assertEqual(("valkey", "9.0" if sync else "8.2"), (group["Engine"], group["EngineVersion"]))
            self.assertTrue(group["TransitEncryptionEnabled"] and group["AtRestEncryptionEnabled"])
            self.assertEqual("required", group["TransitEncryptionMode"])
            copies = (group["AutomaticFailoverEnabled"], group["MultiAZEnabled"], group["ReplicasPerNodeGroup"])
            self.assertEqual((replicas, replicas, int(replicas)), copies)
            self.assertEqual("sync" if sync else None, group.get("Durability"))
        for rules in stack.of_type("AWS::ElastiCache::ParameterGroup").values():
            self.assertEqual("noeviction", rules["Properties"]["maxmemory-policy"])
            self.assertEqual("valkey9" if sync else "valkey8", rules["CacheParameterGroupFamily"])
            self.assertEqual("yes" if sync else None, rules["Properties"].get("cluster-enabled"))
        for cache in stack.of_type("AWS::ElastiCache::ServerlessCache").values():
            self.assertEqual(("valkey", "8"), (cache["Engine"], cache["MajorEngineVersion"]))
        users = stack.of_type("AWS::ElastiCache::User")
        self.assertEqual(
            {} if kind == "given" else ACCESS, {name: user["AccessString"] for name, user in users.items()}
        )
        for user in users.values():
            self.assertEqual(user["UserId"], user["UserName"])
            self.assertEqual(("valkey", {"Type": "iam"}), (user["Engine"], user["AuthenticationMode"]))
        for group in stack.of_type("AWS::ElastiCache::UserGroup").values():
            self.assertEqual([{"Ref": name} for name in users], group["UserIds"])

    def keys(self, stack: Stack, own: bool) -> None:
        """With a key of one's own all stored data is encrypted with it, and it is there only then."""
        self.assertEqual(own, "Key" in stack.resources)
        for kind, member in ENCRYPTED.items():
            for name, properties in stack.of_type(kind).items():
                self.assertEqual(own, member in properties, name)
