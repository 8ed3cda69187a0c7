"""Claims about the stack: what each choice makes, and nothing of the rest; permissions, the schedule, logs, alarms."""

import json
import re
import unittest

from stack import EXISTING, FUNCTIONS, GIVEN, GROUPS, ROOT, SECRET, SYNC, Stack, references

OWN_METRICS = {"VisitsLost", "StatisticsSkipped", "ParkedAge", "FlushFailures", "RedisMemory"}
MAILED = {"AlarmEmail": "owner@example.org"}


def written() -> set[str]:
    """Every text in the functions' source that could be a metric's name."""
    files = [*(ROOT / "shared/src").rglob("*.rs"), *(ROOT / "functions").rglob("src/**/*.rs")]
    return {name for file in files for name in re.findall(r'"([A-Z][A-Za-z]+)"', file.read_text())}


class Choices(unittest.TestCase):
    def test_function_urls_lead_to_the_request_functions_with_both_permissions_and_only_if_asked_for(self) -> None:
        self.assertEqual({}, Stack().of_type("AWS::Lambda::Url"))
        stack = Stack(FunctionUrls="on")
        urls = stack.of_type("AWS::Lambda::Url")
        self.assertEqual({"RecordUrl", "GetUrl", "DashboardUrl"}, set(urls))
        permissions = [(p["FunctionName"], p["Action"]) for p in stack.of_type("AWS::Lambda::Permission").values()]
        for url in urls.values():
            self.assertEqual(("NONE", "BUFFERED"), (url["AuthType"], url["InvokeMode"]))
            self.assertNotEqual({"FlushVisits"}, references(url["TargetFunctionArn"]))
            for action in ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction"):
                self.assertIn((url["TargetFunctionArn"], action), permissions)

    def test_the_outputs_say_where_visits_go_and_the_owner_looks(self) -> None:
        outputs = Stack().stack["Outputs"]
        for name, end in (("ScriptLine", '/counter.js"></script>'), ("DashboardAddress", "/dashboard"), ("ApiUrl", "")):
            value = outputs[name]["Value"]["Fn::Sub"]
            self.assertRegex(value, f"https://\\${{Api}}.execute-api.us-east-1.amazonaws.com{end}$", name)
        line = str(Stack(FunctionUrls="on").stack["Outputs"]["ScriptLine"]["Value"])
        for part in ("{DashboardUrl.FunctionUrl}counter.js", 'data-api="${RecordUrl.', 'data-counts="${GetUrl.'):
            self.assertIn(part, line)

    def test_a_serverless_cache_is_divided_into_four_shards_and_two_groups_of_nodes_are_two(self) -> None:
        serverless = "rediss://${RedisUser}@${ServerlessRedis.Endpoint.Address}:${ServerlessRedis.Endpoint.Port};cluster;iam-serverless=${ServerlessRedis}"
        nodes = "rediss://${RedisUser}@${RedisX.PrimaryEndPoint.Address}:6379;iam=${RedisX}"
        sync = "rediss://${RedisUser}@${RedisX.ConfigurationEndPoint.Address}:6379;cluster;iam=${RedisX}"
        for parameters, urls in [
            ({}, [serverless] * 4),
            ({"Redis": "valkey-nodes"}, [nodes.replace("RedisX", name) for name in ("RedisA", "RedisB")]),
            (SYNC, [sync.replace("RedisX", name) for name in ("RedisA", "RedisB")]),
        ]:
            stack = Stack(**parameters)
            expected = ",".join(f"shard_{index}={url}" for index, url in enumerate(urls))
            for name in FUNCTIONS:
                user = "RedisReader" if name == "GetVisits" else "RedisUser"
                self.assertEqual(expected.replace("RedisUser", user), stack.endpoints(name), (name, parameters))

    def test_a_given_redis_is_used_as_given_and_neither_redis_nor_network_is_made(self) -> None:
        reader = "a=rediss://reader@a.example:6379,b=rediss://reader@b.example:6379"
        for given, read in (("", GIVEN["RedisEndpoints"]), ("-", GIVEN["RedisEndpoints"]), (reader, reader)):
            stack = Stack(**GIVEN, ReadOnlyRedisEndpoints=given)
            for name in FUNCTIONS:
                self.assertEqual(read if name == "GetVisits" else GIVEN["RedisEndpoints"], stack.endpoints(name))
        self.assertEqual([], [n for n, item in stack.resources.items() if re.search("ElastiCache|EC2", item["Type"])])

    def test_names_that_iam_logins_sign_are_in_lower_case(self) -> None:
        # The stack's own id gives 8 hexadecimal digits.
        self.assertEqual("visits-${Id}", Stack().properties("RedisUser")["UserId"]["Fn::Sub"][0])
        for stack, name, member in [
            (Stack(), "ServerlessRedis", "ServerlessCacheName"),
            (Stack(Redis="valkey-nodes"), "RedisA", "ReplicationGroupId"),
            (Stack(Redis="valkey-nodes"), "RedisB", "ReplicationGroupId"),
        ]:
            self.assertRegex(stack.properties(name)[member]["Fn::Sub"], r"^\$\{RedisUser\}-[a-z]+$")

    def test_a_new_network_lets_nothing_in_and_only_ipv6_and_s3_out(self) -> None:
        stack = Stack()
        self.assertEqual({}, stack.of_type("AWS::EC2::InternetGateway") | stack.of_type("AWS::EC2::NatGateway"))
        (route,) = stack.of_type("AWS::EC2::Route").values()
        self.assertEqual("::/0", route.pop("DestinationIpv6CidrBlock"))
        self.assertEqual({"Routes", "Ipv6Gateway"}, references(route))
        (endpoint,) = stack.of_type("AWS::EC2::VPCEndpoint").values()
        self.assertEqual(
            ("Gateway", "com.amazonaws.us-east-1.s3"), (endpoint["VpcEndpointType"], endpoint["ServiceName"])
        )
        self.assertNotIn("SecurityGroupIngress", stack.properties("FunctionsSecurityGroup"))
        (way_in,) = stack.properties("RedisSecurityGroup")["SecurityGroupIngress"]
        self.assertEqual({"Ref": "FunctionsSecurityGroup"}, way_in["SourceSecurityGroupId"])

    def test_flush_visits_calls_lambda_by_ipv6_where_that_is_its_way_out(self) -> None:
        for dual, parameters in [
            (True, {}),
            (False, EXISTING),
            (True, {"SubnetsDualStack": "on", **EXISTING}),
            (False, GIVEN),
        ]:
            stack = Stack(**parameters)
            self.assertEqual(str(dual).lower(), stack.environment("FlushVisits")["AWS_USE_DUALSTACK_ENDPOINT"])
            network = stack.properties("FlushVisits").get("VpcConfig", {})
            self.assertEqual(dual, network.get("Ipv6AllowedForDualStack", False), parameters)

    def test_existing_subnets_and_groups_are_used(self) -> None:
        stack = Stack(**EXISTING, **GROUPS, **GIVEN)
        network = stack.properties("RecordVisit")["VpcConfig"]
        self.assertEqual(EXISTING["SubnetIds"].split(","), network["SubnetIds"])
        self.assertEqual([GROUPS["SecurityGroupIds"]], network["SecurityGroupIds"])
        self.assertEqual({}, stack.of_type("AWS::EC2::VPC") | stack.of_type("AWS::EC2::SecurityGroup"))


class Permissions(unittest.TestCase):
    def test_each_role_may_do_what_its_function_does_and_no_more_than_awss_policies_for_logs_and_networks(self) -> None:
        for parameters in ({}, {"Redis": "valkey-nodes", "Encryption": "own-key"}):
            stack, decrypt = Stack(**parameters), ["kms:Decrypt"] * ("Encryption" in parameters)
            for function, more in [
                ("RecordVisit", []),
                ("GetVisits", []),
                ("Dashboard", ["secretsmanager:GetSecretValue", *decrypt]),
                ("FlushVisits", ["lambda:InvokeFunction", "sqs:SendMessage"]),
            ]:
                role = f"{function}Role"
                self.assertEqual(sorted(["elasticache:Connect", *more]), sorted(stack.allowed(role)), function)
                managed = [arn for arn in stack.properties(role)["ManagedPolicyArns"] if isinstance(arn, str)]
                names = [
                    f"arn:aws:iam::aws:policy/service-role/AWSLambda{n}ExecutionRole" for n in ("Basic", "VPCAccess")
                ]
                self.assertEqual(names, managed, function)
            schedule = stack.allowed("FlushVisitsEachMinuteRole")
            self.assertEqual(["lambda:InvokeFunction", "sqs:SendMessage"], sorted(schedule))
            for role in stack.of_type("AWS::IAM::Role"):
                for statement in stack.statements(role):
                    self.assertEqual(statement["Effect"] == "Deny", statement["Resource"] == "*", role)

    def test_the_functions_own_code_may_not_use_what_puts_them_into_the_network(self) -> None:
        for name in FUNCTIONS:
            (denied,) = [each for each in Stack().statements(f"{name}Role") if each["Effect"] == "Deny"]
            condition = denied["Condition"]["ArnLike"]["lambda:SourceFunctionArn"]
            self.assertEqual("arn:aws:lambda:us-east-1:123456789012:function:counter-*", condition)
            self.assertEqual("ec2:*", denied["Action"])

    def test_get_visits_may_log_in_to_redis_as_the_reader_alone_and_the_others_as_the_other(self) -> None:
        for stack, caches in ((Stack(), {"ServerlessRedis"}), (Stack(Redis="valkey-nodes"), {"RedisA", "RedisB"})):
            for name in FUNCTIONS:
                user = "RedisReader" if name == "GetVisits" else "RedisUser"
                (allowed,) = stack.allowed(f"{name}Role", "elasticache:Connect")
                self.assertEqual({user, *caches}, set().union(*map(references, allowed)), name)

    def test_flush_visits_may_invoke_record_visit_and_nothing_else(self) -> None:
        stack = Stack()
        self.assertEqual({"Ref": "RecordVisit"}, stack.environment("FlushVisits")["VISITS_RECORD_FUNCTION"])
        allowed = stack.allowed("FlushVisitsRole", "lambda:InvokeFunction")
        self.assertEqual([{"Fn::GetAtt": ["RecordVisit", "Arn"]}], allowed)

    def test_only_the_functions_that_look_for_the_owner_are_told_of_the_token_and_may_read_it(self) -> None:
        for parameters, setting, resource in [
            ({}, {"Fn::Sub": "secret:${OwnerSecret}"}, [{"Ref": "OwnerSecret"}]),
            ({"OwnerToken": SECRET}, f"secret:{SECRET}", [{"Fn::Select": [0, {"Fn::Split": ["#", SECRET]}]}]),
            ({"OwnerToken": "off"}, "off", []),
        ]:
            for public, told in (("on", {"Dashboard"}), ("off", {"Dashboard", "GetVisits"})):
                stack = Stack(VisitsPublic=public, **parameters)
                for name in FUNCTIONS:
                    found = stack.environment(name).get("VISITS_OWNER_TOKEN", "off")
                    self.assertEqual(setting if name in told else "off", found, name)
                    allowed = stack.allowed(f"{name}Role", "secretsmanager:GetSecretValue")
                    self.assertEqual(resource if name in told else [], allowed, name)
            self.assertEqual(not parameters, "OwnerSecret" in stack.resources)

    def test_the_token_that_is_made_is_one_that_the_functions_take(self) -> None:
        made = Stack().properties("OwnerSecret")["GenerateSecretString"]
        self.assertEqual({"PasswordLength": 40, "ExcludePunctuation": True}, made)  # and spaces only where asked for


class Operation(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.stack = Stack()

    def test_a_flush_starts_each_minute_ends_before_the_next_and_is_not_repeated_late(self) -> None:
        (schedule,) = self.stack.of_type("AWS::Scheduler::Schedule").values()
        self.assertEqual("rate(1 minute)", schedule["ScheduleExpression"])
        self.assertEqual("OFF", schedule["FlexibleTimeWindow"]["Mode"])
        self.assertEqual({"Fn::GetAtt": ["FlushVisits", "Arn"]}, schedule["Target"]["Arn"])
        self.assertEqual({"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 1}, schedule["Target"]["RetryPolicy"])
        self.assertNotIn("Name", schedule, "a fixed name keeps a second stack from being deployed")
        (invoke,) = self.stack.of_type("AWS::Lambda::EventInvokeConfig").values()
        self.assertEqual(({"Ref": "FlushVisits"}, 0), (invoke["FunctionName"], invoke["MaximumRetryAttempts"]))
        self.assertLess(self.stack.properties("FlushVisits")["Timeout"], 60)

    def test_a_run_that_does_not_start_and_one_that_fails_are_both_kept(self) -> None:
        queue = {"Fn::GetAtt": ["Failures", "Arn"]}
        (schedule,) = self.stack.of_type("AWS::Scheduler::Schedule").values()
        self.assertEqual(queue, schedule["Target"]["DeadLetterConfig"]["Arn"])
        (invoke,) = self.stack.of_type("AWS::Lambda::EventInvokeConfig").values()
        self.assertEqual(queue, invoke["DestinationConfig"]["OnFailure"]["Destination"])
        for role in ("FlushVisitsEachMinuteRole", "FlushVisitsRole"):
            self.assertEqual([queue], self.stack.allowed(role, "sqs:SendMessage"), role)

    def test_every_log_is_deleted_in_time_and_metrics_reach_it(self) -> None:
        self.assertEqual({"Logs", "ApiLogs"}, set(self.stack.of_type("AWS::Logs::LogGroup")))
        for group in self.stack.of_type("AWS::Logs::LogGroup").values():
            self.assertEqual("30", group["RetentionInDays"])
        for name in FUNCTIONS:
            logging = self.stack.properties(name)["LoggingConfig"]
            self.assertEqual({"Ref": "Logs"}, logging["LogGroup"])
            # Metrics are lines of the log at INFO.
            self.assertEqual(("JSON", "INFO"), (logging["LogFormat"], logging["ApplicationLogLevel"]))

    def test_the_logs_of_the_api_share_the_accounts_one_resource_policy(self) -> None:
        self.assertRegex(self.stack.properties("ApiLogs")["LogGroupName"], "^/aws/vendedlogs/counter-")
        keyed = json.dumps(Stack(Encryption="own-key").properties("Key")["KeyPolicy"])
        self.assertIn(":log-group:/aws/vendedlogs/counter-*", keyed)

    def test_each_alarm_of_ours_is_of_a_metric_that_the_functions_write(self) -> None:
        self.assertLessEqual(OWN_METRICS, written())
        alarms = Stack(**GIVEN).of_type("AWS::CloudWatch::Alarm").values()
        own = {alarm["MetricName"]: alarm for alarm in alarms if alarm.get("Namespace") == "VisitCounter/counter"}
        self.assertEqual(OWN_METRICS, set(own))
        self.assertEqual("VisitCounter/counter", self.stack.environment("RecordVisit")["VISITS_METRICS"])
        self.assertEqual(("Maximum", 300), (own["ParkedAge"]["Statistic"], own["ParkedAge"]["Threshold"]))
        self.assertEqual(("Sum", 0), (own["VisitsLost"]["Statistic"], own["VisitsLost"]["Threshold"]))

    def test_a_full_redis_and_commands_that_the_cache_refuses_raise_an_alarm(self) -> None:
        for parameters, watched in [
            ({}, {"BytesUsedForCache", "ThrottledCmds"}),
            ({"Redis": "valkey-nodes"}, {"DatabaseMemoryUsagePercentage"}),
            (GIVEN, {"RedisMemory"}),
        ]:
            text = json.dumps(list(Stack(**parameters).of_type("AWS::CloudWatch::Alarm").values()))
            self.assertLessEqual(watched, set(re.findall(r'"MetricName": "(\w+)"', text)), parameters)

    def test_each_metric_of_the_dashboard_is_one_that_the_functions_write(self) -> None:
        widgets = json.loads(self.stack.properties("CounterDashboard")["DashboardBody"]["Fn::Sub"])["widgets"]
        shown = {m[1] for w in widgets for m in w["properties"]["metrics"] if m[0] == "VisitCounter/counter"}
        self.assertIn("Visits", shown)
        self.assertLessEqual(shown, written())

    def test_alarms_mail_and_say_when_they_are_over(self) -> None:
        mailed = Stack(**MAILED)
        subscription = {"Protocol": "email", "Endpoint": "owner@example.org"}
        self.assertEqual([subscription], mailed.properties("AlarmTopic")["Subscription"])
        self.assertNotIn("Subscription", self.stack.properties("AlarmTopic"))
        for name, alarm in mailed.of_type("AWS::CloudWatch::Alarm").items():
            for actions in ("AlarmActions", "OKActions"):
                self.assertEqual([{"Ref": "AlarmTopic"}], alarm.get(actions), f"{actions} of {name}")

    def test_a_budget_mails_where_alarms_do(self) -> None:
        budget = Stack(**MAILED, MonthlyBudget="7").properties("Budget")
        self.assertEqual({"Amount": "7", "Unit": "USD"}, budget["Budget"]["BudgetLimit"])
        self.assertIn("owner@example.org", str(budget["NotificationsWithSubscribers"]))
        self.assertNotIn("Budget", self.stack.resources)
        self.assertNotIn("Budget", Stack(**MAILED, MonthlyBudget="0").resources)

    def test_a_schedule_that_stands_still_is_noticed(self) -> None:
        alarm = self.stack.properties("ScheduleAlarm")
        found = (alarm["TreatMissingData"], alarm["ComparisonOperator"], alarm["Threshold"])
        self.assertEqual(("breaching", "LessThanThreshold", 1), found)

    def test_without_metrics_nothing_that_is_billed_for_them_is_made(self) -> None:
        stack = Stack(**GIVEN, Metrics="off")
        self.assertEqual({}, stack.of_type("AWS::CloudWatch::Dashboard"))
        self.assertNotIn("VisitCounter/", json.dumps(stack.of_type("AWS::CloudWatch::Alarm")))
        self.assertEqual("off", stack.environment("RecordVisit")["VISITS_METRICS"])
