"""Settings and builds of the functions, held against the code that reads them."""

import json
import re
import unittest

from resolve import ROOT
from stack import FUNCTIONS, TEMPLATE, Stack

# Settings that each function has in its own way.
OF_ONE_FUNCTION = {"VISITS_OWNER_TOKEN", "VISITS_RECORD_FUNCTION", "VISITS_CLIENT_ADDRESS"}
# Parameters by which the stack makes what their setting names, or bounds what strangers can cost.
OF_THE_STACK = {"RedisEndpoints", "VisitsOwnerToken", "VisitsNewPagesADay"}


def settings() -> dict[str, tuple[str, str]]:
    """Default and accepted values of each setting in the document, which a test of the core compares with the code."""
    text = (ROOT / "docs/CONFIGURATION.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| `([^`]*)` \| (.*?) \|", text, re.MULTILINE)
    return {name: (default, accepted) for name, default, accepted in rows}


class Settings(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.stack = Stack()

    def test_each_function_is_built_from_its_own_folder_and_binary(self) -> None:
        source = (ROOT / "template.yaml").read_text()
        for name, binary in FUNCTIONS.items():
            metadata = TEMPLATE["Resources"][name]["Metadata"]
            self.assertEqual(
                ("rust-cargolambda", {"Binary": binary}), (metadata["BuildMethod"], metadata["BuildProperties"])
            )
            own = source[source.index(f"\n  {name}:\n") :]
            self.assertEqual(f"functions/{binary}", re.search(r"CodeUri: (\S+)", own)[1])

    def test_every_setting_reaches_every_function_and_there_is_no_other(self) -> None:
        names = set(settings())
        self.assertLessEqual(OF_ONE_FUNCTION, names)
        for name in FUNCTIONS:
            found = {variable for variable in self.stack.environment(name) if not variable.startswith("AWS_")}
            own = found & OF_ONE_FUNCTION
            self.assertEqual(names - OF_ONE_FUNCTION, found - own, name)

    def test_a_parameter_has_the_default_and_the_words_of_its_setting(self) -> None:
        table, seen = settings(), 0
        for parameter, definition in TEMPLATE["Parameters"].items():
            name = re.sub(r"(?<!^)(?=[A-Z])", "_", parameter).upper()
            if name not in table or parameter in OF_THE_STACK:
                continue
            seen += 1
            default, accepted = table[name]
            self.assertEqual(default, str(definition["Default"]), parameter)
            for word in definition.get("AllowedValues", []):
                self.assertIn(word, re.findall(r"\w+", accepted), parameter)
        self.assertGreater(seen, 15)

    def test_only_the_functions_that_look_for_the_owner_are_told_of_the_token(self) -> None:
        for public, told in (("on", {"Dashboard"}), ("off", {"Dashboard", "GetVisits"})):
            stack = Stack(VisitsPublic=public)
            for name in FUNCTIONS:
                token = stack.environment(name).get("VISITS_OWNER_TOKEN", "off")
                expected = {"Fn::Sub": "secret:${OwnerToken}"} if name in told else "off"
                self.assertEqual(expected, token, name)
                self.assertEqual(name in told, "secretsmanager:GetSecretValue" in stack.actions(f"{name}Role"), name)

    def test_the_token_that_is_made_is_one_that_the_functions_take(self) -> None:
        made = self.stack.properties("OwnerToken")["GenerateSecretString"]
        self.assertEqual({"PasswordLength": 40, "ExcludePunctuation": True}, made)  # and spaces only where asked for

    def test_each_parameter_that_is_a_setting_is_passed_on(self) -> None:
        for parameter in TEMPLATE["Parameters"]:
            self.assertIn(
                f'"{parameter}"',
                json.dumps({k: v for k, v in TEMPLATE.items() if k not in ("Parameters", "Metadata")})
                .replace("${", '"')
                .replace("}", '"'),
            )

    def test_the_redis_addresses_are_never_shown(self) -> None:
        for name in ("RedisEndpoints", "ReadOnlyRedisEndpoints"):
            self.assertTrue(TEMPLATE["Parameters"][name]["NoEcho"])
            self.assertNotIn(name, json.dumps(TEMPLATE["Outputs"]))

    def test_where_the_api_and_the_dashboard_are_is_an_output(self) -> None:
        outputs = self.stack.stack["Outputs"]
        self.assertIn("${Api}.execute-api", str(outputs["ApiUrl"]["Value"]))
        self.assertTrue(outputs["DashboardAddress"]["Value"]["Fn::Sub"].endswith("/dashboard"))
