// Signs in with matrix-js-sdk's own OAuth 2.0 functions: code with PKCE, refresh, revocation, device grant.
//
//   node oauth.js BASE_URL
//
// It prints {"open": URL} where a person would see a page, and reads where the browser was sent, a line each.

import { createInterface } from "node:readline";
import { OAuth2, createClient } from "matrix-js-sdk";

const [baseUrl] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const silent = { debug() {}, info() {}, warn() {}, error() {}, trace() {}, getChild: () => silent };
const CALLBACK = "https://app.example/callback";

async function opened(url) {
    print({ open: url });
    return (await lines.next()).value;
}

async function whoami(accessToken) {
    const client = createClient({ baseUrl, accessToken, logger: silent });
    return client.whoami();
}

const refused = (promise) => promise.then(() => null, (error) => String(error.message));

const metadata = await createClient({ baseUrl, logger: silent }).getAuthMetadata();
const clientId = await OAuth2.registerClient(
    metadata,
    {
        client_name: "A stranger",
        client_uri: "https://app.example/",
        logo_uri: "https://app.example/logo.png",
        application_type: "web",
        redirect_uris: [CALLBACK],
    },
    silent,
);

const auth = new OAuth2(metadata, { clientId }, silent);
const url = await auth.generateAuthorizationCodeGrantUrl("the-state", CALLBACK);
const answer = new URLSearchParams(new URL(await opened(url)).hash.slice(1));
const first = await auth.completeAuthorizationCodeGrant(answer.get("code"), CALLBACK);
const me = await whoami(first.access_token);
const second = await auth.performRefreshTokenGrant(first.refresh_token);
await whoami(second.access_token);
await auth.revokeToken(second.refresh_token, "refresh_token");

const device = new OAuth2(metadata, { clientId }, silent);
const session = await device.startDeviceAuthorizationGrant();
await opened(session.verification_uri_complete);
const third = await device.waitForDeviceAuthorizationGrant(session);

print({
    state: answer.get("state"),
    me,
    device: auth.context.deviceId,
    revoked: await refused(whoami(second.access_token)),
    refreshed: await refused(auth.performRefreshTokenGrant(second.refresh_token)),
    other: await whoami(third.access_token),
    otherDevice: device.context.deviceId,
    actions: metadata.account_management_actions_supported,
});
process.exit(0);
