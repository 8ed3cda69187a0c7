"""What each choice that the parameters offer makes, and that of the rest nothing is there."""

import json
import re
import unittest

from combinations import ENDPOINTS, EXISTING, GROUPS, SYNC
from stack import FUNCTIONS, Stack


class Choices(unittest.TestCase):
    """What each choice makes, and of the rest nothing."""

    def test_an_api_or_function_urls_lead_to_the_functions_and_not_both(self) -> None:
        api, urls = Stack(), Stack(ApiType="function-urls")
        self.assertEqual({"Api"}, set(api.of_type("AWS::ApiGatewayV2::Api")))
        self.assertEqual({}, api.of_type("AWS::Lambda::Url"))
        self.assertEqual({}, urls.of_type("AWS::ApiGatewayV2::Api"))
        self.assertEqual({"RecordUrl", "GetUrl", "DashboardUrl"}, set(urls.of_type("AWS::Lambda::Url")))
        targets = [url["TargetFunctionArn"] for url in urls.of_type("AWS::Lambda::Url").values()]
        for url in urls.of_type("AWS::Lambda::Url").values():
            self.assertEqual(("NONE", "BUFFERED"), (url["AuthType"], url["InvokeMode"]))
        permissions = [(p["FunctionName"], p["Action"]) for p in urls.of_type("AWS::Lambda::Permission").values()]
        for target in targets:
            self.assertIn((target, "lambda:InvokeFunctionUrl"), permissions)
            self.assertIn((target, "lambda:InvokeFunction"), permissions)
        self.assertEqual(6, len(permissions))
        self.assertNotIn({"Fn::GetAtt": ["FlushVisits", "Arn"]}, targets)

    def test_the_script_line_says_where_visits_go(self) -> None:
        line = str(Stack().stack["Outputs"]["ScriptLine"]["Value"])
        self.assertIn("${Api}.execute-api.us-east-1.amazonaws.com/counter.js", line)
        line = str(Stack(ApiType="function-urls").stack["Outputs"]["ScriptLine"]["Value"])
        for part in (
            "${DashboardUrl.FunctionUrl}counter.js",
            'data-api="${RecordUrl.FunctionUrl}"',
            'data-counts="${GetUrl.FunctionUrl}"',
        ):
            self.assertIn(part, line)

    def test_a_serverless_cache_is_divided_into_the_shards_asked_for(self) -> None:
        for count in (2, 4, 8):
            stack = Stack(LogicalShards=str(count))
            shards = stack.endpoints("RecordVisit").split(",")
            self.assertEqual(
                [f"shard_{i}" for i in range(count)], [re.search(r"shard_\d", shard)[0] for shard in shards]
            )
            for shard in shards:
                self.assertIn(
                    "=rediss://${RedisUser}@${ServerlessRedis.Endpoint.Address}:${ServerlessRedis.Endpoint.Port};cluster;iam-serverless=${ServerlessRedis}",
                    shard,
                )

    def test_two_groups_of_nodes_are_two_shards(self) -> None:
        text = Stack(Redis="valkey-nodes").endpoints("RecordVisit")
        for shard, group in (("shard_0", "RedisA"), ("shard_1", "RedisB")):
            self.assertIn(
                f"{shard}=rediss://${{RedisUser}}@${{{group}.PrimaryEndPoint.Address}}:6379;iam=${{{group}}}", text
            )
        text = Stack(**SYNC).endpoints("RecordVisit")
        for shard, group in (("shard_0", "RedisA"), ("shard_1", "RedisB")):
            self.assertIn(
                f"{shard}=rediss://${{RedisUser}}@${{{group}.ConfigurationEndPoint.Address}}:6379;cluster;iam=${{{group}}}",
                text,
            )

    def test_get_visits_reads_the_same_shards_as_a_user_of_its_own(self) -> None:
        for parameters in [{}, {"LogicalShards": "4"}, {"LogicalShards": "8"}, {"Redis": "valkey-nodes"}, SYNC]:
            for managed in ("off", "on"):
                stack = Stack(**parameters, ManagedInstances=managed)
                written = stack.endpoints("RecordVisit")
                self.assertEqual(written.replace("${RedisUser}", "${RedisReader}"), stack.endpoints("GetVisits"))
                self.assertIn("${RedisReader}@", stack.endpoints("GetVisits"))
                for name in ("Dashboard", "FlushVisits"):
                    self.assertEqual(written, stack.endpoints(name))

    def test_a_given_redis_is_used_as_given_and_none_is_made(self) -> None:
        stack = Stack(Redis="given", Network="none", **ENDPOINTS)
        for name in FUNCTIONS:
            self.assertEqual(ENDPOINTS["RedisEndpoints"], stack.endpoints(name))
        for empty in ("", "-"):
            stack = Stack(Redis="given", Network="none", **ENDPOINTS, ReadOnlyRedisEndpoints=empty)
            self.assertEqual(ENDPOINTS["RedisEndpoints"], stack.endpoints("GetVisits"))
        reader = "a=rediss://reader@a.example:6379,b=rediss://reader@b.example:6379"
        stack = Stack(Redis="given", Network="none", **ENDPOINTS, ReadOnlyRedisEndpoints=reader)
        self.assertEqual(reader, stack.endpoints("GetVisits"))
        for name in FUNCTIONS.keys() - {"GetVisits"}:
            self.assertEqual(ENDPOINTS["RedisEndpoints"], stack.endpoints(name))
        self.assertFalse(
            [name for name, item in stack.resources.items() if "ElastiCache" in item["Type"] or "EC2" in item["Type"]]
        )

    def test_names_that_iam_logins_sign_are_in_lower_case(self) -> None:
        user = Stack().properties("RedisUser")["UserId"]
        # The stack's own id: 8 hexadecimal digits of it.
        self.assertEqual("visits-", str(user["Fn::Sub"][0]).split("$")[0])
        for stack, name, member in [
            (Stack(), "ServerlessRedis", "ServerlessCacheName"),
            (Stack(Redis="valkey-nodes"), "RedisA", "ReplicationGroupId"),
            (Stack(Redis="valkey-nodes"), "RedisB", "ReplicationGroupId"),
        ]:
            text = stack.properties(name)[member]["Fn::Sub"]
            self.assertEqual(text.replace("${RedisUser}", "").lower(), text.replace("${RedisUser}", ""))

    def test_a_new_network_lets_nothing_in_and_only_ipv6_out(self) -> None:
        stack = Stack()
        self.assertEqual({}, stack.of_type("AWS::EC2::InternetGateway") | stack.of_type("AWS::EC2::NatGateway"))
        (route,) = stack.of_type("AWS::EC2::Route").values()
        self.assertEqual(
            ({"Ref": "Ipv6Gateway"}, "::/0"), (route["EgressOnlyInternetGatewayId"], route["DestinationIpv6CidrBlock"])
        )
        self.assertEqual(
            2, len({json.dumps(s["AvailabilityZone"]) for s in stack.of_type("AWS::EC2::Subnet").values()})
        )
        self.assertNotIn("SecurityGroupIngress", stack.properties("FunctionsSecurityGroup"))
        (way_in,) = stack.properties("RedisSecurityGroup")["SecurityGroupIngress"]
        self.assertEqual({"Ref": "FunctionsSecurityGroup"}, way_in["SourceSecurityGroupId"])

    def test_flush_visits_calls_lambda_by_ipv6_where_that_is_its_way_out(self) -> None:
        for dual, parameters in [
            ("true", {}),
            ("false", {"Network": "existing", **EXISTING}),
            ("true", {"Network": "existing", "SubnetsDualStack": "on", **EXISTING}),
            ("false", {"Redis": "given", "Network": "none", **ENDPOINTS}),
        ]:
            stack = Stack(**parameters)
            self.assertEqual(dual, stack.environment("FlushVisits")["AWS_USE_DUALSTACK_ENDPOINT"])
            network = stack.properties("FlushVisits").get("VpcConfig")
            self.assertEqual(
                network is not None and dual == "true", bool(network and network["Ipv6AllowedForDualStack"])
            )

    def test_existing_subnets_and_groups_are_used(self) -> None:
        stack = Stack(Redis="given", Network="existing", **EXISTING, **GROUPS, **ENDPOINTS)
        network = stack.properties("RecordVisit")["VpcConfig"]
        self.assertEqual(EXISTING["SubnetIds"].split(","), network["SubnetIds"])
        self.assertEqual([GROUPS["SecurityGroupIds"]], network["SecurityGroupIds"])
        self.assertEqual({}, stack.of_type("AWS::EC2::VPC") | stack.of_type("AWS::EC2::SecurityGroup"))

    def test_managed_instances_run_the_two_busy_functions_only(self) -> None:
        stack = Stack(ManagedInstances="on")
        for name in ("RecordVisit", "GetVisits"):
            function = stack.properties(f"{name}Managed")
            self.assertEqual(
                {"Fn::GetAtt": ["Capacity", "Arn"]},
                function["CapacityProviderConfig"]["LambdaManagedInstancesCapacityProviderConfig"][
                    "CapacityProviderArn"
                ],
            )
            self.assertGreaterEqual(function["MemorySize"], 2048)
        self.assertIn("LogsEndpoint", stack.resources)
        self.assertNotIn("LogsEndpoint", Stack().resources)
        self.assertEqual({"Ref": "RecordVisitManaged"}, stack.environment("FlushVisits")["VISITS_RECORD_FUNCTION"])

    def test_a_final_snapshot_is_kept_if_wanted(self) -> None:
        self.assertIn("FinalSnapshotName", Stack().properties("ServerlessRedis"))
        self.assertNotIn("FinalSnapshotName", Stack(FinalSnapshot="off").properties("ServerlessRedis"))

    def test_concurrency_is_reserved_only_if_asked_for(self) -> None:
        self.assertNotIn("ReservedConcurrentExecutions", Stack().properties("FlushVisits"))
        self.assertEqual("1", Stack(FlushConcurrency="1").properties("FlushVisits")["ReservedConcurrentExecutions"])

    def test_tracing_is_off_unless_asked_for(self) -> None:
        for mode, parameters in (("PassThrough", {}), ("Active", {"Tracing": "on"})):
            stack = Stack(**parameters)
            for name in FUNCTIONS:
                self.assertEqual(mode, stack.properties(name)["TracingConfig"]["Mode"])
                self.assertEqual(mode == "Active", "xray:PutTraceSegments" in stack.actions(f"{name}Role"))
