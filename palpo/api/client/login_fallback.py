"""A page that logs in, for clients that cannot."""

from palpo.api.call import Call, Handlers, Reply
from palpo.api.pages import page
from palpo.wire.client import login_fallback as wire
from palpo.wire.endpoint import NoBody, NoParams, Stream

handlers = Handlers()

BODY = """
<form id="form">
<p id="message" role="alert"></p>
<p><label>Username <input name="user" autocomplete="username" required></label></p>
<p><label>Password
<input name="password" type="password" autocomplete="current-password" required></label></p>
<p><button>Log in</button></p>
</form>
<script>
const form = document.getElementById("form");
const message = document.getElementById("message");
const forwarded = ["device_id", "initial_device_display_name"];

async function logIn() {
    const body = {
        type: "m.login.password",
        identifier: {type: "m.id.user", user: form.elements.user.value},
        password: form.elements.password.value,
    };
    const query = new URLSearchParams(window.location.search);
    for (const name of forwarded) {
        if (query.has(name)) body[name] = query.get(name);
    }
    if (query.get("refresh_token") === "true") body.refresh_token = true;
    const response = await fetch("/_matrix/client/v3/login", {
        method: "POST",
        headers: {"Content-Type": "application/json"},
        body: JSON.stringify(body),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error || answer.errcode);
    message.textContent = "You are logged in.";
    if (window.matrixLogin && window.matrixLogin.onLogin) window.matrixLogin.onLogin(answer);
}

form.addEventListener("submit", (event) => {
    event.preventDefault();
    logIn().catch((error) => { message.textContent = error.message; });
});
</script>
"""
POLICY = "form-action 'none'; script-src 'unsafe-inline'; connect-src 'self'"


@handlers.serves(wire.get_login_fallback)
async def get_login_fallback(call: Call, params: NoParams, body: NoBody) -> Stream | Reply:
    """GET /_matrix/static/client/login/."""
    return page("Log in", BODY, policy=POLICY)
