"""Routes, settings and builds, held against the code of the functions and the descriptions of both."""

import json
import re
import subprocess
import unittest

from stack import FUNCTIONS, ROOT, TEMPLATE, Stack

REQUEST_FUNCTIONS = {name: binary for name, binary in FUNCTIONS.items() if name != "FlushVisits"}
LOCAL_ONLY = {("GET", "/dashboard/demo"), ("GET", "/dashboard/demo.js")}
# Settings that functions have in their own way.
OF_ONE_FUNCTION = {"VISITS_OWNER_TOKEN", "VISITS_RECORD_FUNCTION"}
OWNERS = {"/session", "/top", "/summary", "/history/{page_id}", "/visits/{page_id}"}
SOURCE = (ROOT / "template.yaml").read_text()


def routes_in_source(binary: str) -> set[tuple[str, str]]:
    """The routes in a function's table, with the preflights of those that scripts of other sites may call."""
    files = [file for file in (ROOT / "functions" / binary / "src").rglob("*.rs") if "tests" not in file.parts]
    text = "".join(file.read_text() for file in files)
    routes = set(re.findall(r'Route::new\("([A-Z]+)", "([^"]+)"', text))
    if "Cors::new(" in text:
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
        (cls.stage,) = cls.stack.of_type("AWS::ApiGatewayV2::Stage").values()
        (cls.api,) = cls.stack.of_type("AWS::ApiGatewayV2::Api").values()
        # Methods and paths as the API's description writes them, with the function that each calls.
        cls.routes = {}
        for path, methods in cls.api["Body"]["paths"].items():
            for method, item in methods.items():
                method = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
                integration = item["x-amazon-apigateway-integration"]
                function = re.search(r"\$\{(\w+)\.Arn\}", integration["uri"]["Fn::Sub"])[1]
                cls.routes[method, path.replace("{page_id+}", "{page_id}")] = function
                assert (integration["type"], integration["payloadFormatVersion"]) == ("aws_proxy", "2.0"), path
        # The routes that the functions answer, as their sources have them, with those that answer each.
        cls.answers = {}
        for name, binary in REQUEST_FUNCTIONS.items():
            for route in routes_in_source(binary) - LOCAL_ONLY:
                cls.answers.setdefault(route, set()).add(name)

    def test_each_route_of_each_function_leads_to_it_and_there_is_no_other(self) -> None:
        for (method, path), functions in self.answers.items():
            # Another method than those of the path's own routes is for the route of any.
            function = self.routes.get((method, path)) or self.routes.get(("ANY", path))
            self.assertIn(function, functions, f"{method} {path}")
        for method, path in self.routes:
            # A method that no function answers leads to one that answers others of the path, and 405 to this one.
            answering = set().union(*(functions for (_, of), functions in self.answers.items() if of == path))
            self.assertIn(self.routes[method, path], self.answers.get((method, path), answering), f"{method} {path}")

    def test_head_and_preflights_of_each_path_reach_the_function_that_answers_its_get(self) -> None:
        for path in {path for method, path in self.answers if method == "GET"}:
            for method in ("HEAD", "OPTIONS"):
                function = self.routes.get((method, path)) or self.routes["ANY", path]
                self.assertIn(function, self.answers["GET", path], path)

    def test_no_preflight_is_answered_by_a_gateway_which_knows_no_header_of_a_tracing_library(self) -> None:
        self.assertNotIn("x-amazon-apigateway-cors", self.api["Body"])
        for url in Stack(FunctionUrls="on").of_type("AWS::Lambda::Url").values():
            self.assertNotIn("Cors", url)

    def test_the_local_router_has_the_functions_of_the_same_routes(self) -> None:
        command = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--offline"]
        workspace = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
        router = workspace["metadata"]["lambda"]["watch"]["router"]
        for (method, path), functions in self.answers.items():
            for asked in (method, *["HEAD"] * (method == "GET")):
                self.assertIn(local(router, asked, path), {FUNCTIONS[name] for name in functions}, f"{asked} {path}")

    def test_each_route_is_in_the_description_of_the_api_and_nothing_else_is(self) -> None:
        paths = json.loads((ROOT / "functions/dashboard/assets/openapi.json").read_text())["paths"]
        described = {(method.upper(), path) for path, item in paths.items() for method in item} - LOCAL_ONLY
        self.assertEqual({route for route in described if route[0] != "PARAMETERS"}, set(self.answers))

    def test_routes_are_events_of_sam_which_its_local_api_finds_and_the_page_id_takes_slashes(self) -> None:
        self.assertNotIn("AWS::ApiGatewayV2::", SOURCE)
        # It cannot tell ANY from a named method of the same path.
        for path in {path for method, path in self.routes if method == "ANY"}:
            functions = {function for (_, of), function in self.routes.items() if of == path}
            self.assertEqual(1, len(functions), path)
        self.assertEqual(len(self.routes), len(re.findall(r"\{Type: HttpApi, ", SOURCE)))
        self.assertNotIn("{page_id}", SOURCE)

    def test_the_api_may_call_each_request_function(self) -> None:
        permissions = self.stack.of_type("AWS::Lambda::Permission").values()
        self.assertEqual(set(REQUEST_FUNCTIONS), {permission["FunctionName"]["Ref"] for permission in permissions})
        for permission in permissions:
            found = (permission["Principal"], permission["Action"])
            self.assertEqual(("apigateway.amazonaws.com", "lambda:InvokeFunction"), found)

    def test_the_stage_adds_no_prefix_and_logs_no_visitor(self) -> None:
        self.assertEqual(("$default", True), (self.stage["StageName"], self.stage["AutoDeploy"]))
        for shown in ("identity", "sourceIp", "userAgent", "path"):
            self.assertNotIn(shown, self.stage["AccessLogSettings"]["Format"])

    def test_large_answers_have_a_lower_throttle_and_nothing_that_the_owner_works_with_has_one(self) -> None:
        default = self.stage["DefaultRouteSettings"]
        self.assertEqual(("100", "100"), (default["ThrottlingRateLimit"], default["ThrottlingBurstLimit"]))
        settings = {tuple(route.split(" ")): limits for route, limits in self.stage["RouteSettings"].items()}
        self.assertLessEqual(
            set(settings), set(self.routes), "CloudFormation refuses settings of a route that is not there"
        )
        # All callers share a throttle, so a lower one on these would let a stranger lock the owner out.
        self.assertEqual(set(), OWNERS & {path for _, path in settings})
        assets = ROOT / "functions/dashboard/assets"
        for path, file in (
            ("/openapi.json", "openapi.json"),
            ("/dashboard/app.js", "app.js"),
            ("/dashboard", "index.html"),
        ):
            month = settings["ANY", path]["ThrottlingRateLimit"] * 30 * 86_400
            self.assertLess(month * (assets / file).stat().st_size / 1e9 * 0.09, 100, f"dollars of a flood of {path}")


def settings() -> dict[str, tuple[str, str]]:
    """Default and accepted values of each setting in the document, which a test of the core compares with the code."""
    text = (ROOT / "docs/CONFIGURATION.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| `([^`]*)` \| (.*?) \|", text, re.MULTILINE)
    return {name: (default, accepted) for name, default, accepted in rows}


class Settings(unittest.TestCase):
    def test_each_function_is_built_from_its_own_folder_and_binary(self) -> None:
        for name, binary in FUNCTIONS.items():
            metadata = TEMPLATE["Resources"][name]["Metadata"]
            found = (metadata["BuildMethod"], metadata["BuildProperties"])
            self.assertEqual(("rust-cargolambda", {"Binary": binary}), found)
            own = SOURCE[SOURCE.index(f"\n  {name}:\n") :]
            self.assertEqual(f"functions/{binary}", re.search(r"CodeUri: (\S+)", own)[1])

    def test_each_variable_of_a_function_is_a_setting_and_all_have_the_same(self) -> None:
        for name in FUNCTIONS:
            found = {variable for variable in Stack().environment(name) if not variable.startswith("AWS_")}
            self.assertLessEqual(found, set(settings()), name)
            self.assertEqual(set(TEMPLATE_SETTINGS), found - OF_ONE_FUNCTION, name)

    def test_a_parameter_has_the_default_and_the_words_of_its_setting(self) -> None:
        table, seen = settings(), []
        for parameter, definition in TEMPLATE["Parameters"].items():
            name = re.sub(r"(?<!^)(?=[A-Z])", "_", parameter).upper()
            if name in table and parameter != "RedisEndpoints":
                seen.append(parameter)
                default, accepted = table[name]
                self.assertEqual(default, str(definition["Default"]), parameter)
                for word in definition.get("AllowedValues", []):
                    self.assertIn(word, re.findall(r"\w+", accepted), parameter)
        self.assertEqual(["VisitsPublic", "VisitsOrigins", "VisitsPages"], seen)


# Settings that follow from parameters, and a bound on strangers. Every other one stays at the code's default.
TEMPLATE_SETTINGS = [
    "REDIS_ENDPOINTS",
    "VISITS_METRICS",
    "VISITS_NEW_PAGES_A_DAY",
    "VISITS_ORIGINS",
    "VISITS_PAGES",
    "VISITS_PUBLIC",
]
