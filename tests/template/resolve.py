"""What a template comes to for given parameters: conditions decided, parameters filled in, the rest as it stands.

CloudFormation does this when it deploys. Done here, each combination of parameters can be looked at without an account.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/counter/51af3dc0-da77-11e4-872e-1234567db123",
    "AWS::StackName": "counter",
    "AWS::URLSuffix": "amazonaws.com",
}
NO_VALUE = {"Ref": "AWS::NoValue"}


def transformed() -> dict:
    """The template as SAM transforms it."""
    command = [sys.executable, ROOT / "scripts/transform-template", ROOT / "template.yaml"]
    env = {"AWS_DEFAULT_REGION": "us-east-1", **os.environ}
    return json.loads(subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE).stdout)


class Deployment:
    """A template with values for its parameters; those that are not given have their defaults."""

    def __init__(self, template: dict, **given: str) -> None:
        unknown = set(given) - set(template["Parameters"])
        assert not unknown, f"no parameters of the template: {unknown}"
        self.template = template
        self.values = {
            name: self._value(parameter, given.get(name, parameter.get("Default")))
            for name, parameter in template["Parameters"].items()
        }
        self._conditions: dict[str, bool] = {}

    @staticmethod
    def _value(parameter: dict, value: object) -> object:
        if parameter["Type"] == "CommaDelimitedList":
            return str(value).split(",")  # an empty list is one empty text
        return str(value)

    def broken_rules(self) -> list[str]:
        """What the template's rules say against these parameters."""
        broken = []
        for rule in self.template["Rules"].values():
            if self._holds(rule.get("RuleCondition", {"Fn::Equals": ["", ""]})):
                broken += [a["AssertDescription"] for a in rule["Assertions"] if not self._holds(a["Assert"])]
        return broken

    def condition(self, name: str) -> bool:
        if name not in self._conditions:
            self._conditions[name] = self._holds(self.template["Conditions"][name])
        return self._conditions[name]

    def _holds(self, test: dict) -> bool:
        ((function, argument),) = test.items()
        match function:
            case "Condition":
                return self.condition(argument)
            case "Fn::Equals":
                one, other = (self.resolve(side) for side in argument)
                return str(one) == str(other)
            case "Fn::Not":
                return not self._holds(argument[0])
            case "Fn::And":
                return all(self._holds(part) for part in argument)
            case "Fn::Or":
                return any(self._holds(part) for part in argument)
            case "Fn::Contains":
                return self.resolve(argument[1]) in self.resolve(argument[0])
        raise ValueError(f"not known here: {function}")

    def resolve(self, value: object) -> object:
        """The value without conditions and parameters; NO_VALUE where it is left out."""
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item != NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            if function == "Fn::If":
                return self.resolve(argument[1] if self.condition(argument[0]) else argument[2])
            if function == "Ref":
                return self.values.get(argument, PSEUDO.get(argument, value))
            if function == "Fn::Sub":
                return self._substituted(argument)
            if function == "Fn::Join":
                return self._joined(self.resolve(argument))
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item != NO_VALUE}

    @staticmethod
    def _joined(argument: list) -> object:
        separator, parts = argument
        return separator.join(parts) if all(isinstance(part, str) for part in parts) else {"Fn::Join": argument}

    def _substituted(self, argument: object) -> object:
        text, names = argument if isinstance(argument, list) else (argument, {})
        names = {name: self.resolve(value) for name, value in names.items()}

        def replacement(match: re.Match) -> str:
            value = names.get(match[1], self.values.get(match[1], PSEUDO.get(match[1])))
            # What a variable stands for may itself stay a substitution: it becomes part of this one.
            if isinstance(value, dict) and isinstance(value.get("Fn::Sub"), str):
                return value["Fn::Sub"]
            if isinstance(value, dict) and list(value) == ["Ref"]:
                return "${" + value["Ref"] + "}"
            return value if isinstance(value, str) else match[0]

        while True:
            replaced = re.sub(r"\$\{([A-Za-z0-9:.]+)\}", replacement, text)
            if replaced == text:
                break
            text = replaced
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
