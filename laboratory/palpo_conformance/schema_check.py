"""Holds a server's responses, and its requests to others, to the schemas the specification documents.

What is checked: JSON bodies of documented statuses, and that any 4xx body is an error object with an
`errcode` (Client-Server API, "Standard error response"). What users wrote, such as an event's `content`, is
the users' own; media and undocumented statuses outside 4xx are let pass. Of a request it is the JSON body,
and that each query parameter is there that must be.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import parse_qs

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from palpo_spec import Operation, match, request_schema, response_schema
from palpo_spec import operation as lookup

MAX_VIOLATIONS = 20
MAX_MESSAGE = 200
MAX_POINTER = 300
_JSON = "application/json"

# Every 4xx answer is one of these, whatever the operation's own documentation adds.
_ERROR_SCHEMA = {
    "type": "object",
    "properties": {"errcode": {"type": "string", "minLength": 1}, "error": {"type": "string"}},
    "required": ["errcode"],
}

CHALLENGES_LIKE = {("uploadCrossSigningKeys", 401): lookup("deleteDevice")}
"""Where the spec's text asks for user-interactive authentication, and its data has no 401."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One place in one response, or request, that the specification doesn't allow.

    `operation` is its key, `path` its template, `pointer` a JSON pointer into the body ("" is all of it), or
    `?name` of a query parameter.
    """

    operation: str
    method: str
    path: str
    status: int
    pointer: str
    message: str


def _pointer(error: ValidationError) -> str:
    tokens = (str(token).replace("~", "~0").replace("/", "~1") for token in error.absolute_path)
    return _printable("".join(f"/{token}" for token in tokens)[:MAX_POINTER])


def _printable(text: str) -> str:
    """Without lone surrogates, which a JSON body may name and no output encodes."""
    return text.encode("utf-8", "replace").decode()


def _shortened(text: str) -> str:
    text = _printable(text)
    return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE - 1]}…"


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("an object names a key twice")
    return value


def _parsed(body: bytes) -> Any:
    """The body as JSON; `ValueError` for what isn't, also for what Python alone would take."""
    try:
        return json.loads(body.decode(), parse_constant=_refuse_constant, object_pairs_hook=_pairs)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


@dataclass(slots=True)
class SchemaChecker:
    """Checks responses one by one; validators are built once for each operation and status."""

    _validators: dict[tuple[str, int], Draft202012Validator | None] = field(default_factory=dict)
    _requests: dict[str, Draft202012Validator] = field(default_factory=dict)
    _error: Draft202012Validator = field(default_factory=lambda: Draft202012Validator(_ERROR_SCHEMA))

    def check(self, method: str, raw_path: str, status: int, body: bytes) -> list[Violation]:
        """Violations of one response, at most `MAX_VIOLATIONS`; none for what the specification doesn't know.

        `raw_path` is the undecoded request target. No body makes this raise.
        """
        found = match(method, raw_path)
        if found is None:
            return []
        return _violations(found[0], status, self._problems(found[0], status, body))

    def check_request(self, method: str, raw_path: str, status: int, body: bytes | None) -> list[Violation]:
        """The same of a request, which was answered with `status`; `body` is None where it had no JSON."""
        found = match(method, raw_path)
        if found is None:
            return []
        return _violations(found[0], status, self._asked(found[0], raw_path.partition("?")[2], body))

    def _asked(self, operation: Operation, query: str, body: bytes | None) -> Iterator[tuple[str, str]]:
        """What is wrong with a request: pairs of place and message."""
        given = parse_qs(query, keep_blank_values=True)
        for parameter in operation.parameters:
            if parameter.place == "query" and parameter.required and parameter.name not in given:
                yield f"?{parameter.name}", "a query parameter is missing"
        schema = request_schema(operation)
        if schema is None:
            return
        if body is None:
            if operation.request is not None and operation.request.required:
                yield "", "there is no JSON body"
            return
        if operation.key not in self._requests:
            self._requests[operation.key] = Draft202012Validator(schema)
        yield from _invalid(self._requests[operation.key], body)

    def _validator(self, operation: Operation, status: int) -> Draft202012Validator | None:
        key = (operation.key, status)
        if key not in self._validators:
            schema = response_schema(operation, status)
            self._validators[key] = None if schema is None else Draft202012Validator(schema)
        return self._validators[key]

    def _problems(self, operation: Operation, status: int, body: bytes) -> Iterator[tuple[str, str]]:
        """Pairs of JSON pointer and message."""
        documented = self._validator(CHALLENGES_LIKE.get((operation.operation_id, status), operation), status)
        is_error = 400 <= status < 500
        if documented is None and not (is_error and _speaks_json(operation)):
            return
        try:
            value = _parsed(body)
        except ValueError as error:
            yield "", f"not a JSON body: {error}"
            return
        try:
            yield from self._invalid(documented, is_error, status, value)
        except RecursionError:
            yield "", "nested too deeply to be checked"

    def _invalid(
        self, documented: Draft202012Validator | None, is_error: bool, status: int, value: Any
    ) -> Iterator[tuple[str, str]]:
        if documented is None:
            validators = [self._error]
        elif status == 401:
            # A challenge of user-interactive authentication has no errcode; a bad access token has one.
            validators = [documented if _is_challenge(value) else self._error]
        else:
            validators = [documented, self._error] if is_error else [documented]
        seen: set[tuple[str, str]] = set()
        for validator in validators:
            for error in validator.iter_errors(value):
                problem = (_pointer(error), error.message)
                if problem not in seen:
                    seen.add(problem)
                    yield problem


def _violations(operation: Operation, status: int, problems: Iterator[tuple[str, str]]) -> list[Violation]:
    return [
        Violation(
            operation=operation.key,
            method=operation.method,
            path=operation.path,
            status=status,
            pointer=pointer,
            message=_shortened(message),
        )
        for pointer, message in islice(problems, MAX_VIOLATIONS)
    ]


def _invalid(validator: Draft202012Validator, body: bytes) -> Iterator[tuple[str, str]]:
    """What one schema does not allow in a body."""
    try:
        for error in validator.iter_errors(_parsed(body)):
            yield _pointer(error), error.message
    except ValueError as error:
        yield "", f"not a JSON body: {error}"
    except RecursionError:
        yield "", "nested too deeply to be checked"


def _is_challenge(value: Any) -> bool:
    return isinstance(value, dict) and "flows" in value


def _speaks_json(operation: Operation) -> bool:
    """Whether errors of this operation are JSON: not where a browser is answered with pages."""
    return not operation.path.startswith("/.well-known/") and any(
        _JSON in response.content_types for response in operation.responses.values()
    )
