"""A real server of the Central Authentication Service: PyPI's django-cas-server, in a process of its own.

``python -m tests.sign_on.cas_server FOLDER`` serves it on loopback, with its database in FOLDER, and prints
its URL.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.support import node

USER, PASSWORD = "alice", "in wonderland"
ATTRIBUTES = {
    "displayName": "Alice of Wonderland",
    "mail": "alice@work.example",
    "group": ["staff", "admins"],
}


def config(url: str, **settings: Any) -> dict[str, Any]:
    """An entry of ``[[cas]]``."""
    return {
        "id": "cas",
        "name": "University",
        "server_url": url,
        "localpart_template": "{{ user.username }}",
        "display_name_template": "{{ user.displayName }}",
        **settings,
    }


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """The URL of a server, for as long as it is needed."""
    if find_spec("cas_server") is None:
        node.cannot("django-cas-server is missing: pip install django-cas-server")
    command = [sys.executable, "-W", "ignore", "-m", "tests.sign_on.cas_server", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url, "the CAS server did not start"
        yield url
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def serve(folder: str) -> None:
    """Make the database, and answer."""
    import django
    from django.conf import settings
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application

    settings.configure(
        SECRET_KEY="for tests",
        DEBUG=False,
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="tests.sign_on.cas_urls",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder}/cas.db"}},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        USE_TZ=True,
        SESSION_ENGINE="django.contrib.sessions.backends.db",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "django.contrib.staticfiles",
            "cas_server",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.locale.LocaleMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        STATIC_URL="/static/",
        CAS_AUTH_CLASS="cas_server.auth.TestAuthUser",
        CAS_TEST_USER=USER,
        CAS_TEST_PASSWORD=PASSWORD,
        CAS_TEST_ATTRIBUTES=ATTRIBUTES,
        CAS_NEW_VERSION_HTML_WARNING=False,
        CAS_NEW_VERSION_EMAIL_WARNING=False,
    )
    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    from cas_server.models import ReplaceAttributName, ServicePattern

    pattern = ServicePattern.objects.create(name="palpo", pattern="^http://test.example/", pos=1)
    ReplaceAttributName.objects.create(service_pattern=pattern, name="*")

    from wsgiref.simple_server import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_: object) -> None: ...

    server = make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)  # noqa: T201
    server.serve_forever()


if __name__ == "__main__":
    serve(sys.argv[1])
