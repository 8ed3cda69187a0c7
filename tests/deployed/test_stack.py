"""The template, deployed by an AWS emulator (PyPI's ministack), with the release binaries and two real Redis servers.

Runs with .tools/deployed/bin/python. The release build must be there (`scripts/test` makes it).
"""

import functools
import http.client
import io
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import zipfile
from contextlib import ExitStack
from pathlib import Path

import boto3

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/rie"))

from emulator import Process, Redis, free_ports  # noqa: E402

# What the emulator cannot make, with the reason: the rest of the template is deployed as it is.
LEFT_OUT = {
    "ErrorsAlarm": "the emulator has no alarms on metric math",
    "ThrottlesAlarm": "the emulator has no alarms on metric math",
}
# For what a stack makes: the service, its call that lists it, and the list's name in the answer.
LISTS = (
    ("lambda", "list_functions", "Functions"),
    ("apigatewayv2", "get_apis", "Items"),
    ("scheduler", "list_schedules", "Schedules"),
    ("logs", "describe_log_groups", "logGroups"),
    ("iam", "list_roles", "Roles"),
    ("sqs", "list_queues", "QueueUrls"),
    ("sns", "list_topics", "Topics"),
    ("cloudwatch", "describe_alarms", "MetricAlarms"),
    ("secretsmanager", "list_secrets", "SecretList"),
)
PAGES = ["page-1", "page-2", "page-3", "page-4"]


class Emulator(Process):
    """The AWS emulator on a free port of loopback, with all that it writes in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        (port,) = free_ports(1)
        self.endpoint = f"http://127.0.0.1:{port}"
        credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
        places = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "AWS_ENDPOINT_URL": self.endpoint}
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        env = kept | credentials | places | {"TMPDIR": str(folder), "HOME": str(folder)}
        env |= {"IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"}  # these would listen on ports of their own
        super().__init__([sys.executable, "-m", "ministack"], env, port, folder / "emulator.log")
        self.session = boto3.Session("test", "test", region_name="us-east-1")

    @functools.cache  # noqa: B019
    def aws(self, service: str) -> object:
        return self.session.client(service, endpoint_url=self.endpoint)


def archive(function: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        info = zipfile.ZipInfo("bootstrap")
        info.external_attr = 0o755 << 16
        file.writestr(info, (ROOT / "target/release" / function).read_bytes())
    return buffer.getvalue()


@functools.cache
def template() -> bytes:
    """Returns the template as SAM transforms it, with the code of each function where `sam deploy` would put it."""
    command = [sys.executable, ROOT / "scripts/transform-template", ROOT / "template.yaml"]
    env = {**os.environ, "AWS_DEFAULT_REGION": "us-east-1"}
    made = json.loads(subprocess.run(command, env=env, stdout=subprocess.PIPE, check=True).stdout)
    for name, resource in made["Resources"].items():
        if resource["Type"] == "AWS::Lambda::Function":
            function = re.sub(r"(?<!^)([A-Z])", r"-\1", name).lower()
            resource["Properties"]["Code"] = {"S3Bucket": "code", "S3Key": function}
    for name in LEFT_OUT:
        del made["Resources"][name]
    spell_out_routes(made["Resources"])
    return json.dumps(made).encode()


def spell_out_routes(resources: dict) -> None:
    """Gives the API its routes as resources: the emulator does not read the OpenAPI document that has them for AWS."""
    api = resources["Api"]["Properties"]
    document = api.pop("Body")
    api |= {"Name": document["info"]["title"], "ProtocolType": "HTTP"}
    operations = [(path, *each) for path, methods in document["paths"].items() for each in methods.items()]
    for number, (path, method, operation) in enumerate(operations):
        called = operation["x-amazon-apigateway-integration"]
        properties = {"ApiId": {"Ref": "Api"}, "IntegrationType": "AWS_PROXY", "IntegrationUri": called["uri"]}
        properties["PayloadFormatVersion"] = called["payloadFormatVersion"]
        resources[f"Integration{number}"] = {"Type": "AWS::ApiGatewayV2::Integration", "Properties": properties}
        verb = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
        target = {"Fn::Join": ["/", ["integrations", {"Ref": f"Integration{number}"}]]}
        properties = {"ApiId": {"Ref": "Api"}, "RouteKey": f"{verb} {path}", "Target": target}
        resources[f"Route{number}"] = {"Type": "AWS::ApiGatewayV2::Route", "Properties": properties}


class Stack(unittest.TestCase):
    def setUp(self) -> None:
        stack = ExitStack()
        self.addCleanup(stack.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="visits-deployed-")))
        self.redis = {name: stack.enter_context(Redis(folder, name)) for name in ("redis_a", "redis_b")}
        self.emulator = stack.enter_context(Emulator(folder))
        self.cloudformation = self.emulator.aws("cloudformation")

    def ask(self, name: str, command: str) -> list[str]:
        """Returns the lines of a Redis server's answer."""
        with socket.create_connection(("127.0.0.1", self.redis[name].port), timeout=5) as connection:
            connection.sendall(f"{command}\r\nQUIT\r\n".encode())
            with connection.makefile() as lines:
                return lines.read().splitlines()

    def pages(self) -> dict[str, int]:
        """Returns the count of each page, from the server that holds it."""
        found = {}
        for name in self.redis:
            keys = [line for line in self.ask(name, "KEYS *:page:*") if ":page:" in line]
            self.assertNotEqual(keys, [], f"{name} holds some of the pages")
            for key in keys:
                page = key.rsplit(":page:", 1)[1]
                self.assertNotIn(page, found, "one server holds a page")
                found[page] = int(self.ask(name, f"HGET {key} total")[1])
        return found

    def call(self, method: str, path: str, status: int = 200) -> dict:
        """Sends a request to the API, by its host name."""
        connection = http.client.HTTPConnection("127.0.0.1", self.emulator.port, timeout=60)
        host = f"{self.api}.execute-api.localhost:{self.emulator.port}"
        connection.request(method, path, headers={"Host": host, "User-Agent": "Mozilla/5.0 Firefox/150.0"})
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        self.assertEqual(answer.status, status, f"{method} {path}: {body}\n{self.emulator.written()[-5000:]}")
        return json.loads(body)

    def deploy(self, change: str, **parameters: str) -> None:
        endpoints = ",".join(f"{name}=redis://127.0.0.1:{server.port}" for name, server in self.redis.items())
        parameters = {"Redis": "given", "RedisEndpoints": endpoints, "Metrics": "off", **parameters}
        # As `sam deploy` does: a template of more than 51,200 bytes must come from a bucket.
        self.emulator.aws("s3").put_object(Bucket="code", Key="template", Body=template())
        self.stack = getattr(self.cloudformation, f"{change}_stack")(
            StackName="visits",
            TemplateURL=f"{self.emulator.endpoint}/code/template",
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM"],
        )["StackId"]
        self.await_status(f"{change.upper()}_COMPLETE")
        outputs = self.cloudformation.describe_stacks(StackName=self.stack)["Stacks"][0]["Outputs"]
        url = {output["OutputKey"]: output["OutputValue"] for output in outputs}["ApiUrl"]
        self.api = url.removeprefix("https://").split(".")[0]

    def await_status(self, wanted: str) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            status = self.cloudformation.describe_stacks(StackName=self.stack)["Stacks"][0]["StackStatus"]
            if status == wanted:
                return
            if not status.endswith("_IN_PROGRESS"):
                break
            time.sleep(0.1)
        events = self.cloudformation.describe_stack_events(StackName=self.stack)["StackEvents"]
        failed = [event for event in events if "FAILED" in event["ResourceStatus"]]
        self.fail(f"{status} instead of {wanted}: {failed}")

    def flush(self) -> None:
        """Invokes the schedule's target with the schedule's event and then, as FlushCommand does, for all writers."""
        scheduler, functions = self.emulator.aws("scheduler"), self.emulator.aws("lambda")
        (schedule,) = scheduler.list_schedules()["Schedules"]
        schedule = scheduler.get_schedule(Name=schedule["Name"], GroupName=schedule["GroupName"])
        self.assertEqual(schedule["ScheduleExpression"], "rate(1 minute)")
        for event in ((ROOT / "events/schedule.json").read_bytes(), b"{}"):
            answer = functions.invoke(FunctionName=schedule["Target"]["Arn"], Payload=event)
            report = json.loads(answer["Payload"].read())
            self.assertNotIn("FunctionError", answer, report)
            self.assertEqual((report["shards_failed"], report["invocations_failed"]), (0, 0), report)

    def visit(self, times: int) -> None:
        for page in PAGES * times:
            self.call("POST", f"/visit/{page}")

    def everything(self) -> dict[str, list]:
        """Returns what there is in the account, of what a stack makes."""
        return {service: getattr(self.emulator.aws(service), call)().get(name, []) for service, call, name in LISTS}

    def test_the_template_is_deployed_counts_exactly_is_updated_and_leaves_nothing(self) -> None:
        self.emulator.aws("s3").create_bucket(Bucket="code")
        for function in ("record-visit", "get-visits", "dashboard", "flush-visits"):
            self.emulator.aws("s3").put_object(Bucket="code", Key=function, Body=archive(function))
        before = self.everything()
        self.deploy("create")
        self.visit(3)
        self.flush()
        self.assertEqual(self.pages(), dict.fromkeys(PAGES, 3))
        self.assertEqual(self.call("GET", f"/visits/{PAGES[0]}")["count"], 3)
        self.visit(1)
        self.deploy("update", VisitsPages="page-*")
        self.call("POST", "/visit/another", status=403)
        self.visit(1)
        self.flush()
        self.assertEqual(self.pages(), dict.fromkeys(PAGES, 5), "with the visits that were in memory at the update")
        self.cloudformation.delete_stack(StackName=self.stack)
        self.await_status("DELETE_COMPLETE")
        self.assertEqual(self.everything(), before)


if __name__ == "__main__":
    unittest.main()
