// A certified provider of OpenID Connect (npm: oidc-provider) on loopback, with its own pages for signing in.
//
// Reads one line of JSON from standard input: {clients, claims}; writes one line with its issuer. Beside the
// provider's own paths it has, for the tests: POST /test/rotate, after which it signs with a new key, and
// GET /test/logouts, the logout tokens that clients were sent.

import {createServer} from "node:http";
import {generateKeyPairSync, randomUUID} from "node:crypto";
import {createInterface} from "node:readline";
import {Provider} from "oidc-provider";

const [line] = await new Promise((resolve) => createInterface({input: process.stdin}).once("line", (text) => resolve([text])));
const given = JSON.parse(line);
const logouts = [];

function signingKey() {
    const {privateKey} = generateKeyPairSync("rsa", {modulusLength: 2048});
    return {...privateKey.export({format: "jwk"}), kid: randomUUID(), use: "sig", alg: "RS256"};
}

function provider(issuer) {
    const clients = given.clients.map((client) => (
        client.logout ? {...client, logout: undefined, backchannel_logout_uri: `${issuer}/test/logout`} : client
    ));
    const made = new Provider(issuer, {
        clients,
        jwks: {keys: [signingKey()]},
        cookies: {keys: [randomUUID()]},
        claims: {openid: ["sub"], profile: ["name", "preferred_username", "groups", "picture"], email: ["email", "email_verified"]},
        clientAuthMethods: ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"],
        features: {
            devInteractions: {enabled: true},
            backchannelLogout: {enabled: true},
            rpInitiatedLogout: {enabled: true},
            revocation: {enabled: true},
        },
        pkce: {required: () => false},
        findAccount: (context, id) => ({accountId: id, claims: () => ({sub: id, ...given.claims[id]})}),
        ttl: {Session: 3600, Grant: 3600, Interaction: 600, AccessToken: 600, IdToken: 600},
        fetch: (url, options) => fetch(url, {...options, dispatcher: undefined}),
    });
    return made.callback();
}

let handle;
const server = createServer((request, response) => {
    const path = request.url.split("?")[0];
    if (path === "/test/rotate") {
        handle = provider(issuer);
        response.end();
    } else if (path === "/test/logout") {
        let body = "";
        request.on("data", (chunk) => { body += chunk; });
        request.on("end", () => { logouts.push(new URLSearchParams(body).get("logout_token")); response.end(); });
    } else if (path === "/test/logouts") {
        response.setHeader("Content-Type", "application/json");
        response.end(JSON.stringify(logouts));
    } else {
        handle(request, response);
    }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
handle = provider(issuer);
console.log(issuer);
// The test that started it has ended where nobody writes any more.
process.stdin.on("end", () => process.exit(0));
process.stdin.resume();
