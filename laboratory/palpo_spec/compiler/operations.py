"""Operations out of the OpenAPI files: one record for each path and method."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from palpo_spec.compiler.schemas import SchemaCollector
from palpo_spec.compiler.source import Source, SourceError, resolve

APIS = ("client-server", "server-server", "application-service", "identity", "push-gateway")
METHODS = ("get", "put", "post", "delete", "head", "patch", "options")
_JSON = "application/json"
_ADDED = "x-addedInMatrixVersion"


def _base_path(document: dict[str, Any], file: str) -> str:
    try:
        base: str = document["servers"][0]["variables"]["basePath"]["default"]
    except (KeyError, IndexError) as error:
        raise SourceError(f"{file}: no basePath") from error
    return base.rstrip("/")


def _auth(operation: dict[str, Any]) -> dict[str, Any]:
    """`auth`: the one scheme named, or None; `auth_optional`: whether going without is allowed."""
    requirements = operation.get("security") or [{}]
    schemes = [scheme for requirement in requirements for scheme in requirement]
    if len(schemes) > 1:
        raise SourceError(f"{operation['operationId']}: more than one scheme: {schemes}")
    return {"auth": schemes[0] if schemes else None, "auth_optional": {} in requirements}


class OperationCompiler:
    """Compiles the files of one API after another, their schemas going to `schemas`."""

    def __init__(self, source: Source, schemas: SchemaCollector) -> None:
        self._source = source
        self._schemas = schemas

    def compile(self) -> list[dict[str, Any]]:
        """Every operation, sorted by API, path, method and operation ID."""
        records = [record for api in APIS for record in self._of_api(api)]
        return sorted(records, key=lambda r: (APIS.index(r["api"]), r["path"], r["method"], r["id"]))

    def _of_api(self, api: str) -> Iterator[dict[str, Any]]:
        for file in self._source.paths(f"api/{api}/*.yaml"):
            document = self._source.document(file)
            base = _base_path(document, file)
            for path, item in document["paths"].items():
                for method, operation in item.items():
                    if method not in METHODS:
                        raise SourceError(f"{file}: {path}: unknown method {method!r}")
                    # Two operations may share a path: the data tells them apart by trailing white space.
                    yield self._operation(api, file, method, base + path.strip(), operation)

    def _operation(
        self, api: str, file: str, method: str, path: str, operation: dict[str, Any]
    ) -> dict[str, Any]:
        name = f"{api}.{operation['operationId']}"
        record = {
            "api": api,
            "id": operation["operationId"],
            "method": method.upper(),
            "path": path,
            **_auth(operation),
            "rate_limited": "429" in operation["responses"],
            "deprecated": bool(operation.get("deprecated", False)),
            "added": operation.get(_ADDED),
            "changed": sorted(operation.get("x-changedInMatrixVersion", ())),
            "parameters": [self._parameter(file, p) for p in operation.get("parameters", ())],
            "responses": {
                str(status): self._response(file, response, f"{name}.{status}")
                for status, response in operation["responses"].items()
            },
        }
        if "requestBody" in operation:
            record["request"] = self._request(file, operation["requestBody"], f"{name}.request")
        return record

    def _dereference(self, file: str, value: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The file and the value that `value` stands for, following one `$ref`."""
        if "$ref" not in value:
            return file, value
        location = resolve(value["$ref"], file)
        return location.path, self._source.at(location)

    def _parameter(self, file: str, parameter: dict[str, Any]) -> dict[str, Any]:
        file, parameter = self._dereference(file, parameter)
        record = {
            "name": parameter["name"],
            "in": parameter["in"],
            "required": bool(parameter.get("required", False)),
            "schema": self._schemas.strip(parameter["schema"], file),
        }
        if _ADDED in parameter:
            record["added"] = parameter[_ADDED]
        return record

    def _request(self, file: str, request: dict[str, Any], name: str) -> dict[str, Any]:
        file, request = self._dereference(file, request)
        return {"required": bool(request.get("required", False)), **self._content(file, request, name)}

    def _response(self, file: str, response: dict[str, Any], name: str) -> dict[str, Any]:
        file, response = self._dereference(file, response)
        record = self._content(file, response, name)
        if "headers" in response:
            record["headers"] = sorted(response["headers"])
        return record

    def _content(self, file: str, holder: dict[str, Any], name: str) -> dict[str, Any]:
        """`content_types`, and the `schema` of the JSON one where there is one."""
        content: dict[str, Any] = holder.get("content", {})
        record: dict[str, Any] = {"content_types": sorted(content)}
        schema = content.get(_JSON, {}).get("schema")
        if schema is not None:
            record["schema"] = self._schemas.body(schema, file, name)
        return record
