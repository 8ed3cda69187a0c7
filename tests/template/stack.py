"""The stack that one combination of parameters makes, and questions to it."""

import json
import re

from resolve import Deployment, transformed

TEMPLATE = transformed()
FUNCTIONS = {
    "RecordVisit": "record-visit",
    "GetVisits": "get-visits",
    "Dashboard": "dashboard",
    "FlushVisits": "flush-visits",
}


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
    """What one combination of parameters makes."""

    def __init__(self, **parameters: str) -> None:
        self.stack = Deployment(TEMPLATE, **parameters).stack()
        self.resources = self.stack["Resources"]

    def properties(self, name: str) -> dict:
        return self.resources[name]["Properties"]

    def of_type(self, kind: str) -> dict[str, dict]:
        return {name: item["Properties"] for name, item in self.resources.items() if item["Type"] == kind}

    def function(self, name: str) -> str:
        """The resource of a function: of two there are two, of which one is made."""
        return name if name in self.resources else f"{name}Managed"

    def environment(self, name: str) -> dict:
        return self.properties(self.function(name))["Environment"]["Variables"]

    def statements(self, role: str) -> list[dict]:
        """All that a role may do: by its own policies and by those that it refers to."""
        policies = [policy["PolicyDocument"] for policy in self.properties(role).get("Policies", [])]
        for policy in self.properties(role).get("ManagedPolicyArns", []):
            policies.append(self.properties(policy["Ref"])["PolicyDocument"])
        return [statement for policy in policies for statement in policy["Statement"]]

    def actions(self, role: str) -> set[str]:
        allowed = [s["Action"] for s in self.statements(role) if s["Effect"] == "Allow"]
        return {action for item in allowed for action in ([item] if isinstance(item, str) else item)}

    def endpoints(self, function: str) -> str:
        """REDIS_ENDPOINTS as text, with what only AWS knows left as ${…}."""
        value = self.environment(function)["REDIS_ENDPOINTS"]
        return value if isinstance(value, str) else json.dumps(value)
