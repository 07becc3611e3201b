// SPDX-License-Identifier: Apache-2.0
// Tests of the browser client's logic with a WebSocket and a clock of the tests: node --test unit.mjs
import assert from "node:assert/strict";
import fs from "node:fs";
import test from "node:test";
import { Resampler, Vad, decode } from "../../Sources/ParleyJS/parley-audio.js";
import { CODES, Parley, ParleyError, WORDS } from "../../Sources/ParleyJS/parley.js";

/** Time that passes only when a test says so. */
class TestClock {
  time = 0;
  #offset = 1_700_000_000_000;
  #timers = new Map();
  #next = 1;
  random = () => 0.5;
  now = () => this.time;
  wall = () => this.time + this.#offset;
  setTimeout = (run, ms) => {
    this.#timers.set(this.#next, { at: this.time + ms, run });
    return this.#next++;
  };
  clearTimeout = (timer) => this.#timers.delete(timer);

  /** The computer sleeps: the wall clock moves, timers don't. */
  sleep(ms) {
    this.#offset += ms;
  }

  async advance(ms) {
    const end = this.time + ms;
    for (;;) {
      await settle();
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) break;
      this.#timers.delete(due[0]);
      this.time = Math.max(this.time, due[1].at);
      due[1].run();
    }
    this.time = end;
    await settle();
  }
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

/** Waits for something that takes real time, such as loading a module. */
async function until(condition) {
  for (let tries = 0; !condition(); tries++) {
    assert.ok(tries < 500, `never: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

class TestSocket {
  static all = [];
  readyState = 0;
  bufferedAmount = 0;
  sent = [];
  binary = [];
  constructor(url, protocols) {
    this.url = new URL(url);
    this.protocols = protocols;
    TestSocket.all.push(this);
  }
  send(data) {
    assert.equal(this.readyState, 1);
    if (typeof data === "string") this.sent.push(JSON.parse(data));
    else this.binary.push(data);
  }
  close() {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose?.({ code: 1000, reason: "" });
  }
  // The gateway's side.
  receive(message) {
    this.onmessage({ data: message instanceof Uint8Array ? message.buffer : JSON.stringify(message) });
  }
  open(session = {}) {
    this.readyState = 1;
    this.receive({
      type: "session", session_id: "s1", resume_token: `token${TestSocket.all.length}`, resumed: false, lost: false, last_seq: 0,
      expires_at: 1, heartbeat_ms: 30000, limits: { "limits.audio_realtime_factor": 1.5 }, protocol: "parley.v1", ...session,
    });
    return this;
  }
  resume(more = {}) {
    return this.open({ resumed: true, ...more });
  }
  fail(code = 1006, reason = "") {
    this.readyState = 3;
    this.onclose({ code, reason });
  }
  types() {
    return this.sent.map(({ type }) => type);
  }
  of(type) {
    return this.sent.filter((message) => message.type === type);
  }
}

const last = () => TestSocket.all.at(-1);

/** A client with the test's clock and socket; `events` records what it emits. */
function make(options = {}) {
  TestSocket.all = [];
  const clock = new TestClock();
  const parley = new Parley("wss://gateway.example/v1/ws", { WebSocket: TestSocket, clock, ...options });
  const events = [];
  for (const type of ["state", "advice", "error", "lost", "delta", "message", "push", "reply", "session"]) {
    parley.addEventListener(type, ({ detail }) => events.push({ type, detail }));
  }
  const of = (type) => events.filter((event) => event.type === type).map(({ detail }) => detail);
  return { parley, clock, events, of };
}

async function opened(options) {
  const made = make(options);
  await settle();
  last().open();
  return made;
}

const answer = (socket, id, seq, text, more = {}) => socket.receive({ type: "text", seq, reply_to: id, text, final: true, done: true, ...more });

test("the table lists every code of the protocol, each with words", () => {
  const page = fs.readFileSync(new URL("../../Sources/GatewayServer/Documentation.docc/Protocol.md", import.meta.url), "utf8");
  const errors = page.slice(page.indexOf("### Error codes"), page.indexOf("**Violations**"));
  const closes = page.slice(page.indexOf("### Close codes"), page.indexOf("## Client messages"));
  const statuses = page.slice(page.indexOf("### HTTP errors"), page.indexOf("### In-band errors"));
  const codes = [
    ...errors.split("\n").filter((line) => line.startsWith("| `")).flatMap((line) => [...line.split("|")[1].matchAll(/`(\w+)`/g)].map((match) => match[1])),
    ...[...closes.matchAll(/^\| (\d{4}) /gm)].map((match) => match[1]),
    ...[...statuses.matchAll(/^\| (\d{3}) /gm)].map((match) => match[1]),
    "1001", "1003", "1006",
  ].filter((code) => code !== "done");
  assert.ok(codes.length > 60, String(codes.length));
  for (const code of codes) assert.ok(CODES[code], `${code} is missing`);
  for (const [code, row] of Object.entries(CODES)) {
    assert.match(row.class, /^(network|auth|server|protocol|policy)$/, code);
    assert.match(row.strategy, /^(none|resend|reconnect|backoff|refresh|new_session|stop)$/, code);
    assert.ok(WORDS[row.words], `${code}: no words for ${row.words}`);
  }
});

test("a text is sent when the session is open, its deltas are iterated and its text awaited", async () => {
  const { parley, of } = make({ token: async () => "jwt" });
  const reply = parley.say("hello", { lang: "en", meta: { a: "b" } });
  await settle();
  assert.deepEqual(last().protocols, ["parley.v1", "bearer.jwt"]);
  assert.equal(last().url.search, "?errors=inband");
  last().open();
  assert.deepEqual(last().types(), ["ack", "ping", "text"]);
  const [text] = last().of("text");
  assert.deepEqual(text, { type: "text", text: "hello", lang: "en", meta: { a: "b" }, id: reply.id });
  last().receive({ type: "ack", id: reply.id });
  last().receive({ type: "text", seq: 1, reply_to: reply.id, text: "a", final: false });
  answer(last(), reply.id, 2, "b", { usage: { output_tokens: 2 } });
  const deltas = [];
  for await (const delta of reply) deltas.push(delta);
  assert.deepEqual(deltas, ["a", "b"]);
  assert.equal(await reply, "ab");
  assert.equal(reply.status, "done");
  assert.deepEqual(reply.last.usage, { output_tokens: 2 });
  assert.deepEqual(of("delta").map(({ text }) => text), ["a", "b"]);
  assert.equal(of("reply").length, 1);
});

test("a lone surrogate is replaced, so that the message is valid JSON", async () => {
  const { parley } = await opened();
  parley.say("a\ud800b");
  assert.equal(last().of("text")[0].text, "a\ufffdb");
});

test("after a lost connection the session is resumed, and only messages without an ack are repeated", async () => {
  const { parley, clock, of } = await opened();
  const first = parley.say("one");
  const second = parley.say("two");
  last().receive({ type: "ack", id: first.id });
  last().receive({ type: "text", seq: 1, reply_to: first.id, text: "o", final: false });
  last().fail();
  assert.equal(parley.state, "waiting");
  await clock.advance(250);
  assert.equal(TestSocket.all.length, 2);
  assert.deepEqual(last().protocols, ["parley.v1", "resume.token1"]);
  assert.equal(last().url.searchParams.get("last_seq"), "1");
  last().resume();
  assert.deepEqual(last().of("ack"), [{ type: "ack", seq: 1 }]);
  assert.deepEqual(last().of("text").map(({ id }) => id), [second.id]);
  last().receive({ type: "ack", id: second.id, duplicate: true });
  answer(last(), first.id, 2, "ne");
  answer(last(), second.id, 3, "two");
  assert.equal(await first, "one");
  assert.equal(await second, "two");
  assert.deepEqual(of("lost"), []);
  assert.equal(parley.stats().resent, 1);
  assert.equal(parley.stats().resumes, 1);
});

test("a message that arrives twice is delivered once; binary messages count", async () => {
  const { parley, of } = await opened();
  const reply = parley.say("x", { output: "audio" });
  const format = { codec: "pcm16", rate: 16000, channels: 1 };
  last().receive({ type: "text", seq: 1, reply_to: reply.id, text: "a", final: true });
  last().receive({ type: "text", seq: 1, reply_to: reply.id, text: "a", final: true });
  last().receive({ type: "audio", seq: 2, reply_to: reply.id, format });
  last().receive(new Uint8Array(4));
  last().receive(new Uint8Array(6));
  last().receive({ type: "audio", seq: 4, reply_to: reply.id, format, final: true });
  last().receive({ type: "audio", seq: 5, reply_to: reply.id, format, final: true, done: true });
  assert.equal(await reply, "a");
  assert.equal(parley.stats().duplicates, 2);
  assert.equal(of("delta").length, 1);
  const sizes = [];
  for await (const chunk of reply.audio) sizes.push(chunk.length);
  assert.deepEqual(sizes, [4, 6]);
});

test("messages are acknowledged after 32 or after half a second", async () => {
  const { parley, clock } = await opened();
  const reply = parley.say("x");
  for (let seq = 1; seq <= 33; seq++) last().receive({ type: "text", seq, reply_to: reply.id, text: "a", final: false });
  assert.deepEqual(last().of("ack").map(({ seq }) => seq), [0, 32]);
  await clock.advance(499);
  assert.equal(last().of("ack").length, 2);
  await clock.advance(1);
  assert.deepEqual(last().of("ack").map(({ seq }) => seq), [0, 32, 33]);
});

test("a session that couldn't be resumed fails accepted requests, and repeats the others in the new one", async () => {
  const { parley, clock, of } = await opened();
  const accepted = parley.say("one");
  const open = parley.say("two");
  last().receive({ type: "ack", id: accepted.id });
  last().receive({ type: "text", seq: 1, reply_to: accepted.id, text: "o", final: false });
  last().fail();
  await clock.advance(250);
  last().open({ session_id: "s2", lost: true, resume_error: "unknown" });
  assert.equal(accepted.status, "error");
  assert.equal(accepted.error.code, "lost");
  assert.equal(accepted.error.class, "server");
  assert.deepEqual(of("lost"), [{ reason: "unknown", ids: [accepted.id] }]);
  assert.deepEqual(last().of("ack"), [{ type: "ack", seq: 0 }]);
  assert.deepEqual(last().of("text").map(({ id }) => id), [open.id]);
  answer(last(), open.id, 1, "two");
  assert.equal(await open, "two");
  assert.equal(await accepted.text.catch(() => accepted.partial), "o");
});

test("after a loss in a resumed session, a repeated message that had been accepted fails as well", async () => {
  const { parley, clock, of } = await opened();
  const accepted = parley.say("one");
  const doubtful = parley.say("two");
  last().receive({ type: "ack", id: accepted.id });
  last().fail();
  const later = parley.say("three");
  await clock.advance(250);
  last().resume({ lost: true, last_seq: 9 });
  assert.equal(accepted.error.code, "lost");
  assert.deepEqual(of("lost"), [{ reason: "outbox", ids: [accepted.id] }]);
  last().receive({ type: "ack", id: doubtful.id, duplicate: true });
  assert.equal(doubtful.error.code, "lost");
  last().receive({ type: "ack", id: later.id });
  answer(last(), later.id, 10, "three");
  assert.equal(await later, "three");
});

test("the delay before an attempt is random up to a limit that doubles, and the client gives up after ten", async () => {
  const { parley, clock, of } = make();
  clock.random = () => 0.999999;
  const reply = parley.say("x");
  await settle();
  for (let attempt = 1; attempt <= 10; attempt++) {
    assert.equal(TestSocket.all.length, attempt);
    last().fail();
    if (attempt === 10) break;
    const { retryInMs } = of("state").at(-1);
    assert.equal(retryInMs, Math.min(30000, 250 * 2 ** attempt));
    await clock.advance(retryInMs);
  }
  assert.equal(parley.state, "closed");
  assert.equal(reply.error.code, "gave_up");
  assert.equal(reply.error.class, "network");
  assert.equal(parley.advice, "The service can't be reached. Check your connection and try again.");
  assert.equal(parley.say("y").error.code, "closed");
  await clock.advance(100000);
  assert.equal(TestSocket.all.length, 10);
  parley.reconnect();
  await settle();
  last().open();
  assert.equal(parley.state, "open");
  assert.equal(parley.advice, "");
});

test("a stable minute clears the count of attempts; a connection of 12 s takes two off", async () => {
  const { parley, clock, of } = await opened();
  for (let n = 0; n < 5; n++) {
    last().fail();
    await clock.advance(of("state").at(-1).retryInMs);
  }
  last().resume();
  assert.equal(parley.stats().attempts, 6);
  const pong = () => last().receive({ type: "pong", id: last().of("ping").at(-1).id });
  pong();
  await clock.advance(12000);
  last().fail();
  assert.equal(parley.stats().attempts, 4);
  await clock.advance(of("state").at(-1).retryInMs);
  last().resume();
  pong();
  for (let n = 0; n < 2; n++) {
    await clock.advance(30000);
    pong();
  }
  last().fail();
  assert.equal(parley.stats().attempts, 0);
});

test("the time that the gateway asks for is the least delay", async () => {
  const { parley, clock, of } = make();
  await settle();
  last().readyState = 1;
  last().receive({ type: "error", error: { code: "overloaded", message: "full", retryable: true, retry_after_ms: 5000, fatal: true } });
  last().fail(1013, "overloaded 01K");
  assert.equal(parley.state, "waiting");
  assert.equal(of("state").at(-1).retryInMs, 5000);
  assert.equal(parley.advice, "The service is busy. Trying again.");
  await clock.advance(4999);
  assert.equal(TestSocket.all.length, 1);
  await clock.advance(1);
  assert.equal(TestSocket.all.length, 2);
});

test("close codes that say so end the client, with a reason", async () => {
  for (const [code, kind, words] of [
    [4503, "policy", "elsewhere"], [4504, "policy", "elsewhere"], [4505, "policy", "violations"], [4506, "policy", "ended"],
    [4507, "policy", "ended"],
  ]) {
    const { parley, clock } = await opened();
    const reply = parley.say("x");
    // 4504 is preceded by an error that asks for another strategy before a session.
    if (code === 4504) last().receive({ type: "error", error: { code: "connection_limit", message: "m", retryable: false, fatal: true } });
    last().fail(code, "");
    assert.equal(parley.state, "closed", String(code));
    assert.equal(reply.error.class, kind);
    assert.equal(reply.error.closeCode, code);
    assert.equal(parley.advice, WORDS[words]);
    await clock.advance(60000);
    assert.equal(TestSocket.all.length, 1);
  }
});

test("a takeover by an own attempt that was given up leads to a resume", async () => {
  const { parley, clock } = make();
  await clock.advance(10000);
  await clock.advance(500);
  assert.equal(TestSocket.all.length, 2);
  last().open();
  last().fail(4503);
  assert.equal(parley.state, "waiting");
  await clock.advance(1000);
  last().resume();
  await clock.advance(1000);
  last().receive({ type: "pong", id: last().of("ping").at(-1).id });
  await clock.advance(30000);
  last().receive({ type: "pong", id: last().of("ping").at(-1).id });
  await clock.advance(30000);
  last().fail(4503);
  assert.equal(parley.state, "closed");
});

test("until the gateway has confirmed a token, the one before it is tried again, once", async () => {
  const { parley, clock } = await opened();
  const reply = parley.say("x");
  last().receive({ type: "ack", id: reply.id });
  last().fail();
  await clock.advance(1000);
  last().resume({ resume_token: "second" });
  last().fail();
  await clock.advance(1000);
  assert.deepEqual(last().protocols.slice(1), ["resume.second"]);
  // A late attempt with the first token had the second one replaced.
  const superfluous = last();
  superfluous.open({ resume_error: "unknown", lost: true });
  assert.deepEqual(superfluous.types(), ["bye"]);
  await clock.advance(0);
  assert.deepEqual(last().protocols.slice(1), ["resume.token1"]);
  last().resume({ resume_token: "fourth" });
  assert.equal(reply.ended, false);
  // The pong confirms the token.
  last().receive({ type: "pong", id: last().of("ping").at(-1).id });
  last().fail();
  await clock.advance(5000);
  last().open({ resume_error: "unknown", lost: true });
  assert.equal(reply.error.code, "lost");
  assert.equal(parley.state, "open");
});

test("an expired session is replaced by a new one", async () => {
  const { parley, clock } = await opened();
  const accepted = parley.say("x");
  last().receive({ type: "ack", id: accepted.id });
  last().receive({ type: "error", error: { code: "session_expired", message: "m", retryable: false, fatal: true } });
  last().fail(4502, "session_expired 01K");
  assert.equal(accepted.error.code, "lost");
  await clock.advance(250);
  assert.deepEqual(last().protocols, ["parley.v1"]);
  assert.equal(last().url.searchParams.has("last_seq"), false);
});

test("a rejected token is replaced once, then the client closes", async () => {
  let calls = 0;
  const { parley, clock } = make({ token: async () => `jwt${++calls}` });
  await settle();
  last().readyState = 1;
  const reject = () => {
    last().receive({ type: "error", error: { code: "token_expired", message: "m", retryable: false, fatal: true } });
    last().fail(4501, "token_expired 01K");
  };
  reject();
  assert.equal(parley.state, "waiting");
  await clock.advance(500);
  assert.deepEqual(last().protocols, ["parley.v1", "bearer.jwt2"]);
  last().readyState = 1;
  reject();
  assert.equal(parley.state, "closed");
  assert.equal(parley.advice, "Your sign-in isn't valid. Please sign in again.");
});

test("a token that can't be replaced, and a denied origin, close the client at once", async () => {
  for (const [token, code] of [["fixed", "unauthorized"], [async () => "x", "origin_denied"], [async () => "x", "forbidden"]]) {
    const { parley } = make({ token });
    await settle();
    last().readyState = 1;
    last().receive({ type: "error", error: { code, message: "m", retryable: false, fatal: true } });
    last().fail(4500, `${code} 01K`);
    assert.equal(parley.state, "closed", code);
  }
});

test("a token function that fails is called again", async () => {
  let calls = 0;
  const { parley, clock } = make({
    token: async () => {
      if (++calls === 1) throw new Error("offline");
      return "jwt";
    },
  });
  await settle();
  assert.equal(parley.state, "waiting");
  assert.equal(TestSocket.all.length, 0);
  await clock.advance(500);
  last().open();
  assert.equal(parley.state, "open");
});

test("an expiring token is renewed in the open connection, and the clock doesn't matter", async () => {
  let calls = 0;
  const { parley, clock, of } = await opened({ token: async () => `jwt${++calls}` });
  clock.sleep(3_600_000);
  last().receive({ type: "goaway", reason: "token_expiring", deadline_ms: 60000 });
  await settle();
  assert.deepEqual(last().of("auth"), [{ type: "auth", token: "jwt2" }]);
  last().receive({ type: "auth", expires_at: 12 });
  last().receive({ type: "error", error: { code: "unauthorized", message: "m", retryable: false, fatal: false } });
  assert.equal(of("error").at(-1).error.class, "auth");
  assert.equal(parley.state, "open");
  assert.equal(TestSocket.all.length, 1);
});

test("before the deadline of a goaway, the client connects again and resumes", async () => {
  const { parley, clock } = await opened();
  last().receive({ type: "goaway", reason: "connection_age", deadline_ms: 10000 });
  await clock.advance(3999);
  assert.equal(TestSocket.all.length, 1);
  await clock.advance(2);
  assert.equal(TestSocket.all.length, 2);
  last().resume();
  assert.equal(parley.state, "open");
});

test("a rejected message is sent again after its time, then one at a time until the gateway accepts", async () => {
  const { parley, clock } = await opened();
  const replies = ["a", "b", "c"].map((text) => parley.say(text));
  assert.equal(last().of("text").length, 3);
  last().receive({ type: "ack", id: replies[0].id });
  for (const { id } of replies.slice(1)) {
    last().receive({ type: "error", reply_to: id, error: { code: "rate_limited", message: "m", reply_to: id, retryable: true, retry_after_ms: 2000, fatal: false } });
  }
  const later = parley.say("d");
  await clock.advance(1999);
  assert.equal(last().of("text").length, 3);
  await clock.advance(1);
  assert.deepEqual(last().of("text").slice(3).map(({ id }) => id), [replies[1].id]);
  last().receive({ type: "ack", id: replies[1].id });
  assert.deepEqual(last().of("text").slice(4).map(({ id }) => id), [replies[2].id, later.id]);
});

test("a rejection that names no message leads to a resume, which repeats what wasn't accepted", async () => {
  const { parley, clock } = await opened();
  const reply = parley.say("a");
  last().receive({ type: "error", error: { code: "rate_limited", message: "m", retryable: true, retry_after_ms: 1000, fatal: false } });
  assert.equal(parley.state, "waiting");
  await clock.advance(1000);
  last().resume();
  assert.deepEqual(last().of("text").map(({ id }) => id), [reply.id]);
});

test("other rejections and a used up quota fail the request only", async () => {
  const { parley } = await opened();
  for (const [code, kind, after] of [["message_too_large", "policy"], ["quota_exceeded", "policy", 7_200_000], ["forbidden", "auth"]]) {
    const reply = parley.say("a");
    last().receive({
      type: "error", reply_to: reply.id,
      error: { code, message: "m", reply_to: reply.id, retryable: false, retry_after_ms: after, correlation_id: "01K", fatal: false },
    });
    assert.equal(reply.error.code, code);
    assert.equal(reply.error.class, kind);
    assert.equal(reply.error.correlationId, "01K");
    assert.equal(reply.error.retryAfterMs, after);
    await assert.rejects(async () => {
      for await (const _ of reply);
    }, ParleyError);
  }
  assert.equal(parley.state, "open");
});

test("a message that is fatal isn't repeated after the resume", async () => {
  const { parley, clock } = await opened();
  const reply = parley.say("a");
  last().receive({ type: "error", reply_to: reply.id, error: { code: "internal", message: "m", retryable: false, fatal: true } });
  last().fail(1011);
  assert.equal(reply.status, "error");
  await clock.advance(1000);
  last().resume();
  assert.deepEqual(last().of("text"), []);
});

test("beyond 100 messages or 1 MB, texts are rejected with queue_full", async () => {
  const { parley, clock } = make();
  const replies = Array.from({ length: 101 }, (_, number) => parley.say(`${number}`));
  assert.equal(replies[99].status, "pending");
  assert.equal(replies[100].error.code, "queue_full");
  assert.equal(replies[100].error.class, "policy");
  const other = make();
  other.parley.say("x".repeat(600_000));
  assert.equal(other.parley.say("x".repeat(600_000)).error.code, "queue_full");
  void clock;
});

test("two missing pongs end the connection; one doesn't", async () => {
  const { parley, clock } = await opened();
  await clock.advance(5000);
  assert.equal(last().of("ping").length, 2);
  last().receive({ type: "pong", id: last().of("ping")[1].id });
  assert.equal(parley.stats().lostPongs, 1);
  await clock.advance(30000);
  assert.equal(last().of("ping").length, 3);
  await clock.advance(9999);
  assert.equal(parley.state, "open");
  await clock.advance(1);
  assert.equal(parley.state, "waiting");
  assert.equal(parley.stats().lostPongs, 3);
});

test("messages that arrive in place of the pong keep the connection for a while", async () => {
  const { parley, clock } = await opened();
  for (let n = 1; n <= 4; n++) {
    last().receive({ type: "goaway", reason: "session_expires", deadline_ms: 1 });
    await clock.advance(5000);
  }
  assert.equal(parley.state, "open");
  await clock.advance(11000);
  assert.notEqual(parley.state, "open");
});

test("round trip and jitter are measured, and a slow connection is said", async () => {
  const { parley, clock } = await opened();
  const pong = () => last().receive({ type: "pong", id: last().of("ping").at(-1).id });
  await clock.advance(40);
  pong();
  assert.equal(parley.stats().rttMs, 40);
  await clock.advance(30000);
  await clock.advance(2000);
  pong();
  assert.equal(parley.stats().rttMs, 2000);
  assert.equal(parley.stats().jitterMs, 1960 / 16);
  assert.equal(parley.advice, "The connection is slow. Responses may be late.");
});

test("after five minutes of sleep, a dead connection is noticed in seconds", async () => {
  const { parley, clock } = await opened();
  last().receive({ type: "pong", id: last().of("ping")[0].id });
  clock.sleep(300_000);
  await clock.advance(2000);
  assert.equal(last().of("ping").length, 2);
  await clock.advance(2000);
  assert.equal(parley.state, "waiting");
});

test("what isn't a message of the protocol leads to a resume after the last one that was", async () => {
  for (const bad of ["{", "[]", "null", '{"type":1}', '{"type":"text","seq":-1}', '{"type":"text","seq":"2"}']) {
    const { parley, clock, of } = await opened();
    const reply = parley.say("a");
    last().receive({ type: "text", seq: 1, reply_to: reply.id, text: "a", final: false });
    last().onmessage({ data: bad });
    assert.equal(parley.state, "waiting", bad);
    assert.equal(of("error").at(-1).error.class, "protocol");
    await clock.advance(500);
    assert.equal(last().url.searchParams.get("last_seq"), "1");
  }
});

test("a message before `session` is refused", async () => {
  const { parley } = make();
  await settle();
  last().readyState = 1;
  last().receive({ type: "pong" });
  assert.equal(parley.state, "waiting");
});

test("no session within ten seconds is a failed attempt", async () => {
  const { parley, clock, of } = make();
  await clock.advance(10000);
  assert.equal(parley.state, "waiting");
  assert.equal(of("state").at(-1).error.code, "connect_timeout");
});

test("a proxy's 502 is told apart, where the WebSocket tells it", async () => {
  const { parley, of } = make();
  await settle();
  last().onerror({ message: "Unexpected server response: 502" });
  last().fail();
  assert.equal(of("state").at(-1).error.code, "502");
  assert.equal(parley.advice, "The network's proxy doesn't let the connection through.");
});

test("a cancelled response keeps its text; the gateway's last word is ignored", async () => {
  const { parley, of } = await opened();
  const reply = parley.say("x");
  last().receive({ type: "ack", id: reply.id });
  last().receive({ type: "text", seq: 1, reply_to: reply.id, text: "a", final: false });
  reply.cancel("enough");
  reply.cancel("enough");
  assert.deepEqual(last().of("cancel"), [{ type: "cancel", id: reply.id, reason: "enough" }]);
  assert.equal(reply.status, "cancelled");
  assert.equal(await reply, "a");
  last().receive({ type: "text", seq: 2, reply_to: reply.id, text: "b", final: false });
  last().receive({ type: "status", seq: 3, reply_to: reply.id, state: "cancelled", done: true });
  assert.equal(reply.partial, "a");
  assert.equal(of("reply").length, 1);
  assert.equal(parley.stats().pending, 0);
});

test("a cancellation without a connection is sent after the resume, and not at all if nothing was sent", async () => {
  const { parley, clock } = await opened();
  const sent = parley.say("x");
  last().fail();
  const unsent = parley.say("y");
  sent.cancel();
  unsent.cancel();
  await clock.advance(250);
  last().resume();
  assert.deepEqual(last().of("cancel").map(({ id }) => id), [sent.id]);
  assert.deepEqual(last().of("text"), []);
  last().receive({ type: "error", reply_to: sent.id, error: { code: "not_found", message: "m", reply_to: sent.id, retryable: false, fatal: false } });
  assert.equal(parley.stats().pending, 0);
});

test("close sends bye, fails what is unfinished, and closes", async () => {
  const { parley, of } = await opened();
  const reply = parley.say("x");
  const closing = parley.close();
  assert.deepEqual(last().types().at(-1), "bye");
  assert.equal(reply.error.code, "closed");
  last().fail(1000, "bye");
  await closing;
  assert.equal(parley.state, "closed");
  assert.deepEqual(of("error"), []);
  await parley.close();
});

test("close doesn't wait for a gateway that doesn't answer", async () => {
  const { parley, clock } = await opened();
  let isClosed = false;
  void parley.close().then(() => (isClosed = true));
  await clock.advance(999);
  assert.equal(isClosed, false);
  await clock.advance(1);
  assert.equal(isClosed, true);
});

test("events are iterated, until the client closes", async () => {
  const { parley } = await opened();
  const types = [];
  const reading = (async () => {
    for await (const { type } of parley.events()) types.push(type);
  })();
  await settle();
  const reply = parley.say("x");
  answer(last(), reply.id, 1, "x");
  const closing = parley.close();
  last().fail(1000);
  await closing;
  await reading;
  assert.deepEqual(types, ["delta", "message", "reply", "state", "advice"].filter((type) => types.includes(type)));
  assert.ok(types.includes("delta") && types.includes("state"));
});

test("a push is delivered once, also when it is repeated in another session", async () => {
  const { parley, clock, of } = await opened();
  last().receive({ type: "text", seq: 1, push: { id: "p1" }, text: "news", final: true });
  last().fail();
  await clock.advance(250);
  last().open({ session_id: "s2", lost: true, resume_error: "expired" });
  last().receive({ type: "text", seq: 1, push: { id: "p1" }, text: "news", final: true });
  last().receive({ type: "text", seq: 2, push: { id: "p2" }, text: "more", final: true });
  assert.deepEqual(of("push").map(({ text }) => text), ["news", "more"]);
  assert.equal(parley.stats().duplicates, 0);
});

test("a stored token resumes the session of an earlier page", async () => {
  const kept = new Map();
  const storage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: (key) => kept.delete(key) };
  const first = await opened({ storage });
  const reply = first.parley.say("x");
  answer(last(), reply.id, 1, "x");
  await first.clock.advance(500);
  const second = make({ storage });
  await settle();
  assert.deepEqual(last().protocols, ["parley.v1", "resume.token1"]);
  assert.equal(last().url.searchParams.get("last_seq"), "1");
  last().resume();
  const closing = second.parley.close();
  last().fail(1000);
  await closing;
  assert.equal(kept.size, 0);
});

test("without a network, the client says so and waits", async (context) => {
  const navigator = { onLine: true };
  Object.defineProperty(globalThis, "navigator", { value: navigator, configurable: true });
  context.after(() => delete globalThis.navigator);
  const { parley, clock } = await opened();
  navigator.onLine = false;
  last().fail();
  assert.equal(parley.state, "offline");
  assert.equal(parley.advice, "You are offline.");
  const reply = parley.say("x");
  assert.equal(parley.advice, "You are offline. Your message will be sent when you are back.");
  await clock.advance(29000);
  assert.equal(TestSocket.all.length, 1);
  navigator.onLine = true;
  await clock.advance(1000);
  last().resume();
  assert.deepEqual(last().of("text").map(({ id }) => id), [reply.id]);
});

test("the application's words replace the English ones", async () => {
  const { parley, clock } = await opened({ words: { reconnecting: "Verbindung verloren. Neuer Versuch in {seconds} s." } });
  clock.random = () => 0.99;
  for (let n = 0; n < 3; n++) {
    last().fail();
    if (n < 2) await clock.advance(5000);
  }
  assert.equal(parley.advice, "Verbindung verloren. Neuer Versuch in 2 s.");
});

test("typing is told once, and idle after five seconds without a key", async () => {
  const { parley, clock } = await opened();
  parley.typing();
  await clock.advance(4000);
  parley.typing();
  await clock.advance(4999);
  assert.deepEqual(last().of("status").map(({ state }) => state), ["typing"]);
  await clock.advance(1);
  parley.typing();
  assert.deepEqual(last().of("status").map(({ state }) => state), ["typing", "idle", "typing"]);
});

// Audio

const samples = (ms, value = 1000) => new Int16Array(16 * ms).fill(value);

/** A source that a test feeds. */
function feed() {
  const parts = [];
  let wake = () => {};
  let isEnded = false;
  return {
    push(part) {
      parts.push(part);
      wake();
    },
    end() {
      isEnded = true;
      wake();
    },
    async *[Symbol.asyncIterator]() {
      for (;;) {
        if (parts.length) yield parts.shift();
        else if (isEnded) return;
        else await new Promise((resolve) => (wake = resolve));
      }
    },
  };
}

test("a recording is opened with its first chunk, cut into chunks of 20 ms, and ended", async () => {
  const { parley } = await opened();
  const source = feed();
  const listening = parley.listen({ source, lang: "en", route: "talk" });
  await settle();
  assert.deepEqual(last().of("audio"), []);
  source.push(samples(30));
  source.push(samples(15));
  source.end();
  await until(() => last().of("audio").length === 2);
  const { id } = listening.reply;
  assert.deepEqual(last().of("audio"), [
    { type: "audio", format: { codec: "pcm16", rate: 16000, channels: 1 }, lang: "en", meta: { route: "talk" }, id },
    { type: "audio", id, final: true },
  ]);
  assert.deepEqual(last().binary.map(({ length }) => length), [640, 640, 160]);
  last().receive({ type: "ack", id, chunks: 0 });
  last().receive({ type: "ack", id, chunks: 3 });
  last().receive({ type: "transcript", seq: 1, reply_to: id, text: "hel", final: false });
  last().receive({ type: "transcript", seq: 2, reply_to: id, text: "hello", final: true });
  answer(last(), id, 3, "hi");
  const transcripts = [];
  for await (const { text, final } of listening) transcripts.push([text, final]);
  assert.deepEqual(transcripts, [["hel", false], ["hello", true]]);
  assert.equal(await listening.reply, "hi");
  assert.equal(listening.reply.transcript, "hello");
});

test("after a resume the recording continues with the chunk that the gateway lacks", async () => {
  const { parley, clock } = await opened();
  const source = feed();
  const { reply } = parley.listen({ source });
  source.push(samples(100, 1));
  await until(() => last().binary.length === 5);
  last().receive({ type: "ack", id: reply.id, chunks: 2 });
  last().fail();
  source.push(samples(40, 2));
  await settle();
  await clock.advance(250);
  last().resume({ open_audio: { id: reply.id, chunks: 3 } });
  assert.deepEqual(last().of("audio"), [{ type: "audio", id: reply.id, from: 4 }]);
  assert.equal(last().binary.length, 4);
  source.end();
  await until(() => last().of("audio").length === 2);
  assert.deepEqual(last().of("audio")[1], { type: "audio", id: reply.id, final: true });
});

test("a recording whose opening wasn't accepted begins again; one that is complete isn't repeated", async () => {
  const { parley, clock } = await opened();
  const source = feed();
  const { reply } = parley.listen({ source });
  source.push(samples(100));
  source.end();
  await until(() => last().of("audio").length === 2);
  last().fail();
  await clock.advance(250);
  last().resume();
  assert.equal(last().of("audio").length, 2);
  assert.equal(last().binary.length, 5);
  last().receive({ type: "ack", id: reply.id, chunks: 0 });
  last().receive({ type: "ack", id: reply.id, chunks: 5 });
  last().fail();
  await clock.advance(500);
  last().resume();
  assert.deepEqual(last().of("audio"), []);
  answer(last(), reply.id, 1, "ok");
  assert.equal(await reply, "ok");
});

test("a recording that the gateway has lost fails after the messages that follow the resume", async () => {
  const { parley, clock } = await opened();
  const source = feed();
  const { reply } = parley.listen({ source });
  source.push(samples(100));
  await until(() => last().binary.length === 5);
  last().receive({ type: "ack", id: reply.id, chunks: 0 });
  last().fail();
  await clock.advance(250);
  last().resume();
  assert.equal(reply.status, "pending");
  last().receive({ type: "pong", id: last().of("ping")[0].id });
  assert.equal(reply.error.code, "lost");
  assert.equal(last().binary.length, 0);
});

test("a chunk that was rejected is sent again after its time", async () => {
  const { parley, clock } = await opened();
  const source = feed();
  const { reply } = parley.listen({ source });
  source.push(samples(100));
  await until(() => last().binary.length === 5);
  last().receive({ type: "ack", id: reply.id, chunks: 0 });
  last().receive({
    type: "error", reply_to: reply.id, error: { code: "too_fast", message: "m", reply_to: reply.id, chunk: 4, retryable: true, retry_after_ms: 300, fatal: false },
  });
  await clock.advance(299);
  assert.equal(last().binary.length, 5);
  await clock.advance(100);
  assert.deepEqual(last().of("audio")[1], { type: "audio", id: reply.id, from: 4 });
  assert.equal(last().binary.length, 7);
});

test("a source is read no faster than the gateway accepts", async () => {
  const { parley, clock } = await opened();
  let read = 0;
  async function* source() {
    for (; read < 100; read++) yield samples(1000);
  }
  const { reply } = parley.listen({ source: source() });
  await until(() => read > 5);
  for (let n = 0; n < 20; n++) await settle();
  assert.ok(read < 15, `${read} s were read`);
  // The pace: four seconds at once, then a little less than 1.5 times real time.
  assert.equal(last().binary.length, 200 + 1);
  last().receive({ type: "ack", id: reply.id, chunks: 200 });
  await clock.advance(1000);
  assert.ok(Math.abs(last().binary.length - 271) < 4, `${last().binary.length} chunks`);
  reply.cancel();
});

test("audio beyond 30 s without a connection fails the recording", async () => {
  const { parley } = await opened();
  last().fail();
  const source = feed();
  const listening = parley.listen({ source, format: { codec: "opus", rate: 48000 } });
  // Packets count as 20 ms; the source isn't read beyond 10 s, so that only a microphone can overflow.
  for (let n = 0; n < 1600; n++) source.push(new Uint8Array(80));
  await until(() => listening.state === "speaking");
  for (let n = 0; n < 50; n++) await settle();
  assert.equal(listening.reply.status, "pending");
  const { Upload } = await import("../../Sources/ParleyJS/parley-audio.js");
  const failures = [];
  const host = { now: () => 0, maxAudioMs: () => 30000, pump() {}, fail: (_, code) => failures.push(code) };
  const upload = new Upload(host, { reply: {} }, { codec: "pcm16", rate: 16000 });
  for (let n = 0; n < 1500; n++) upload.add(new Uint8Array(640));
  assert.deepEqual(failures, []);
  upload.add(new Uint8Array(640));
  assert.deepEqual(failures, ["audio_dropped"]);
  listening.close();
  assert.equal(listening.reply.status, "cancelled");
});

test("a source that fails, fails its response", async () => {
  const { parley, of } = await opened();
  async function* source() {
    yield samples(20);
    throw new Error("unplugged");
  }
  const listening = parley.listen({ source: source() });
  await until(() => listening.reply.status === "error");
  assert.equal(listening.reply.error.code, "source_failed");
  assert.equal(listening.reply.error.cause.message, "unplugged");
  assert.equal(of("error").length, 1);
  assert.equal(last().of("cancel").length, 1);
});

test("a page without a microphone gets words for it", async () => {
  const { parley } = await opened();
  const listening = parley.listen();
  await until(() => listening.reply.status === "error");
  assert.equal(listening.reply.error.code, "microphone");
  assert.equal(listening.reply.error.text, WORDS.microphone);
});

test("the resampler keeps a tone and removes what the new rate can't hold", () => {
  for (const [from, to] of [[48000, 16000], [44100, 16000], [24000, 48000], [8000, 48000], [16000, 16000]]) {
    for (const [hertz, isKept] of [[440, true], [3000, true], [11000, false]]) {
      if (hertz > from / 2 || (!isKept && to > from)) continue;
      const resampler = new Resampler(from, to);
      const result = [];
      for (let begin = 0; begin < from; begin += 128) {
        result.push(...resampler.push(Float32Array.from({ length: 128 }, (_, n) => Math.sin((2 * Math.PI * hertz * (begin + n)) / from))));
      }
      assert.ok(Math.abs(result.length - to) < (130 * to) / Math.min(from, to), `${from} to ${to}: ${result.length}`);
      const middle = result.slice(to / 4, to / 2);
      const level = Math.sqrt(middle.reduce((sum, value) => sum + value * value, 0) / middle.length);
      if (isKept || from === to) assert.ok(Math.abs(level - Math.SQRT1_2) < 0.02, `${hertz} Hz, ${from} to ${to}: ${level}`);
      else assert.ok(level < 0.01, `${hertz} Hz, ${from} to ${to}: ${level}`);
    }
  }
});

test("pcm16, mulaw and alaw are decoded", () => {
  const near = (actual, expected) => actual.forEach((value, n) => assert.ok(Math.abs(value - expected[n]) < 1e-4, `${[...actual]}`));
  near(decode({ codec: "pcm16", rate: 16000 }, new Uint8Array([0, 0x40, 0, 0xc0])), [0.5, -0.5]);
  near(decode({ codec: "pcm16", rate: 16000, channels: 2 }, new Uint8Array([0, 0x40, 0, 0xc0])), [0]);
  near(decode({ codec: "mulaw", rate: 8000 }, new Uint8Array([0xff, 0x80, 0x00])), [0, 32124 / 32768, -32124 / 32768]);
  near(decode({ codec: "alaw", rate: 8000 }, new Uint8Array([0xd5, 0xaa, 0x2a])), [8 / 32768, 32256 / 32768, -32256 / 32768]);
});

test("speech is recognized above the noise, and a click isn't speech", () => {
  const vad = new Vad(0.01, 700);
  for (let n = 0; n < 100; n++) assert.equal(vad.push(0.003), false);
  assert.equal(vad.push(0.5), false);
  assert.equal(vad.push(0.003), false);
  const frames = Array.from({ length: 10 }, () => vad.push(0.1));
  assert.equal(frames.indexOf(true), 3);
  for (let n = 0; n < 34; n++) assert.equal(vad.push(0.003), true);
  assert.equal(vad.push(0.003), false);
  // A loud room: its noise becomes the floor.
  const loud = new Vad(0.01, 700);
  const answers = Array.from({ length: 200 }, () => loud.push(0.009));
  assert.ok(!answers.includes(true));
  assert.equal(loud.push(0.02), false);
});

const unhandled = [];
process.on("unhandledRejection", (error) => unhandled.push(error));
test("nothing was left unhandled", async () => {
  await settle();
  assert.deepEqual(unhandled, []);
});

test("a response that begins while the user speaks is played after the utterance; interrupted, it isn't played", async () => {
  const { Sound } = await import("../../Sources/ParleyJS/parley-audio.js");
  const posted = [];
  const sound = new Sound("", { failed: assert.fail, suspended() {}, played() {} });
  sound.output = async () => ({ port: { postMessage: (message) => posted.push(message) } });
  const settle = () => new Promise((resolve) => setTimeout(resolve, 0));
  const format = { codec: "pcm16", rate: 16000, channels: 1 };
  const names = () => posted.splice(0).map(({ id, end, stop }) => (stop ? "stop" : `${id}${end ? " end" : ""}`));

  sound.hold("a1");
  sound.play("a0", {}, format, new Uint8Array(4));
  sound.play("a1", {}, format, new Uint8Array(4));
  sound.end("a1");
  await settle();
  assert.deepEqual(names(), ["a0"]);
  sound.release("a1");
  await settle();
  assert.deepEqual(names(), ["a1", "a1 end"]);

  sound.hold("a2");
  sound.play("a2", {}, format, new Uint8Array(4));
  await sound.stop();
  sound.play("a2", {}, format, new Uint8Array(4));
  sound.release("a2");
  await settle();
  assert.deepEqual(names(), ["stop"]);
});
