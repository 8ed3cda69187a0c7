#!/usr/bin/env python3
"""What the template must say on AWS and no linter checks; read from what SAM makes of it.

Run by `make test` with the Python of .tools/check. Ends with the line `N passed, N failed`.
"""

import json
import os
import re
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUEST_FUNCTIONS = {"RecordVisit": "record-visit", "GetVisits": "get-visits", "Dashboard": "dashboard"}
# Who looks whether a request is the owner's.
TOKEN_READERS = {"GetVisits", "Dashboard"}
LOCAL_ONLY = ("get", "/dashboard/demo")
FUNCTIONS = {**REQUEST_FUNCTIONS, "FlushVisits": "flush-visits"}
VARIABLES = {
    "REDIS_ENDPOINTS",
    "REDIS_CA_FILE",
    "REDIS_CONNECT_TIMEOUT",
    "REDIS_TIMEOUT",
    "VISITS_NAMESPACE",
    "VISITS_CACHE_TTL",
    "VISITS_CACHE_PAGES",
    "VISITS_FLUSH_INTERVAL",
    "VISITS_BUFFER_PAGES",
    "VISITS_DURABILITY",
    "VISITS_ALLOW_EVICTION",
    "VISITS_TIMER",
    "VISITS_SWEEP_CONCURRENCY",
    "VISITS_HISTORY_DAYS",
    "VISITS_VISITORS",
    "VISITS_DO_NOT_TRACK",
    "VISITS_COUNT",
    "VISITS_PUBLIC",
    "VISITS_OWNER_TOKEN",
    "VISITS_ORIGINS",
    "VISITS_PAGES",
    "VISITS_NEW_PAGES_A_DAY",
    "VISITS_REPEAT_WINDOW",
}


def routes_in_source(binary: str) -> set[tuple[str, str]]:
    """The routes in a function's table, with the preflights of those that scripts of other sites may call."""
    files = [file for file in (ROOT / "functions" / binary / "src").rglob("*.rs") if "tests" not in file.parts]
    text = "".join(file.read_text() for file in files)
    routes = {(method.lower(), path) for method, path in re.findall(r'Route::new\("([A-Z]+)", "([^"]+)"', text)}
    if "cors: true" in text:
        routes |= {("options", path) for _, path in routes}
    return routes


def transformed() -> dict:
    command = [sys.executable, ROOT / "scripts/transform-template", ROOT / "template.yaml"]
    env = {"AWS_DEFAULT_REGION": "us-east-1", **os.environ}
    return json.loads(subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE).stdout)


def variables_in_source() -> set[str]:
    """Every setting that the configuration's code names, but the function's name and what only tests may set."""
    files = [*(ROOT / "shared/src").glob("config*"), *(ROOT / "shared/src/config").rglob("*.rs")]
    text = "".join(file.read_text() for file in files if file.is_file())
    return set(re.findall(r'"((?:VISITS|REDIS)_[A-Z_]+)"', text)) - {"VISITS_RECORD_FUNCTION", "VISITS_TEST"}


class Template(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.template = transformed()
        cls.resources = cls.template["Resources"]

    def properties(self, name: str) -> dict:
        return self.resources[name]["Properties"]

    def of_type(self, kind: str) -> list[dict]:
        return [resource["Properties"] for resource in self.resources.values() if resource["Type"] == kind]

    def routes(self) -> dict[tuple[str, str], dict]:
        paths = self.properties("Api")["Body"]["paths"]
        return {(method, path): route for path, methods in paths.items() for method, route in methods.items()}

    def functions_by_route(self) -> dict[tuple[str, str], str]:
        """Methods and paths, these as the API's description writes them, with the function that each calls."""
        functions = {}
        for (method, path), route in self.routes().items():
            integration = route["x-amazon-apigateway-integration"]
            uri = re.search(r"functions/\$\{(\w+)\.Arn\}/invocations", integration["uri"]["Fn::Sub"])
            functions[method, path.replace("{page_id+}", "{page_id}")] = uri[1]
        return functions

    def test_each_route_of_each_function_leads_to_it_and_there_is_no_other(self) -> None:
        expected = {}
        for name, binary in REQUEST_FUNCTIONS.items():
            for route in routes_in_source(binary) - {LOCAL_ONLY}:
                expected.setdefault(route, set()).add(name)
        found = self.functions_by_route()
        self.assertEqual(set(expected), set(found))
        for route, function in found.items():
            self.assertIn(function, expected[route], route)

    def test_each_route_is_in_the_description_of_the_api_and_nothing_else_is(self) -> None:
        paths = json.loads((ROOT / "functions/dashboard/assets/openapi.json").read_text())["paths"]
        described = {(method, path) for path, item in paths.items() for method in item if method != "parameters"}
        self.assertEqual(described - {LOCAL_ONLY}, set(self.functions_by_route()))

    def test_the_page_id_takes_slashes(self) -> None:
        for _, path in self.routes():
            self.assertNotIn("{page_id}", path)

    def test_each_route_is_called_with_payload_version_2(self) -> None:
        for route in self.routes().values():
            self.assertEqual("2.0", route["x-amazon-apigateway-integration"]["payloadFormatVersion"])

    def test_the_api_may_call_each_request_function(self) -> None:
        permissions = self.of_type("AWS::Lambda::Permission")
        self.assertEqual(set(REQUEST_FUNCTIONS), {permission["FunctionName"]["Ref"] for permission in permissions})
        for permission in permissions:
            self.assertEqual("apigateway.amazonaws.com", permission["Principal"])
            self.assertIn("SourceArn", permission)

    def test_the_stage_adds_no_prefix_to_the_path(self) -> None:
        self.assertEqual(["$default"], [stage["StageName"] for stage in self.of_type("AWS::ApiGatewayV2::Stage")])

    def test_each_function_is_an_arm64_binary_on_al2023(self) -> None:
        for name in FUNCTIONS:
            function = self.properties(name)
            self.assertEqual(["arm64"], function["Architectures"])
            self.assertEqual("provided.al2023", function["Runtime"])
            self.assertEqual("bootstrap", function["Handler"])

    def test_each_function_is_built_from_the_binary_of_its_name(self) -> None:
        for name, binary in FUNCTIONS.items():
            metadata = self.resources[name]["Metadata"]
            self.assertEqual("rust-cargolambda", metadata["BuildMethod"])
            self.assertEqual({"Binary": binary}, metadata["BuildProperties"])

    def test_every_setting_reaches_every_function_from_a_parameter(self) -> None:
        self.assertLessEqual(variables_in_source(), VARIABLES)
        self.assertNotIn("VISITS_TEST", (ROOT / "template.yaml").read_text())
        for name in FUNCTIONS:
            environment = self.properties(name)["Environment"]["Variables"]
            self.assertLessEqual(VARIABLES, set(environment), name)
            for variable in VARIABLES:
                self.assertIn(environment[variable]["Ref"], self.template["Parameters"], variable)

    def test_the_redis_addresses_are_never_shown(self) -> None:
        self.assertTrue(self.template["Parameters"]["RedisEndpoints"]["NoEcho"])
        self.assertNotIn("RedisEndpoints", json.dumps(self.template["Outputs"]))

    def test_a_flush_starts_each_minute_and_is_not_repeated_late(self) -> None:
        (schedule,) = self.of_type("AWS::Scheduler::Schedule")
        self.assertEqual("rate(1 minute)", schedule["ScheduleExpression"])
        self.assertEqual("OFF", schedule["FlexibleTimeWindow"]["Mode"])
        self.assertEqual({"Fn::GetAtt": ["FlushVisits", "Arn"]}, schedule["Target"]["Arn"])
        self.assertNotIn("Name", schedule, "a fixed name keeps a second stack from being deployed")
        (invoke,) = self.of_type("AWS::Lambda::EventInvokeConfig")
        self.assertEqual({"Ref": "FlushVisits"}, invoke["FunctionName"])
        self.assertEqual(0, invoke["MaximumRetryAttempts"])

    def test_a_flush_ends_before_the_next_one_starts(self) -> None:
        self.assertLess(self.properties("FlushVisits")["Timeout"], 60)

    def test_flush_visits_knows_and_may_invoke_record_visit_and_nothing_else(self) -> None:
        environment = self.properties("FlushVisits")["Environment"]["Variables"]
        self.assertEqual({"Ref": "RecordVisit"}, environment["VISITS_RECORD_FUNCTION"])
        (policy,) = self.properties("FlushVisitsRole")["Policies"]
        (statement,) = policy["PolicyDocument"]["Statement"]
        self.assertEqual("lambda:InvokeFunction", statement["Action"])
        self.assertEqual({"Fn::GetAtt": ["RecordVisit", "Arn"]}, statement["Resource"])

    def test_the_request_functions_may_read_the_owners_token_if_it_is_a_secret_and_nothing_else(self) -> None:
        self.assertNotIn("Policies", self.properties("RecordVisitRole"))
        for name in TOKEN_READERS:
            (policy,) = self.properties(f"{name}Role")["Policies"]
            condition, policy, otherwise = policy["Fn::If"]
            self.assertEqual(("TokenIsSecret", {"Ref": "AWS::NoValue"}), (condition, otherwise))
            (statement,) = policy["PolicyDocument"]["Statement"]
            self.assertEqual("secretsmanager:GetSecretValue", statement["Action"])
            self.assertEqual({"Ref": "OwnerTokenSecretArn"}, statement["Resource"])

    def test_no_policy_has_a_wildcard(self) -> None:
        for role in self.of_type("AWS::IAM::Role"):
            for policy in role.get("Policies", []):
                self.assertNotIn("*", json.dumps(policy))

    def test_a_network_is_used_only_when_subnets_are_given(self) -> None:
        for name in FUNCTIONS:
            condition, network, otherwise = self.properties(name)["VpcConfig"]["Fn::If"]
            self.assertEqual("InVpc", condition)
            self.assertEqual({"SubnetIds", "SecurityGroupIds"}, set(network))
            self.assertEqual({"Ref": "AWS::NoValue"}, otherwise)

    def test_the_address_of_the_api_is_an_output(self) -> None:
        self.assertIn("${Api}.execute-api", self.template["Outputs"]["ApiUrl"]["Value"]["Fn::Sub"])
        self.assertTrue(self.template["Outputs"]["DashboardUrl"]["Value"]["Fn::Sub"].endswith("/dashboard"))


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=2).result
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    sys.exit(1 if failed or not result.testsRun else 0)
