"""The calls of the Docker Engine API that Complement makes, as an ASGI application.

Shapes follow the Engine API reference, version 1.41: https://docs.docker.com/reference/api/engine/version/v1.41/
"""

from __future__ import annotations

import json
import re
import signal
import struct
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote

from palpo_complement.recording.gate import FEDERATION_PORT, HTTP_PORT

from .engine import Creation, Engine
from .model import Container, EngineError, Image, Network

API_VERSION = "1.41"
MAX_FRAME = 16_384

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A call: its query with all values, its body, and what the path named."""

    query: dict[str, list[str]]
    body: bytes
    name: str

    def first(self, key: str, default: str = "") -> str:
        return self.query.get(key, [default])[0]

    def flag(self, key: str) -> bool:
        return self.first(key).lower() in ("1", "true")

    def seconds(self, key: str, default: float) -> float:
        value = self.first(key)
        try:
            return float(value) if value else default
        except ValueError:
            raise EngineError(400, f"{key} is no number") from None

    def json(self) -> dict[str, Any]:
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            raise EngineError(400, "the body is not JSON") from None
        if not isinstance(value, dict):
            raise EngineError(400, "the body is no object")
        return value

    def labels(self) -> tuple[str, ...]:
        """The label filter, in either of its two forms: a list, or an object of `true`s."""
        try:
            filters = json.loads(self.first("filters") or "{}")
            return tuple(str(item) for item in filters.get("label", ()))
        except (ValueError, AttributeError, TypeError):
            raise EngineError(400, "invalid filters") from None


@dataclass(frozen=True, slots=True)
class Response:
    """A status with JSON, bytes, or nothing."""

    status: int
    content: Any = None

    def encode(self) -> tuple[bytes, bytes]:
        """The content type and the body."""
        if self.content is None:
            return b"text/plain", b""
        if isinstance(self.content, bytes):
            return b"application/vnd.docker.raw-stream", self.content
        return b"application/json", json.dumps(self.content).encode()


Handler = Callable[[Engine, Request], Awaitable[Response]]


async def ping(engine: Engine, request: Request) -> Response:
    return Response(200, b"OK")


async def version(engine: Engine, request: Request) -> Response:
    return Response(200, {"Version": "palpo-complement", "ApiVersion": API_VERSION, "Os": "linux"})


async def list_images(engine: Engine, request: Request) -> Response:
    return Response(200, [_image(image) for image in engine.images(request.labels())])


async def inspect_image(engine: Engine, request: Request) -> Response:
    return Response(200, _image(engine.image(request.name)))


async def remove_image(engine: Engine, request: Request) -> Response:
    image = await engine.remove_image(request.name)
    untagged = [{"Untagged": tag} for tag in image.tags]
    return Response(200, [*untagged, {"Deleted": f"sha256:{image.id}"}])


async def commit(engine: Engine, request: Request) -> Response:
    tag = f"{request.first('repo')}:{request.first('tag') or 'latest'}"
    image = await engine.commit(request.first("container"), tag, tuple(request.query.get("changes", ())))
    return Response(201, {"Id": f"sha256:{image.id}"})


async def list_networks(engine: Engine, request: Request) -> Response:
    return Response(200, [_network(network) for network in engine.networks(request.labels())])


async def create_network(engine: Engine, request: Request) -> Response:
    body = request.json()
    network = engine.create_network(str(body.get("Name", "")), dict(body.get("Labels") or {}))
    return Response(201, {"Id": network.id, "Warning": ""})


async def remove_network(engine: Engine, request: Request) -> Response:
    engine.remove_network(request.name)
    return Response(204)


async def list_containers(engine: Engine, request: Request) -> Response:
    found = engine.containers(request.labels(), stopped=request.flag("all"))
    return Response(200, [_summary(container) for container in found])


async def create_container(engine: Engine, request: Request) -> Response:
    body = request.json()
    host = body.get("HostConfig") or {}
    endpoints = (body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
    if len(endpoints) != 1:
        raise EngineError(400, "a container needs exactly one network")
    ((network, endpoint),) = endpoints.items()
    container = await engine.create_container(
        Creation(
            name=request.first("name"),
            image=str(body.get("Image", "")),
            labels=dict(body.get("Labels") or {}),
            env=dict(item.partition("=")[::2] for item in body.get("Env") or ()),
            network=network,
            aliases=tuple((endpoint or {}).get("Aliases") or ()),
            extra_hosts=tuple(host.get("ExtraHosts") or ()),
        )
    )
    return Response(201, {"Id": container.id, "Warnings": []})


async def put_archive(engine: Engine, request: Request) -> Response:
    await engine.put_archive(request.name, request.first("path", "/"), request.body)
    return Response(200)


async def start(engine: Engine, request: Request) -> Response:
    await engine.start(request.name)
    return Response(204)


async def stop(engine: Engine, request: Request) -> Response:
    await engine.stop(request.name, request.seconds("t", 10.0))
    return Response(204)


async def restart(engine: Engine, request: Request) -> Response:
    await engine.restart(request.name, request.seconds("t", 10.0))
    return Response(204)


async def kill(engine: Engine, request: Request) -> Response:
    word = request.first("signal", "KILL").upper()
    try:
        number = (
            signal.Signals(int(word)) if word.isdigit() else signal.Signals[f"SIG{word.removeprefix('SIG')}"]
        )
    except (KeyError, ValueError):
        raise EngineError(400, f"no such signal: {word}") from None
    await engine.kill(request.name, number)
    return Response(204)


async def pause(engine: Engine, request: Request) -> Response:
    await engine.pause(request.name)
    return Response(204)


async def unpause(engine: Engine, request: Request) -> Response:
    await engine.unpause(request.name)
    return Response(204)


async def remove_container(engine: Engine, request: Request) -> Response:
    await engine.remove_container(request.name, force=request.flag("force"))
    return Response(204)


async def inspect_container(engine: Engine, request: Request) -> Response:
    return Response(200, _details(engine.container(request.name)))


async def logs(engine: Engine, request: Request) -> Response:
    path = engine.container(request.name).log
    data = path.read_bytes() if path.exists() else b""
    return Response(200, b"".join(_frames(data)))


def _frames(data: bytes) -> Iterator[bytes]:
    """Docker's form of logs: the number of the stream (1 is stdout), three zeros, a length, and its bytes."""
    for start in range(0, len(data), MAX_FRAME):
        chunk = data[start : start + MAX_FRAME]
        yield struct.pack(">BxxxL", 1, len(chunk)) + chunk


def _route(methods: str, path: str, handler: Handler) -> tuple[tuple[str, ...], re.Pattern[str], Handler]:
    pattern = path.replace("{name}", "(?P<name>.+)")
    return tuple(methods.split()), re.compile(rf"(?:/v[0-9.]+)?{pattern}"), handler


ROUTES = (
    _route("GET HEAD", "/_ping", ping),
    _route("GET", "/version", version),
    _route("GET", "/images/json", list_images),
    _route("GET", "/images/{name}/json", inspect_image),
    _route("DELETE", "/images/{name}", remove_image),
    _route("POST", "/commit", commit),
    _route("GET", "/networks", list_networks),
    _route("POST", "/networks/create", create_network),
    _route("DELETE", "/networks/{name}", remove_network),
    _route("GET", "/containers/json", list_containers),
    _route("POST", "/containers/create", create_container),
    _route("PUT", "/containers/{name}/archive", put_archive),
    _route("POST", "/containers/{name}/start", start),
    _route("POST", "/containers/{name}/stop", stop),
    _route("POST", "/containers/{name}/restart", restart),
    _route("POST", "/containers/{name}/kill", kill),
    _route("POST", "/containers/{name}/pause", pause),
    _route("POST", "/containers/{name}/unpause", unpause),
    _route("GET", "/containers/{name}/json", inspect_container),
    _route("GET", "/containers/{name}/logs", logs),
    _route("DELETE", "/containers/{name}", remove_container),
)


class DockerApi:
    """The ASGI application over one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        body = await _read_body(receive)
        try:
            response = await self._dispatch(scope, body)
        except EngineError as error:
            response = Response(error.status, {"message": error.message})
        except Exception as error:  # noqa: BLE001 - the renderer: the suite prints it with the test that met it
            response = Response(500, {"message": f"{type(error).__name__}: {error}"})
        await _respond(response, scope["method"] == "HEAD", send)

    async def _dispatch(self, scope: MutableMapping[str, Any], body: bytes) -> Response:
        for methods, pattern, handler in ROUTES:
            match = pattern.fullmatch(scope["path"])
            if match and scope["method"] in methods:
                name = unquote(match.groupdict().get("name") or "")
                query = parse_qs(scope["query_string"].decode(), keep_blank_values=True)
                return await handler(self._engine, Request(query=query, body=body, name=name))
        raise EngineError(404, f"not emulated: {scope['method']} {scope['path']}")


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _read_body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _respond(response: Response, head: bool, send: Send) -> None:
    content_type, body = response.encode()
    headers = [
        (b"content-type", content_type),
        (b"api-version", API_VERSION.encode()),
        (b"docker-experimental", b"false"),
        (b"ostype", b"linux"),
    ]
    if response.status != 204:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else body})


def _image(image: Image) -> dict[str, Any]:
    identifier = f"sha256:{image.id}"
    return {
        "Id": identifier,
        "ParentId": "",
        "RepoTags": list(image.tags),
        "RepoDigests": [],
        "Created": 0,
        "Size": 0,
        "SharedSize": -1,
        "Containers": -1,
        "Labels": image.labels,
    }


def _network(network: Network) -> dict[str, Any]:
    return {
        "Name": network.name,
        "Id": network.id,
        "Driver": "bridge",
        "Scope": "local",
        "Labels": network.labels,
        "Containers": {},
        "Options": {},
    }


def _summary(container: Container) -> dict[str, Any]:
    return {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": container.image.tags[0] if container.image.tags else container.image.id,
        "ImageID": f"sha256:{container.image.id}",
        "Created": int(container.created_at),
        "Labels": container.labels,
        "State": container.status,
        "Status": container.status,
    }


def _details(container: Container) -> dict[str, Any]:
    published = {HTTP_PORT: container.ports.http, FEDERATION_PORT: container.ports.federation}
    ports = {
        f"{inner}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(outer)}]
        for inner, outer in published.items()
    }
    network = container.network
    endpoint = {"NetworkID": network.id, "IPAddress": container.address, "Aliases": list(container.aliases)}
    return {
        "Id": container.id,
        "Name": f"/{container.name}",
        "Created": _time(container.created_at),
        "Image": f"sha256:{container.image.id}",
        "State": {
            "Status": container.status,
            "Running": container.running,
            "Paused": container.paused,
            "Pid": container.process.pid if container.process and container.running else 0,
            "ExitCode": container.exit_code,
            "StartedAt": _time(container.started_at),
            "FinishedAt": _time(container.finished_at),
        },
        "Config": {
            "Image": container.image.id,
            "Tty": False,
            "Labels": container.labels,
            "Env": [f"{key}={value}" for key, value in container.env.items()],
        },
        "HostConfig": {},
        "NetworkSettings": {
            "Ports": ports if container.running else {},
            "Networks": {network.name: endpoint},
        },
    }


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")
