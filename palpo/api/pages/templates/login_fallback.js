const form = document.getElementById("form");
const message = document.getElementById("message");
const forwarded = ["device_id", "initial_device_display_name"];

const query = new URLSearchParams(window.location.search);

async function logIn(body) {
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
    for (const part of document.querySelectorAll("form, #providers")) part.hidden = true;
    document.getElementById("done").textContent = "You are logged in.";
    if (window.matrixLogin && window.matrixLogin.onLogin) window.matrixLogin.onLogin(answer);
}

function attempt(body) {
    message.textContent = "";
    logIn(body).catch((error) => { message.textContent = error.message; });
}

if (form) {
    form.addEventListener("submit", (event) => {
        event.preventDefault();
        attempt({
            type: "m.login.password",
            identifier: {type: "m.id.user", user: form.elements.user.value},
            password: form.elements.password.value,
        });
    });
}

// Signing in elsewhere leads back to this page, as it was asked for, with a token. Only who went there from here
// has any use for one: a link alone logs nobody in.
const token = query.get("loginToken");
query.delete("loginToken");
const here = window.location.pathname + (query.size ? "?" + query : "");
for (const link of document.querySelectorAll("a[data-provider]")) {
    const back = new URLSearchParams({redirectUrl: window.location.origin + here});
    link.href = "/_matrix/client/v3/login/sso/redirect/" + link.dataset.provider + "?" + back;
    link.addEventListener("click", () => window.sessionStorage.setItem("palpo-sso", "begun"));
}
if (token) {
    window.history.replaceState(null, "", here);
    const begun = window.sessionStorage.getItem("palpo-sso");
    window.sessionStorage.removeItem("palpo-sso");
    if (begun) attempt({type: "m.login.token", token: token});
}
