"""What `sam local start-api` and `sam local invoke` make of template and samconfig.toml, asked of SAM's own code.

SAM needs Docker to start a function: that is left to AWS's Runtime Interface Emulator.
"""

import shlex
import tempfile
import unittest
from pathlib import Path

import tomlkit
from emulator import Function
from samcli.lib.providers.api_provider import ApiProvider
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
from samcli.local.apigw.route import Route
from test_functions import ROOT, command

METHODS = tuple(Route.ANY_HTTP_METHODS)
PREFLIGHT = {"rawPath": "/", "requestContext": {"http": {"method": "OPTIONS", "path": "/"}}}


def stacks(use: str) -> list:
    """Returns the template with the parameters that samconfig.toml has for a command."""
    settings = tomlkit.parse((ROOT / "samconfig.toml").read_text())["default"][use]["parameters"]
    overrides = dict(each.split("=", 1) for each in shlex.split(settings["parameter_overrides"]))
    found, _ = SamLocalStackProvider.get_stacks(str(ROOT / "template.yaml"), parameter_overrides=overrides)
    return found


class LocalApi(unittest.TestCase):
    def test_sam_local_start_api_has_every_route_of_the_template_with_its_function_alone(self) -> None:
        found = stacks("local_start_api")
        resources = found[0].resources
        events = [
            (event["Properties"]["Path"], event["Properties"]["Method"].upper(), name)
            for name, resource in resources.items()
            for event in resource["Properties"].get("Events", {}).values()
            if event["Type"] == "HttpApi"
        ]
        wanted = {(path, method, name) for path, method, name in events if method != "ANY"}
        named = {(path, method) for path, method, _ in wanted}
        every = [(path, each, name) for path, method, name in events if method == "ANY" for each in METHODS]
        wanted |= {(path, method, name) for path, method, name in every if (path, method) not in named}
        self.assertGreater(len(events), 15)
        routes = ApiProvider(found).routes
        listed = {(route.path, method, route.function_name) for route in routes for method in route.methods}
        self.assertEqual(wanted, listed)

    def test_sam_local_invoke_gives_each_function_settings_that_it_accepts(self) -> None:
        names = {"RecordVisit": "record-visit", "GetVisits": "get-visits", "Dashboard": "dashboard"}
        names["FlushVisits"] = "flush-visits"
        functions = {each.name: each for each in SamFunctionProvider(stacks("local_invoke")).get_all()}
        self.assertEqual(set(functions), set(names))
        with tempfile.TemporaryDirectory(prefix="visits-sam-") as folder:
            for name, binary in names.items():
                variables = functions[name].environment["Variables"]
                with Function(command(binary), variables, Path(folder) / f"{name}.log") as function:
                    answer = function.invoke(PREFLIGHT)
                    # One that does not accept its settings answers nothing of its own.
                    answered = "statusCode" in answer or "flush-visits takes" in answer["errorMessage"]
                    self.assertTrue(answered, (name, answer, function.written()))
        endpoints = {each.environment["Variables"]["REDIS_ENDPOINTS"] for each in functions.values()}
        self.assertEqual(len(endpoints), 1, endpoints)


if __name__ == "__main__":
    unittest.main()
