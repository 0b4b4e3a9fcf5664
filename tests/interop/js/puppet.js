// Devices that do what they are told: a line of JSON in for each thing to do, and one out when it is done.
//
//   node puppet.js URL TOKEN < {"id": 1, "do": "say", "device": "bob", "args": ["!room", "hello"]}
//                            > {"id": 1, "result": "$event"} or {"id": 1, "error": "…"}

import { createInterface } from "node:readline";
import { Device, login, register, until, verify, withPassword } from "./device.js";

const devices = new Map();
const ENCRYPTION = { type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } };

/** How long what comes from another server may take. */
const SECONDS = 90;

async function add(name, session, url) {
    devices.set(name, await new Device(session, { name, url }).start());
    return session.user_id;
}

const base64 = (bytes) => Buffer.from(bytes).toString("base64").replace(/=+$/, "");

async function encrypted(bytes) {
    const key = await crypto.subtle.generateKey({ name: "AES-CTR", length: 256 }, true, ["encrypt", "decrypt"]);
    const iv = new Uint8Array(16);
    crypto.getRandomValues(iv.subarray(0, 8));
    const data = await crypto.subtle.encrypt({ name: "AES-CTR", counter: iv, length: 64 }, key, bytes);
    const hash = base64(await crypto.subtle.digest("SHA-256", data));
    const jwk = await crypto.subtle.exportKey("jwk", key);
    return { data, file: { v: "v2", key: jwk, iv: base64(iv), hashes: { sha256: hash } } };
}

async function decrypted(data, file) {
    if (base64(await crypto.subtle.digest("SHA-256", data)) !== file.hashes.sha256) throw new Error("another hash");
    const key = await crypto.subtle.importKey("jwk", file.key, { name: "AES-CTR" }, false, ["decrypt"]);
    const counter = Buffer.from(file.iv, "base64");
    return await crypto.subtle.decrypt({ name: "AES-CTR", counter, length: 64 }, key, data);
}

/** What each thing to do is, for a device (but for the first two, which make one). */
const acts = {
    async register(name, url) {
        return await add(name, await register(name, url), url);
    },
    async login(name, user, url) {
        return await add(name, await login(user, url), url);
    },
    async bootstrap(device) {
        await device.crypto.bootstrapCrossSigning({
            authUploadDeviceSigningKeys: withPassword(device.userId),
            setupNewCrossSigning: true,
        });
        await until("cross-signing is ready", () => device.crypto.isCrossSigningReady());
    },
    /** Cross-signing, secret storage and a key backup of a new user; the recovery key. */
    async secure(device) {
        const key = await device.crypto.createRecoveryKeyFromPassphrase();
        device.recoveryKey = key.encodedPrivateKey;
        await acts.bootstrap(device);
        await device.crypto.bootstrapSecretStorage({
            createSecretStorageKey: async () => key,
            setupNewSecretStorage: true,
            setupNewKeyBackup: true,
        });
        await until("secrets are stored", () => device.crypto.isSecretStorageReady());
        await until("the backup is used", () => device.crypto.getActiveSessionBackupVersion());
        return device.recoveryKey;
    },
    /** Wait until so many sessions are in the backup. */
    async backedUp(device, count) {
        // The SDK's own answer is the one that it was given when it began.
        const asked = () => device.client.http.authedRequest("GET", "/room_keys/version");
        const stored = async () => (await asked()).count >= count;
        await until(`${count} sessions are in the backup`, stored, SECONDS);
    },
    /** What a new login of a user with a recovery key has then. */
    async recover(device, recoveryKey) {
        device.recoveryKey = recoveryKey;
        const known = await device.crypto.userHasCrossSigningKeys(device.userId, true);
        await device.crypto.bootstrapCrossSigning({});
        await device.crypto.loadSessionBackupPrivateKeyFromSecretStorage();
        await device.crypto.checkKeyBackupAndEnable();
        const { imported } = await device.crypto.restoreKeyBackup();
        const status = await device.crypto.getDeviceVerificationStatus(device.userId, device.client.getDeviceId());
        return { known, imported, verified: status.crossSigningVerified };
    },
    async trusts(device, userId) {
        return (await device.crypto.getUserVerificationStatus(userId)).isCrossSigningVerified();
    },
    async token(device) {
        return device.client.getAccessToken();
    },
    async stop(device) {
        device.stop();
    },
    async create(device, ...invite) {
        const made = await device.client.createRoom({ invite, name: "Two servers", initial_state: [ENCRYPTION] });
        return made.room_id;
    },
    async join(device, roomId, via) {
        await device.client.joinRoom(roomId, { viaServers: [via] });
    },
    async knows(device, roomId, ...userIds) {
        const joined = (userId) => device.client.getRoom(roomId)?.getMember(userId)?.membership === "join";
        for (const userId of userIds) await until(`${userId} is there`, () => joined(userId), SECONDS);
    },
    async say(device, roomId, body) {
        return (await device.client.sendTextMessage(roomId, body)).event_id;
    },
    async body(device, roomId, eventId) {
        return await device.body(roomId, eventId, SECONDS);
    },
    /** The device's own keys: what its user reads out. */
    async keys(device) {
        return { device: device.client.getDeviceId(), ...(await device.crypto.getOwnDeviceKeys()) };
    },
    /** The keys of somebody else's devices: what its user compares with what is read out. */
    async keysOf(device, userId) {
        const found = (await device.crypto.getUserDeviceInfo([userId], true)).get(userId) ?? new Map();
        return Object.fromEntries([...found].map(([id, item]) => [id, item.getFingerprint()]));
    },
    async trust(device, userId, deviceId) {
        await device.crypto.setDeviceVerified(userId, deviceId, true);
        return (await device.crypto.getDeviceVerificationStatus(userId, deviceId)).localVerified;
    },
    async verify(device, otherName, roomId) {
        const other = devices.get(otherName);
        await verify(device, other, () => device.crypto.requestVerificationDM(other.userId, roomId), SECONDS);
        for (const [one, two] of [[device, other], [other, device]]) {
            const status = () => one.crypto.getUserVerificationStatus(two.userId);
            await until("trust", async () => (await status()).isCrossSigningVerified(), SECONDS);
        }
    },
    async share(device, roomId, name, text) {
        const { data, file } = await encrypted(new TextEncoder().encode(text));
        const { content_uri: url } = await device.client.uploadContent(new Blob([data]), {
            includeFilename: false, type: "application/octet-stream",
        });
        const content = { msgtype: "m.file", body: name, filename: name, file: { ...file, url } };
        return (await device.client.sendMessage(roomId, content)).event_id;
    },
    async file(device, roomId, eventId) {
        const { file } = (await device.event(roomId, eventId, SECONDS)).getContent();
        const url = device.client.mxcUrlToHttp(file.url, undefined, undefined, undefined, false, true, true);
        const headers = { Authorization: `Bearer ${device.client.getAccessToken()}` };
        const response = await fetch(url, { headers });
        if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
        return new TextDecoder().decode(await decrypted(await response.arrayBuffer(), file));
    },
};

const MAKING = ["register", "login"];

async function act({ do: name, device, args }) {
    const first = MAKING.includes(name) ? device : devices.get(device);
    return await acts[name](first, ...args);
}

for await (const line of createInterface({ input: process.stdin })) {
    const { id, ...what } = JSON.parse(line);
    const tell = (told) => process.stdout.write(`${JSON.stringify({ id, ...told })}\n`);
    act(what).then(
        (result) => tell({ result: result ?? null }),
        (error) => tell({ error: String(error?.stack ?? error) }),
    );
}
devices.forEach((device) => device.stop());
process.exit(0);
