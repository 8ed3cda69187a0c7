"""The routes of the HTTP API, held against those that the functions answer and the description of the API."""

import json
import re
import subprocess
import unittest

from resolve import ROOT
from stack import FUNCTIONS, Stack

REQUEST_FUNCTIONS = {name: binary for name, binary in FUNCTIONS.items() if name != "FlushVisits"}
LOCAL_ONLY = {("GET", "/dashboard/demo"), ("GET", "/dashboard/demo.js")}


def routes_in_source(binary: str) -> set[tuple[str, str]]:
    """The routes in a function's table, with the preflights of those that scripts of other sites may call."""
    files = [file for file in (ROOT / "functions" / binary / "src").rglob("*.rs") if "tests" not in file.parts]
    text = "".join(file.read_text() for file in files)
    routes = set(re.findall(r'Route::new\("([A-Z]+)", "([^"]+)"', text))
    if "cors: true" in text:
        routes |= {("OPTIONS", path) for _, path in routes}
    return routes


def local(router: dict, method: str, path: str) -> str:
    """The function that `cargo lambda watch` calls."""
    path = path.replace("{page_id}", "{*page_id}")
    greedy = [key for key in router if "{*" in key and path.startswith(key.split("{*")[0])]
    route = router[path if path in router else max(greedy, key=len)]
    return route if isinstance(route, str) else {each["method"]: each["function"] for each in route}[method]


class Routes(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.stack = Stack()

    def routes(self) -> dict[tuple[str, str], str]:
        """Methods and paths as the API's description writes them, with the function that each calls."""
        functions = {}
        for route in self.stack.of_type("AWS::ApiGatewayV2::Route").values():
            method, path = route["RouteKey"].split(" ")
            integration = re.fullmatch(r"integrations/\$\{(\w+)\}", route["Target"]["Fn::Sub"])[1]
            (function, attribute) = self.stack.properties(integration)["IntegrationUri"]["Fn::GetAtt"]
            self.assertEqual("Arn", attribute)
            functions[method, path.replace("{page_id+}", "{page_id}")] = function
        return functions

    def answers(self) -> dict[tuple[str, str], set[str]]:
        """What the functions answer, as their sources have it, with those that answer it."""
        answers = {}
        for name, binary in REQUEST_FUNCTIONS.items():
            for route in routes_in_source(binary) - LOCAL_ONLY:
                answers.setdefault(route, set()).add(name)
        return answers

    def test_each_route_of_each_function_leads_to_it_and_there_is_no_other(self) -> None:
        routes, answers = self.routes(), self.answers()
        for (method, path), functions in answers.items():
            # Another method than those of the path's own routes is for the route of any.
            function = routes.get((method, path)) or routes.get(("ANY", path))
            self.assertIn(function, functions, f"{method} {path}")
        for method, path in routes:
            known = {answered for answered, of in answers if of == path}
            self.assertTrue(method in known or (method == "ANY" and known), f"{method} {path}")

    def test_head_and_preflights_of_each_path_reach_the_function_that_answers_its_get(self) -> None:
        routes, answers = self.routes(), self.answers()
        for path in {path for method, path in answers if method == "GET"}:
            for method in ("HEAD", "OPTIONS"):
                self.assertIn(routes.get((method, path)) or routes["ANY", path], answers["GET", path], path)

    def test_no_preflight_is_answered_by_the_gateway_which_knows_no_header_of_a_tracing_library(self) -> None:
        (api,) = self.stack.of_type("AWS::ApiGatewayV2::Api").values()
        self.assertNotIn("CorsConfiguration", api)
        urls = Stack(ApiType="function-urls").of_type("AWS::Lambda::Url")
        self.assertEqual(3, len(urls))
        for url in urls.values():
            self.assertNotIn("Cors", url)

    def test_the_local_router_has_the_functions_of_the_same_routes(self) -> None:
        command = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--offline"]
        workspace = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
        router = workspace["metadata"]["lambda"]["watch"]["router"]
        for (method, path), functions in self.answers().items():
            for asked in (method, *["HEAD"] * (method == "GET")):
                self.assertIn(local(router, asked, path), {FUNCTIONS[name] for name in functions}, f"{asked} {path}")

    def test_each_route_is_in_the_description_of_the_api_and_nothing_else_is(self) -> None:
        paths = json.loads((ROOT / "functions/dashboard/assets/openapi.json").read_text())["paths"]
        described = {
            (method.upper(), path) for path, item in paths.items() for method in item if method != "parameters"
        }
        self.assertEqual(described - LOCAL_ONLY, set(self.answers()))

    def test_the_page_id_takes_slashes(self) -> None:
        for route in self.stack.of_type("AWS::ApiGatewayV2::Route").values():
            self.assertNotIn("{page_id}", route["RouteKey"])

    def test_each_function_is_called_with_payload_version_2(self) -> None:
        for integration in self.stack.of_type("AWS::ApiGatewayV2::Integration").values():
            self.assertEqual(
                ("AWS_PROXY", "2.0"), (integration["IntegrationType"], integration["PayloadFormatVersion"])
            )

    def test_the_api_may_call_each_request_function(self) -> None:
        permissions = self.stack.of_type("AWS::Lambda::Permission").values()
        self.assertEqual(
            set(REQUEST_FUNCTIONS), {permission["FunctionName"]["Fn::GetAtt"][0] for permission in permissions}
        )
        for permission in permissions:
            self.assertEqual(
                ("apigateway.amazonaws.com", "lambda:InvokeFunction"), (permission["Principal"], permission["Action"])
            )
            self.assertIn(":${Api}/*", str(permission["SourceArn"]))

    def test_the_stage_adds_no_prefix_throttles_and_logs_no_visitor(self) -> None:
        (stage,) = self.stack.of_type("AWS::ApiGatewayV2::Stage").values()
        self.assertEqual(("$default", True), (stage["StageName"], stage["AutoDeploy"]))
        self.assertEqual(
            ("100", "200"), tuple(stage["DefaultRouteSettings"][f"Throttling{kind}Limit"] for kind in ("Rate", "Burst"))
        )
        # All callers share a throttle, so one of POST /session alone would let a stranger lock the owner out.
        self.assertNotIn("RouteSettings", stage)
        for shown in ("identity", "sourceIp", "userAgent", "path"):
            self.assertNotIn(shown, stage["AccessLogSettings"]["Format"])
