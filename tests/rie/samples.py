"""AWS's sample events, as `sam local generate-event` prints them, turned into requests to us."""

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


@functools.cache
def sample(*names: str) -> bytes:
    sam = Path(sys.executable).with_name("sam")
    with tempfile.TemporaryDirectory(prefix="visits-sam-") as home:
        env = {**os.environ, "SAM_CLI_TELEMETRY": "0", "__SAM_CLI_APP_DIR": home, "AWS_DEFAULT_REGION": "us-east-1"}
        command = [sam, "local", "generate-event", *names]
        return subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout


def http_api(method: str, path: str, body: str | None = None) -> dict:
    """A request through an API Gateway HTTP API, which hands the path over decoded."""
    event = json.loads(sample("apigateway", "http-api-proxy"))
    event["rawPath"] = event["requestContext"]["http"]["path"] = path
    event["requestContext"]["http"]["method"] = method
    event["rawQueryString"], event["isBase64Encoded"] = "", False
    del event["body"]
    if body is not None:
        event["body"] = body
    return event


def function_url(method: str, path: str) -> dict:
    """The same through a function URL, which hands the path over as the client wrote it."""
    event = http_api(method, path)
    event["requestContext"]["domainName"] = "abcdefghij.lambda-url.us-east-1.on.aws"
    event["requestContext"]["domainPrefix"] = "abcdefghij"
    return event
