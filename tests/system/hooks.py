"""What schemathesis is not to try, and the one secret that it cannot guess."""

import os
import unicodedata
from urllib.parse import unquote

import schemathesis


def reaches_the_function(case: schemathesis.Case) -> bool:
    """Whether a request comes through as it is meant.

    The emulator answers headers that are not ASCII and bodies that are not UTF-8 with a 500 of its own. HTTP cuts off
    the blanks around a header, and a client resolves a page called `.` or `..` before it sends anything.
    """
    headers = [str(value) for value in (case.headers or {}).values()]
    if any(not value.isascii() or value != value.strip() for value in headers):
        return False
    if isinstance(case.body, bytes):
        try:
            case.body.decode()
        except UnicodeDecodeError:
            return False
    return page_of(case) not in (".", "..")


def page_of(case: schemathesis.Case) -> str:
    return unquote(str((case.path_parameters or {}).get("page_id", "home")))


def is_called_right_wrongly(case: schemathesis.Case) -> bool:
    """Schemathesis now and then takes a page id for right that the pattern refuses, or that is too long in bytes."""
    page = page_of(case)
    wrong = len(page.encode(errors="replace")) > 512 or any(unicodedata.category(c) == "Cc" for c in page)
    return wrong and case.meta is not None and case.meta.generation.mode.is_positive


@schemathesis.hook
def filter_case(_context: object, case: schemathesis.Case) -> bool:
    return reaches_the_function(case) and not is_called_right_wrongly(case)


@schemathesis.hook
def map_body(context: object, body: object) -> object:
    """Half of the tokens that are tried are right."""
    operation = context.operation.definition.raw.get("operationId")
    if operation == "openSession" and isinstance(body, dict) and isinstance(body.get("token"), str):
        return {**body, "token": os.environ["VISITS_TOKEN"]} if len(body["token"]) % 2 else body
    return body
