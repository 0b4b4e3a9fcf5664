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
    form.hidden = true;
    document.getElementById("done").textContent = "You are logged in.";
    if (window.matrixLogin && window.matrixLogin.onLogin) window.matrixLogin.onLogin(answer);
}

form.addEventListener("submit", (event) => {
    event.preventDefault();
    message.textContent = "";
    logIn().catch((error) => { message.textContent = error.message; });
});
