"""The stack that given parameters make: conditions decided, parameters filled in, the rest as it stands.

CloudFormation does this when it deploys. It is done here by CloudFormation's own rules, so that each combination of
parameters can be looked at without an account: a function that it would refuse where it stands is refused here.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = {
    "RecordVisit": "record-visit",
    "GetVisits": "get-visits",
    "Dashboard": "dashboard",
    "FlushVisits": "flush-visits",
}
PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/counter/51af3dc0-da77-11e4-872e-1234567db123",
    "AWS::StackName": "counter",
    "AWS::URLSuffix": "amazonaws.com",
}
NO_VALUE = {"Ref": "AWS::NoValue"}

BOOLEANS = {"Fn::And", "Fn::Equals", "Fn::Not", "Fn::Or"}
# Functions that CloudFormation takes in a rule. Anything else is refused, even where the rule does not apply.
IN_RULES = {"Ref", *BOOLEANS, *(f"Fn::{n}" for n in ("Contains", "EachMemberEquals", "EachMemberIn"))}
IN_RULES |= {f"Fn::{name}" for name in ("RefAll", "ValueOf", "ValueOfAll")}
IN_CONDITIONS = {"Ref", "Condition", "Fn::FindInMap", *BOOLEANS}

EXISTING = {"VpcId": "vpc-0123456789abcdef0", "SubnetIds": "subnet-0123456789abcdef0,subnet-0123456789abcdef1"}
GROUPS = {"SecurityGroupIds": "sg-0123456789abcdef0"}
GIVEN = {"Redis": "given", "RedisEndpoints": "a=rediss://a.example:6379,b=rediss://b.example:6379"}
SYNC = {"Redis": "valkey-nodes-sync", "NodeType": "cache.r7g.large"}
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:token-AbCdEf"


def combinations() -> Iterator[dict[str, str]]:
    """Every combination of the parameters that decide what is made."""
    redis = [{"Redis": f"valkey-{kind}"} for kind in ("serverless", "nodes", "nodes-single")] + [SYNC, GIVEN]
    existing = {**EXISTING, **GROUPS}
    networks = [{}, existing, {**existing, "SubnetsDualStack": "on"}]
    tokens = [{"OwnerToken": token} for token in ("create", "off", SECRET)]
    alarms = [{}, {"AlarmEmail": "owner@example.org"}, {"AlarmEmail": "owner@example.org", "MonthlyBudget": "0"}]
    switches = [
        [{name: value} for value in values]
        for name, values in [
            ("FunctionUrls", ("off", "on")),
            ("Encryption", ("aws-keys", "own-key")),
            ("VisitsPublic", ("on", "off")),
            ("Metrics", ("on", "off")),
        ]
    ]
    for choice in product(redis, networks, tokens, alarms, *switches):
        yield {name: value for part in choice for name, value in part.items()}


def transformed() -> dict:
    """The template as SAM transforms it."""
    command = [sys.executable, ROOT / "scripts/transform-template", ROOT / "template.yaml"]
    env = {"AWS_DEFAULT_REGION": "us-east-1", **os.environ}
    return json.loads(subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE).stdout)


TEMPLATE = transformed()


class Deployment:
    """A template with values for its parameters; those that are not given have their defaults."""

    def __init__(self, template: dict, **given: str) -> None:
        unknown = set(given) - set(template["Parameters"])
        assert not unknown, f"no parameters of the template: {unknown}"
        self.template = template
        self.values: dict[str, object] = {}
        for name, parameter in template["Parameters"].items():
            value = str(given.get(name, parameter.get("Default")))
            # An empty list is one empty text.
            self.values[name] = value.split(",") if parameter["Type"] == "CommaDelimitedList" else value
        self.conditions: dict[str, bool] = {}

    def broken_rules(self) -> list[str]:
        """Descriptions of the template's assertions that these parameters break."""
        always = {"Fn::Equals": ["", ""]}
        return [
            assertion["AssertDescription"]
            for rule in self.template["Rules"].values()
            for assertion in rule["Assertions"]
            # Both are looked at: CloudFormation refuses a function in a rule that does not apply.
            if (not self.holds(assertion["Assert"], IN_RULES)) & self.holds(rule.get("RuleCondition", always), IN_RULES)
        ]

    def condition(self, name: str) -> bool:
        if name not in self.conditions:
            self.conditions[name] = self.holds(self.template["Conditions"][name], IN_CONDITIONS)
        return self.conditions[name]

    def holds(self, test: dict, allowed: set[str]) -> bool:
        refused = functions(test) - allowed
        assert not refused, f"CloudFormation takes no {', '.join(sorted(refused))} here: {test}"
        ((function, argument),) = test.items()
        match function:
            case "Condition":
                return self.condition(argument)
            case "Fn::Equals":
                one, other = (self.resolve(side) for side in argument)
                return str(one) == str(other)
            case "Fn::Contains":
                return self.resolve(argument[1]) in self.resolve(argument[0])
            case "Fn::Not":
                return not self.holds(argument[0], allowed)
            case "Fn::And":
                return all([self.holds(part, allowed) for part in argument])
            case "Fn::Or":
                return any([self.holds(part, allowed) for part in argument])
        raise NotImplementedError(function)

    def resolve(self, value: object) -> object:
        """Returns the value without conditions and parameters; NO_VALUE where it is left out."""
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item != NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            match function:
                case "Fn::If":
                    return self.resolve(argument[1] if self.condition(argument[0]) else argument[2])
                case "Ref":
                    return self.values.get(argument, PSEUDO.get(argument, value))
                case "Fn::Sub":
                    return self.substituted(argument)
                case "Fn::FindInMap":
                    name, key, part = map(self.resolve, argument)
                    return self.template["Mappings"][name][key][part]
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item != NO_VALUE}

    def substituted(self, argument: object) -> object:
        """Fills in what is known. The rest stays a substitution, such as `${RedisUser}`."""
        text, names = argument if isinstance(argument, list) else (argument, {})
        names = {name: self.resolve(value) for name, value in names.items()}

        def replacement(match: re.Match) -> str:
            value = names.get(match[1], self.values.get(match[1], PSEUDO.get(match[1])))
            if isinstance(value, dict) and isinstance(value.get("Fn::Sub"), str):
                return value["Fn::Sub"]
            if isinstance(value, dict) and list(value) == ["Ref"]:
                return "${" + value["Ref"] + "}"
            return value if isinstance(value, str) else match[0]

        known = None
        while known != text:
            known, text = text, re.sub(r"\$\{([A-Za-z0-9:._]+)\}", replacement, text)
        left = {name: value for name, value in names.items() if "${" + name + "}" in text}
        if "${" not in text:
            return text
        return {"Fn::Sub": [text, left] if left else text}

    def stack(self) -> dict:
        """The resources and outputs that are made, as a template of its own."""

        def made(section: str) -> dict:
            return {
                name: self.resolve({key: part for key, part in item.items() if key != "Condition"})
                for name, item in self.template[section].items()
                if "Condition" not in item or self.condition(item["Condition"])
            }

        return {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": self.template["Description"],
            "Resources": made("Resources"),
            "Outputs": made("Outputs"),
        }


def functions(value: object) -> set[str]:
    """The names of the functions in a rule or a condition."""
    if isinstance(value, dict):
        return set(value).union(*map(functions, value.values()))
    return set().union(*map(functions, value)) if isinstance(value, list) else set()


def references(value: object) -> set[str]:
    """The names that a value refers to: by Ref, GetAtt or in a Sub."""
    if isinstance(value, list):
        return set().union(*map(references, value))
    if not isinstance(value, dict):
        return set()
    found = set().union(*map(references, value.values()))
    if list(value) == ["Ref"]:
        found.add(value["Ref"])
    elif list(value) == ["Fn::GetAtt"]:
        argument = value["Fn::GetAtt"]
        found.add(argument[0] if isinstance(argument, list) else argument.split(".")[0])
    elif list(value) == ["Fn::Sub"]:
        text, names = value["Fn::Sub"] if isinstance(value["Fn::Sub"], list) else (value["Fn::Sub"], {})
        found |= {name.split(".")[0] for name in re.findall(r"\$\{([^}!]+)\}", text)} - set(names)
    return found


class Stack:
    """The resources that one combination of parameters makes, and questions to them."""

    def __init__(self, **parameters: str) -> None:
        self.stack = Deployment(TEMPLATE, **parameters).stack()
        self.resources = self.stack["Resources"]

    def properties(self, name: str) -> dict:
        return self.resources[name]["Properties"]

    def of_type(self, kind: str) -> dict[str, dict]:
        return {name: item["Properties"] for name, item in self.resources.items() if item["Type"] == kind}

    def environment(self, name: str) -> dict:
        return self.properties(name)["Environment"]["Variables"]

    def statements(self, role: str) -> list[dict]:
        """The statements of a role's own policies and of those of the stack that it refers to."""
        policies = [policy["PolicyDocument"] for policy in self.properties(role).get("Policies", [])]
        for policy in self.properties(role).get("ManagedPolicyArns", []):
            if isinstance(policy, dict):
                policies.append(self.properties(policy["Ref"])["PolicyDocument"])
        found = [policy["Statement"] for policy in policies]
        return [each for item in found for each in ([item] if isinstance(item, dict) else item)]

    def allowed(self, role: str, action: str = "") -> list:
        """The resources on which a role may do an action; without one, all of its actions."""
        listed = [
            (done, statement["Resource"])
            for statement in self.statements(role)
            if statement["Effect"] == "Allow"
            for done in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
        ]
        return [resource for done, resource in listed if done == action] if action else [done for done, _ in listed]

    def endpoints(self, function: str) -> str:
        """REDIS_ENDPOINTS as text, with the parts that only AWS knows left as ${…}."""
        value = self.environment(function)["REDIS_ENDPOINTS"]
        return value if isinstance(value, str) else value["Fn::Sub"]
