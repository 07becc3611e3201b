// SPDX-License-Identifier: Apache-2.0
// Tests of the browser client in Node.js against a gateway: tokens, limits, pushes, drains. PARLEY_EXECUTABLE is the gateway.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import { createRequire } from "node:module";
import test, { after } from "node:test";
import { Parley, WORDS } from "../../Sources/ParleyJS/parley.js";
import { Gateway } from "./gateway.mjs";

const WebSocket = globalThis.WebSocket ?? createRequire(import.meta.url)("/usr/share/nodejs/ws");
const executable = process.env.PARLEY_EXECUTABLE ?? ".build/release/parley";
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const gateways = [];
const clients = [];
const unhandled = [];
process.on("unhandledRejection", (error) => unhandled.push(error));

async function start(flags) {
  const gateway = await Gateway.make(executable, flags);
  gateways.push(gateway);
  return gateway;
}

function connect(gateway, options = {}) {
  const parley = new Parley(`ws://127.0.0.1:${gateway.port}/v1/ws`, { WebSocket, ...options });
  clients.push(parley);
  const events = [];
  for (const type of ["state", "advice", "error", "lost", "push", "session", "message"]) {
    parley.addEventListener(type, ({ detail }) => events.push({ type, detail }));
  }
  return { parley, of: (type) => events.filter((event) => event.type === type).map(({ detail }) => detail) };
}

after(async () => {
  await Promise.all(clients.map((parley) => parley.close()));
  await Promise.all(gateways.map((gateway) => gateway.kill()));
  assert.deepEqual(unhandled, []);
});

const secret = "a secret of the tests that is long enough";
/** A token whose times are those of the gateway's clock. */
function mint(seconds, claims = {}) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: "ada", iat: now, exp: now + seconds, ...claims })}`;
  return `${signed}.${crypto.createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

test("a token that expires during a conversation is renewed without a new connection, whatever the client's clock says", async () => {
  const gateway = await start({ "auth.mode": "jwt", "auth.secret": secret, "auth.leeway": "0s" });
  let calls = 0;
  const clock = {
    now: () => performance.now(), wall: () => Date.now() + 3_600_000, random: Math.random, setTimeout: (run, ms) => setTimeout(run, ms),
    clearTimeout: (timer) => clearTimeout(timer),
  };
  const { parley, of } = connect(gateway, {
    clock,
    token: async () => {
      calls++;
      return mint(3);
    },
  });
  for (let n = 0; n < 16; n++) {
    assert.equal(await parley.say(`message ${n}`), `message ${n}`);
    await sleep(500);
  }
  assert.ok(calls >= 4, `${calls} tokens`);
  assert.equal(parley.stats().connects, 1);
  assert.deepEqual(of("error"), []);
});

test("without a fresh token, the client asks people to sign in", async () => {
  const gateway = gateways[0];
  const expired = mint(-10);
  let calls = 0;
  const { parley, of } = connect(gateway, {
    token: async () => {
      calls++;
      return expired;
    },
  });
  const reply = parley.say("x");
  await assert.rejects(reply.text, { code: "token_expired", class: "auth" });
  assert.equal(calls, 2);
  assert.equal(parley.state, "closed");
  assert.equal(parley.advice, WORDS.sign_in);
  assert.equal(of("state").at(-1).error.closeCode, 4501);
  const denied = connect(gateway, { token: mint(60, { parley: { paths: ["/other"] } }) });
  await assert.rejects(denied.parley.say("x").text, { code: "forbidden", class: "auth" });
  assert.equal(denied.parley.advice, WORDS.not_allowed);
});

test("more texts and audio than the limits allow are all delivered, later", async () => {
  const gateway = await start({ "limits.text_per_minute": "240", "limits.audio_realtime_factor": "1.5" });
  const { parley } = connect(gateway);
  const texts = Array.from({ length: 70 }, (_, n) => `text ${n}`);
  const replies = texts.map((text) => parley.say(text));
  assert.deepEqual(await Promise.all(replies), texts);
  assert.equal(parley.stats().connects, 1);
  assert.ok(replies.some(({ timing }) => timing.ackMs > 500), "some had to wait");
  async function* source() {
    for (let n = 0; n < 80; n++) yield new Int16Array(1600).fill(900);
  }
  const { reply } = parley.listen({ source: source() });
  const begun = performance.now();
  await reply;
  assert.match(reply.transcript, /^8\.0 s of pcm16/);
  assert.ok(performance.now() - begun > 1500, "8 s of audio at 1.5 times real time take more than 2 s");
});

test("a push arrives as an event", async () => {
  const gateway = gateways.at(-1);
  const { parley, of } = connect(gateway);
  await parley.say("x");
  const push = (text) =>
    fetch(`http://127.0.0.1:${gateway.operationsPort}/v1/sessions/${parley.sessionId}/messages`, { method: "POST", body: JSON.stringify({ type: "text", text }) });
  assert.equal((await push("first")).status, 202);
  while (!of("push").length) await sleep(10);
  assert.equal(of("push")[0].text, "first");
});

test("at the maximum age of a connection the client comes back in time, and loses nothing", async () => {
  const gateway = await start({ "connections.max_age": "2s" });
  const { parley, of } = connect(gateway);
  for (let n = 0; n < 30; n++) {
    assert.equal(await parley.say(`message ${n}`), `message ${n}`);
    await sleep(150);
  }
  assert.ok(parley.stats().resumes >= 2, JSON.stringify(parley.stats()));
  assert.ok(of("message").some(({ type, reason }) => type === "goaway" && reason === "connection_age"));
  assert.deepEqual(of("lost"), []);
});

test("an operator who ends the session ends the client, which says so", async () => {
  const gateway = gateways.at(-1);
  const { parley } = connect(gateway);
  await parley.say("x");
  const response = await fetch(`http://127.0.0.1:${gateway.operationsPort}/v1/sessions/${parley.sessionId}`, { method: "DELETE" });
  assert.ok(response.ok, String(response.status));
  while (parley.state !== "closed") await sleep(10);
  assert.equal(parley.advice, WORDS.ended);
});

test("a session whose gateway forgot it is told as lost; later messages go on", async () => {
  const gateway = await start();
  const { parley, of } = connect(gateway);
  await parley.say("x");
  await gateway.kill();
  await gateway.start();
  assert.equal(await parley.say("y"), "y");
  assert.deepEqual(of("lost").map(({ reason }) => reason), ["unknown"]);
  assert.equal(of("session").at(-1).resumed, false);
});

test("when the gateway is gone for good, the client gives up with the right words", async () => {
  const gateway = await start();
  const { parley, of } = connect(gateway, { backoffMs: 5, backoffCapMs: 100 });
  await parley.say("x");
  await gateway.kill();
  const reply = parley.say("y");
  await assert.rejects(reply.text, { code: "gave_up", class: "network", retryable: true });
  assert.equal(parley.advice, WORDS.gave_up);
  // The first connection wasn't stable, so that its attempt counts.
  assert.equal(of("state").filter(({ state }) => state === "connecting").length, 10);
  await gateway.start();
  parley.reconnect();
  assert.equal(await parley.say("z"), "z");
});
