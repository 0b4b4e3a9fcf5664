// A device of a user: the SDK's client with its encryption, and what it met on the way to the server.

import * as sdk from "matrix-js-sdk";
import { decodeRecoveryKey, CryptoEvent, VerificationPhase } from "matrix-js-sdk/lib/crypto-api/index.js";
import { logger as rootLogger } from "matrix-js-sdk/lib/logger.js";

/** Requests that the server did not know ("METHOD path") or failed at, and what the SDK warned of. */
export const met = { unrecognized: new Set(), failed: new Set(), warnings: new Set() };

export const PASSWORD = "correct horse battery";

export const [, , baseUrl, registrationToken] = process.argv;

rootLogger.disableAll();

function logger(name) {
    const quiet = () => {};
    const loud = (...parts) => met.warnings.add(`${name}: ${parts.map(String).join(" ").split("\n")[0]}`);
    return { trace: quiet, debug: quiet, info: quiet, warn: loud, error: loud, getChild: () => logger(name) };
}

/** Fetch, and note the answers that no client should get. */
async function watchedFetch(resource, options) {
    const response = await fetch(resource, options);
    if (response.status < 400) return response;
    const body = await response.clone().json().catch(() => ({}));
    const asked = `${options?.method ?? "GET"} ${new URL(resource).pathname}`;
    if (body.errcode === "M_UNRECOGNIZED") met.unrecognized.add(asked);
    if (response.status >= 500) met.failed.add(`${response.status} ${asked}`);
    return response;
}

function client(options, name) {
    return sdk.createClient({ baseUrl, fetchFn: watchedFetch, logger: logger(name), ...options });
}

/** Ask until the answer is truthy. */
export async function until(what, question, seconds = 15) {
    const end = Date.now() + seconds * 1000;
    for (;;) {
        const answer = await question();
        if (answer) return answer;
        if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
}

/** User-interactive authentication with a password. */
export function withPassword(userId) {
    return async (request) => {
        try {
            return await request(null);
        } catch (error) {
            if (error.httpStatus !== 401) throw error;
            const identifier = { type: "m.id.user", user: userId };
            const { session } = error.data;
            return request({ type: "m.login.password", identifier, password: PASSWORD, session });
        }
    };
}

export async function register(username, url = baseUrl) {
    const anyone = client({ baseUrl: url }, username);
    const details = { username, password: PASSWORD, initial_device_display_name: "first" };
    const { session } = await anyone.registerRequest(details).catch((error) => error.data);
    const auth = { type: "m.login.registration_token", token: registrationToken, session };
    return await anyone.registerRequest({ ...details, auth }).catch((error) => {
        // A server that is open to all knows no tokens, or wants none.
        if (![400, 401].includes(error.httpStatus)) throw error;
        return anyone.registerRequest({ ...details, auth: { type: "m.login.dummy", session } });
    });
}

export async function login(username, url = baseUrl) {
    const identifier = { type: "m.id.user", user: username };
    const request = { type: "m.login.password", identifier, password: PASSWORD, refresh_token: false };
    return await client({ baseUrl: url }, username).loginRequest(request);
}

export class Device {
    /** `session`: the answer to a registration or login; `recoveryKey`: what its user would type. */
    constructor(session, { name, recoveryKey, url = baseUrl } = {}) {
        this.name = name ?? session.user_id;
        this.recoveryKey = recoveryKey;
        const getSecretStorageKey = async ({ keys }) => [
            Object.keys(keys)[0],
            decodeRecoveryKey(this.recoveryKey),
        ];
        this.client = client(
            {
                baseUrl: url,
                userId: session.user_id,
                deviceId: session.device_id,
                accessToken: session.access_token,
                cryptoCallbacks: { getSecretStorageKey },
                verificationMethods: ["m.sas.v1"],
                timelineSupport: true,
            },
            this.name,
        );
    }

    get userId() {
        return this.client.getUserId();
    }

    get crypto() {
        return this.client.getCrypto();
    }

    /** Begin to sync; with `slidingSync`, over that. */
    async start(slidingSync) {
        await this.client.initRustCrypto({ useIndexedDB: false });
        await this.client.startClient({ initialSyncLimit: 30, pollTimeout: 5000, threadSupport: true, slidingSync });
        await until(`${this.name} has synced`, () => this.client.isInitialSyncComplete());
        return this;
    }

    async room(roomId, seconds) {
        return await until(`${this.name} sees ${roomId}`, () => this.client.getRoom(roomId), seconds);
    }

    /** The event once it has come, decrypted if it is encrypted. */
    async event(roomId, eventId, seconds) {
        const room = await this.room(roomId, seconds);
        const event = await until(`${this.name} gets ${eventId}`, () => room.findEventById(eventId), seconds);
        const clear = () => !event.isEncrypted() || (event.getClearContent() && !event.isDecryptionFailure());
        await until(`${this.name} can read ${eventId}`, clear, seconds);
        return event;
    }

    async body(roomId, eventId, seconds) {
        return (await this.event(roomId, eventId, seconds)).getContent().body;
    }

    stop() {
        this.client.stopClient();
    }
}

async function sasOf(request, seconds) {
    const verifier = await until("a verifier", () => request.verifier, seconds);
    return await until("the emoji", () => verifier.getShowSasCallbacks(), seconds);
}

/** `one` asks `other` with `ask`; they compare emoji, and both are satisfied. */
export async function verify(one, other, ask, seconds) {
    const asked = new Promise((resolve) => other.client.once(CryptoEvent.VerificationRequestReceived, resolve));
    const mine = await ask();
    const theirs = await asked;
    await theirs.accept();
    await until("ready", () => mine.phase === VerificationPhase.Ready, seconds);
    const verifier = await mine.startVerification("m.sas.v1");
    const done = [verifier.verify()];
    const theirVerifier = await until("started", () => theirs.verifier, seconds);
    done.push(theirVerifier.verify());
    const [left, right] = await Promise.all([sasOf(mine, seconds), sasOf(theirs, seconds)]);
    const emoji = [left, right].map((shown) => JSON.stringify(shown.sas.emoji));
    if (emoji[0] !== emoji[1]) throw new Error(`emoji differ: ${emoji}`);
    await Promise.all([left.confirm(), right.confirm()]);
    await Promise.all(done);
    await until("both are done", () => [mine, theirs].every((r) => r.phase === VerificationPhase.Done), seconds);
}
