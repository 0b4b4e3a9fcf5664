// What two people do: each step is a function of what the earlier ones left in `s`.

import assert from "node:assert/strict";
import { SlidingSync } from "matrix-js-sdk/lib/sliding-sync.js";
import { Device, PASSWORD, baseUrl, login, register, until, verify, withPassword } from "./device.js";

export const devices = [];
export const steps = {};

const ENCRYPTION = { type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } };
const THREAD = "m.thread";

async function add(device, slidingSync) {
    devices.push(device);
    return await device.start(slidingSync);
}

async function say(device, roomId, body) {
    return (await device.client.sendTextMessage(roomId, body)).event_id;
}

async function joinedRoom(s, options) {
    const { room_id: roomId } = await s.alice.client.createRoom({ invite: [s.bob.userId], ...options });
    await s.bob.client.joinRoom(roomId);
    await until("both have joined", async () =>
        [s.alice, s.bob].every((device) => device.client.getRoom(roomId)?.getJoinedMemberCount() === 2));
    return roomId;
}

steps["register and sync"] = async (s) => {
    s.alice = await add(new Device(await register("alice"), { name: "alice" }));
    s.bob = await add(new Device(await register("bob"), { name: "bob" }));
    assert.equal((await s.alice.client.whoami()).user_id, s.alice.userId);
    const { flows } = await s.alice.client.loginFlows();
    assert.ok(flows.some((flow) => flow.type === "m.login.password"));
};

steps["bootstrap cross-signing, secret storage and key backup"] = async (s) => {
    for (const device of [s.alice, s.bob]) {
        const key = await device.crypto.createRecoveryKeyFromPassphrase();
        device.recoveryKey = key.encodedPrivateKey;
        await device.crypto.bootstrapCrossSigning({
            authUploadDeviceSigningKeys: withPassword(device.userId),
            setupNewCrossSigning: true,
        });
        await device.crypto.bootstrapSecretStorage({
            createSecretStorageKey: async () => key,
            setupNewSecretStorage: true,
            setupNewKeyBackup: true,
        });
        await until("secrets are stored", () => device.crypto.isSecretStorageReady());
        assert.equal(await device.crypto.isCrossSigningReady(), true);
        assert.notEqual(await device.crypto.getActiveSessionBackupVersion(), null);
    }
};

steps["encrypted messages both ways"] = async (s) => {
    s.secret = await joinedRoom(s, { name: "Secrets", initial_state: [ENCRYPTION] });
    s.hello = await say(s.alice, s.secret, "hello bob");
    assert.equal(await s.bob.body(s.secret, s.hello), "hello bob");
    const answer = await say(s.bob, s.secret, "hello alice");
    assert.equal(await s.alice.body(s.secret, answer), "hello alice");
    const stored = await s.bob.client.fetchRoomEvent(s.secret, s.hello);
    assert.equal(stored.type, "m.room.encrypted");
    assert.equal(JSON.stringify(stored).includes("hello"), false);
};

steps["verify each other in the room"] = async (s) => {
    await verify(s.alice, s.bob, () => s.alice.crypto.requestVerificationDM(s.bob.userId, s.secret));
    for (const [one, other] of [[s.alice, s.bob], [s.bob, s.alice]]) {
        const status = () => one.crypto.getUserVerificationStatus(other.userId);
        await until(`${one.name} trusts ${other.name}`, async () => (await status()).isCrossSigningVerified());
    }
};

steps["media, authenticated"] = async (s) => {
    const bytes = new Uint8Array(70_000).map((_, place) => place % 251);
    const { content_uri: uri } = await s.alice.client.uploadContent(new Blob([bytes]), {
        name: "tea & biscuits.bin",
        type: "application/octet-stream",
    });
    const url = s.bob.client.mxcUrlToHttp(uri, undefined, undefined, undefined, false, true, true);
    assert.equal((await fetch(url)).status, 401);
    const headers = { Authorization: `Bearer ${s.bob.client.getAccessToken()}` };
    const response = await fetch(url, { headers });
    assert.deepEqual(new Uint8Array(await response.arrayBuffer()), bytes);
    assert.equal(typeof (await s.alice.client.getMediaConfig(true))["m.upload.size"], "number");
};

steps["edit, reaction, thread and redaction"] = async (s) => {
    s.plain = await joinedRoom(s, { name: "Plain", topic: "nothing to hide" });
    s.first = await say(s.alice, s.plain, "a rare armadillo");
    await s.bob.event(s.plain, s.first);
    const edited = { msgtype: "m.text", body: "a common armadillo" };
    await s.alice.client.sendMessage(s.plain, {
        ...edited, body: `* ${edited.body}`, "m.new_content": edited,
        "m.relates_to": { rel_type: "m.replace", event_id: s.first },
    });
    await until("bob sees the edit", async () => (await s.bob.body(s.plain, s.first)) === edited.body);
    const { event_id: reaction } = await s.bob.client.sendEvent(s.plain, "m.reaction", {
        "m.relates_to": { rel_type: "m.annotation", event_id: s.first, key: "🦔" },
    });
    const relations = () => s.alice.client.relations(s.plain, s.first, "m.annotation", "m.reaction");
    assert.deepEqual((await relations()).events.map((event) => event.getRelation().key), ["🦔"]);
    await s.bob.client.redactEvent(s.plain, reaction);
    assert.deepEqual((await relations()).events, []);

    const inThread = { rel_type: THREAD, event_id: s.first, is_falling_back: true, "m.in_reply_to": { event_id: s.first } };
    const reply = { msgtype: "m.text", body: "in a thread", "m.relates_to": inThread };
    // From a device that does not sync: to one that does, /sync may bring a reply before /send has answered,
    // which the SDK takes well in a room's main timeline, but not in a thread.
    const quiet = new Device(await login("bob"), { name: "bob's watch" });
    await quiet.client.sendMessage(s.plain, s.first, reply);
    const room = await s.alice.room(s.plain);
    const thread = await until("alice sees the thread", () => room.getThread(s.first));
    await until("its reply", () => thread.replyToEvent?.getContent().body === "in a thread");
    await room.createThreadsTimelineSets();
    await room.fetchRoomThreads();
    const listed = room.threadsTimelineSets[0].getLiveTimeline().getEvents();
    assert.deepEqual(listed.map((event) => event.getId()), [s.first]);
};

steps["receipts, typing and markers"] = async (s) => {
    const event = await s.bob.event(s.plain, await say(s.alice, s.plain, "read this"));
    const room = await s.alice.room(s.plain);
    const bobs = await s.bob.room(s.plain);
    await until("bob has something unread", () => bobs.getUnreadNotificationCount() > 0);
    await s.bob.client.sendTyping(s.plain, true, 5000);
    await until("alice sees bob type", () => room.getMember(s.bob.userId).typing);
    await s.bob.client.sendTyping(s.plain, false, 0);
    await until("alice sees bob stop", () => !room.getMember(s.bob.userId).typing);
    await s.bob.client.setRoomReadMarkers(s.plain, event.getId(), event);
    await until("alice sees the receipt", () => room.hasUserReadEvent(s.bob.userId, event.getId()));
    await until("nothing is unread", () => bobs.getUnreadNotificationCount() === 0);
    assert.equal(bobs.getAccountData("m.fully_read").getContent().event_id, event.getId());
};

steps["search"] = async (s) => {
    await say(s.alice, s.plain, "the pangolin sleeps");
    const found = await s.bob.client.searchRoomEvents({ term: "pangolin" });
    assert.deepEqual(found.results.map((r) => r.context.getEvent().getContent().body), ["the pangolin sleeps"]);
    assert.equal(found.count, 1);
};

steps["back-pagination and context"] = async (s) => {
    for (let number = 0; number < 40; number++) await say(s.alice, s.plain, `line ${number}`);
    const laptop = s.bobsOther = await add(new Device(await login("bob"), { name: "bob's laptop" }));
    const room = await laptop.room(s.plain);
    assert.equal(room.findEventById(s.first), undefined);
    while (!room.findEventById(s.first)) assert.ok(await laptop.client.scrollback(room, 20));
    const timeline = await laptop.client.getEventTimeline(room.getUnfilteredTimelineSet(), s.first);
    assert.ok(timeline.getEvents().some((event) => event.getId() === s.first));
    await room.loadMembersIfNeeded();
    assert.equal(room.getJoinedMembers().length, 2);
};

steps["a second device, verified, is given the secrets and restores the backup"] = async (s) => {
    const second = s.second = await add(new Device(await login("alice"), { name: "alice's laptop" }));
    await until("alice knows it", async () => {
        const known = await s.alice.crypto.getUserDeviceInfo([s.alice.userId], true);
        return known.get(s.alice.userId).has(second.client.getDeviceId());
    });
    await verify(second, s.alice, () => second.crypto.requestOwnUserVerification());
    await until("it is signed", async () => {
        const id = second.client.getDeviceId();
        return (await s.bob.crypto.getDeviceVerificationStatus(s.alice.userId, id))?.crossSigningVerified;
    });
    await until("it has the private keys", async () => {
        const cached = (await second.crypto.getCrossSigningStatus()).privateKeysCachedLocally;
        return cached.masterKey && cached.selfSigningKey && cached.userSigningKey;
    });
    await until("it has the backup's key", () => second.crypto.getSessionBackupPrivateKey());
    // Devices wait up to ten seconds, at random, before they back up.
    await until("the first has backed up", async () =>
        (await s.alice.client.http.authedRequest("GET", "/room_keys/version")).count >= 2);
    await until("it uses the backup", () => second.crypto.getActiveSessionBackupVersion());
    assert.ok((await second.crypto.restoreKeyBackup()).imported > 0);
    assert.equal(await second.body(s.secret, s.hello), "hello bob");
};

steps["a third device restores with the recovery key"] = async (s) => {
    const session = await login("alice");
    const third = await add(new Device(session, { name: "alice's tablet", recoveryKey: s.alice.recoveryKey }));
    assert.equal(await third.crypto.userHasCrossSigningKeys(third.userId, true), true);
    await third.crypto.bootstrapCrossSigning({});
    await third.crypto.loadSessionBackupPrivateKeyFromSecretStorage();
    await third.crypto.checkKeyBackupAndEnable();
    assert.ok((await third.crypto.restoreKeyBackup()).imported > 0);
    assert.equal(await third.body(s.secret, s.hello), "hello bob");
    const status = await third.crypto.getDeviceVerificationStatus(third.userId, third.client.getDeviceId());
    assert.equal(status.crossSigningVerified, true);
    const body = "to every device of alice";
    const eventId = await say(s.bob, s.secret, body);
    for (const device of [s.alice, s.second, third]) assert.equal(await device.body(s.secret, eventId), body);
    await third.client.logout(true);
};

steps["a dehydrated device"] = async (s) => {
    assert.equal(await s.alice.crypto.isDehydrationSupported(), true);
    await s.alice.crypto.startDehydration({ createNewKey: true, rehydrate: false });
    const stored = await s.alice.client.http.authedRequest("GET", "/dehydrated_device", undefined, undefined, {
        prefix: "/_matrix/client/unstable/org.matrix.msc3814.v1",
    });
    assert.ok(stored.device_id);
};

steps["a fallback key when one-time keys have run out"] = async (s) => {
    const target = [[s.bobsOther.userId, s.bobsOther.client.getDeviceId()]];
    s.bobsOther.stop();
    for (let number = 0; number <= 100; number++) {
        const answer = await s.alice.client.claimOneTimeKeys(target, "signed_curve25519");
        const [key] = Object.values(answer.one_time_keys[target[0][0]][target[0][1]]);
        if (key.fallback) return;
    }
    assert.fail("one-time keys without end");
};

steps["sliding sync"] = async (s) => {
    assert.equal(await s.bob.client.doesServerSupportUnstableFeature("org.matrix.simplified_msc3575"), true);
    const required = { required_state: [["*", "*"]], timeline_limit: 20 };
    const phone = new Device(await login("bob"), { name: "bob's phone", recoveryKey: s.bob.recoveryKey });
    const lists = new Map([["all", { ranges: [[0, 20]], ...required }]]);
    await add(phone, new SlidingSync(baseUrl, lists, required, phone.client, 3000));
    await phone.room(s.plain);
    assert.equal((await phone.room(s.secret)).name, "Secrets");
    assert.equal(await phone.crypto.userHasCrossSigningKeys(phone.userId, true), true);
    await phone.crypto.bootstrapCrossSigning({});
    await until("alice knows the phone", async () => {
        const known = await s.alice.crypto.getUserDeviceInfo([phone.userId]);
        return known.get(phone.userId).has(phone.client.getDeviceId());
    });
    const eventId = await say(s.alice, s.secret, "over sliding sync");
    assert.equal(await phone.body(s.secret, eventId), "over sliding sync");
    const back = await say(phone, s.secret, "and back");
    assert.equal(await s.alice.body(s.secret, back), "and back");
    await s.alice.client.sendTyping(s.plain, true, 5000);
    const room = await phone.room(s.plain);
    await until("the phone sees alice type", () => room.getMember(s.alice.userId)?.typing);
    const { room_id: invitation } = await s.alice.client.createRoom({ invite: [phone.userId], name: "Come" });
    await until("the invitation", () => phone.client.getRoom(invitation)?.getMyMembership() === "invite");
    await phone.client.joinRoom(invitation);
    await until("joined", () => phone.client.getRoom(invitation)?.getMyMembership() === "join");
};

steps["profiles, directory and spaces"] = async (s) => {
    const { client } = s.alice;
    await client.setDisplayName("Alice");
    await until("bob sees the name", async () =>
        (await s.bob.room(s.plain)).getMember(s.alice.userId).rawDisplayName === "Alice");
    await client.setExtendedProfileProperty("m.tz", "Europe/Paris");
    assert.equal(await s.bob.client.getExtendedProfileProperty(s.alice.userId, "m.tz"), "Europe/Paris");
    const { room_id: open } = await client.createRoom({
        preset: "public_chat", visibility: "public", name: "Open", room_alias_name: "open",
    });
    const listed = await s.bob.client.publicRooms({ filter: { generic_search_term: "open" } });
    assert.deepEqual(listed.chunk.map((room) => room.room_id), [open]);
    const alias = `#open:${s.alice.client.getDomain()}`;
    assert.deepEqual((await client.getLocalAliases(open)).aliases, [alias]);
    assert.equal((await s.bob.client.getRoomSummary(alias)).name, "Open");
    const { room_id: space } = await client.createRoom({ name: "Space", creation_content: { type: "m.space" } });
    await client.sendStateEvent(space, "m.space.child", { via: [client.getDomain()] }, open);
    assert.deepEqual((await client.getRoomHierarchy(space)).rooms.map((room) => room.room_id), [space, open]);
    const people = await s.bob.client.searchUserDirectory({ term: "alice" });
    assert.deepEqual(people.results.map((user) => user.user_id), [s.alice.userId]);
    await until("they share rooms", async () =>
        (await client._unstable_getSharedRooms(s.bob.userId)).includes(s.plain));
};

steps["settings, rules and devices"] = async (s) => {
    const { client } = s.alice;
    await client.setRoomMutePushRule("global", s.plain, true);
    await until("muted", async () =>
        (await client.getPushRules()).global.room.concat((await client.getPushRules()).global.override)
            .some((rule) => rule.rule_id === s.plain));
    await client.setRoomTag(s.plain, "m.favourite", { order: 0.5 });
    assert.deepEqual((await client.getRoomTags(s.plain)).tags, { "m.favourite": { order: 0.5 } });
    await client.setIgnoredUsers(["@nobody:example.org"]);
    await until("ignored", () => client.getIgnoredUsers().length === 1);
    await client.setPusher({
        app_id: "app", app_display_name: "App", device_display_name: "Phone", pushkey: "key", kind: "http",
        lang: "en", data: { url: "https://push.example.org/_matrix/push/v1/notify" },
    });
    assert.deepEqual((await client.getPushers()).pushers.map((pusher) => pusher.pushkey), ["key"]);
    await client.removePusher("key", "app");
    await client.deleteAccountData("m.ignored_user_list");
    s.second.stop();
    const other = s.second.client.getDeviceId();
    await client.setDeviceDetails(other, { display_name: "Laptop" });
    assert.equal((await client.getDevice(other)).display_name, "Laptop");
    await withPassword(s.alice.userId)((auth) => client.deleteMultipleDevices([other], auth ?? undefined));
    assert.ok(!(await client.getDevices()).devices.some((device) => device.device_id === other));
};

steps["everything else that a client asks for"] = async (s) => {
    const { client } = s.alice;
    await client.getCapabilities();
    await client.getOpenIdToken();
    await client.getThreePids();
    await client.getThirdpartyProtocols();
    assert.deepEqual(await client.turnServer(), {});
    await client.getJoinedRooms();
    await client.setPresence({ presence: "online", status_msg: "here" });
    assert.equal((await s.bob.client.getPresence(s.alice.userId)).status_msg, "here");
    const moment = await client.timestampToEvent(s.plain, 0, "f");
    assert.ok(moment.event_id);
    await client.reportRoom(s.plain, "too plain");
    await client.reportEvent(s.plain, s.first, -100, "too rare");
    const delayed = await client._unstable_sendDelayedEvent(
        s.plain, { delay: 60_000 }, null, "m.room.message", { msgtype: "m.text", body: "later" });
    await client._unstable_sendScheduledDelayedEvent(delayed.delay_id);
    await client.getAuthMetadata().catch(() => null);
    await client._unstable_getRTCTransports().catch(() => null);
    const { login_token: token } = await withPassword(s.alice.userId)(
        (auth) => client.requestLoginToken(auth ?? undefined)).catch(() => ({}));
    assert.ok(token === undefined || (await s.alice.client.loginRequest({ type: "m.login.token", token })).user_id);
    const { replacement_room: upgraded } = await client.upgradeRoom(s.plain, "12");
    await client.invite(upgraded, s.bob.userId);
    await s.bob.client.joinRoom(upgraded);
    const old = await s.bob.room(s.plain);
    await until("the old room has a tombstone", () => old.currentState.getStateEvents("m.room.tombstone", ""));
    assert.equal((await s.bob.room(upgraded)).findPredecessor().roomId, s.plain);
};

steps["a changed password and the end of the session"] = async (s) => {
    const changed = await withPassword(s.bob.userId)(
        (auth) => s.bob.client.setPassword(auth, `${PASSWORD} staple`, false));
    assert.deepEqual(changed, {});
    await s.bob.client.logout(true);
    await assert.rejects(s.bob.client.whoami(), { errcode: "M_UNKNOWN_TOKEN" });
};
