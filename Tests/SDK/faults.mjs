// SPDX-License-Identifier: Apache-2.0
// Checks that no message is lost or shown twice when the network fails and the gateway is killed. Clients send texts and recordings through
// a proxy that injects faults; the gateway's loopback echoes the texts, so that each response can be compared.
//
//   node faults.mjs --executable .build/release/parley --faults 25 --seed 1
//   --scale 0.1       factor of the longest outage (30 s)
//   --socket builtin  the WebSocket of Node.js (--experimental-websocket) instead of the package `ws`
//   --mutate NAME     runs a copy of the client with a defect, which has to be found: dedupe, resend
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { Gateway } from "./gateway.mjs";
import { FaultProxy } from "./proxy.mjs";

const { values: options } = parseArgs({
  options: {
    executable: { type: "string", default: process.env.PARLEY_EXECUTABLE ?? ".build/release/parley" },
    faults: { type: "string", default: "25" },
    clients: { type: "string", default: "8" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
    scale: { type: "string", default: "0.1" },
    socket: { type: "string", default: "ws" },
    mutate: { type: "string" },
  },
});
const faults = Number(options.faults);
const scale = Number(options.scale);
console.log(`seed ${options.seed}, ${faults} faults, ${options.clients} clients, socket ${options.socket}`);

/** A generator of its own for each client and the faults (mulberry32): the same seed gives the same choices, though not the same timing. */
function generator(name) {
  let state = [...`${options.seed}/${name}`].reduce((hash, character) => Math.imul(hash ^ character.charCodeAt(0), 16777619), 2166136261);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296;
  };
}

const DEFECTS = {
  dedupe: [/if \(seq <= this\.#last\) return[^;]*;/, ""],
  resend: [/for \(const request of this\.#requests\.values\(\)\) request\.sent = false;/, ""],
};

async function loadClient() {
  const folder = new URL("../../Sources/ParleyJS/", import.meta.url);
  if (!options.mutate) return (await import(new URL("parley.js", folder))).Parley;
  const copy = fs.mkdtempSync(path.join(os.tmpdir(), "parley-sdk-js-mutant-"));
  const source = fs.readFileSync(new URL("parley.js", folder), "utf8");
  const mutant = source.replace(...DEFECTS[options.mutate]);
  if (mutant === source) throw new Error(`the client has no place for the defect ${options.mutate}`);
  fs.writeFileSync(path.join(copy, "package.json"), '{"type":"module"}');
  fs.writeFileSync(path.join(copy, "parley.js"), mutant);
  fs.copyFileSync(new URL("parley-audio.js", folder), path.join(copy, "parley-audio.js"));
  return (await import(pathToFileURL(path.join(copy, "parley.js")))).Parley;
}

const Parley = await loadClient();
const socketClass = options.socket === "ws" ? createRequire(import.meta.url)("/usr/share/nodejs/ws") : globalThis.WebSocket;
if (!socketClass) throw new Error("this Node.js has no WebSocket; run it with --experimental-websocket");

const violations = [];
/** Set before the clients are closed, which fails their unfinished requests. */
let isOver = false;
const counts = {};
const count = (name, more = 1) => (counts[name] = (counts[name] ?? 0) + more);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
process.on("unhandledRejection", (error) => violations.push(`unhandled rejection: ${error?.stack ?? error}`));
process.on("uncaughtException", (error) => violations.push(`uncaught exception: ${error?.stack ?? error}`));

const gateway = await Gateway.make(options.executable, {
  "store.kind": "sqlite", "store.path": "faults.sqlite", "store.synchronous": "full", "listen.loops": "2",
  "connections.max": "0", "sessions.max": "0", "sessions.max_detached": "0", "connections.per_address": "0",
  "limits.text_per_minute": "0", "limits.audio_per_minute": "0", "limits.control_per_minute": "0", "limits.audio_chunks_per_second": "0",
  "limits.bytes_per_second": "0", "limits.audio_realtime_factor": "4",
});

class Client {
  constructor(number) {
    this.number = number;
    this.random = generator(number);
    this.proxy = new FaultProxy(gateway.port);
    this.pending = new Set();
    this.texts = 0;
    this.isStopping = false;
    /** Deltas by id, as the events tell them. */
    this.shown = new Map();
    this.lastSeq = 0;
  }

  async start() {
    await this.proxy.listen();
    this.parley = new Parley(`ws://127.0.0.1:${this.proxy.port}/v1/ws`, {
      WebSocket: socketClass, heartbeatMs: 400, pongTimeoutMs: 400, connectTimeoutMs: 1500, backoffMs: 50, backoffCapMs: 1000, stableMs: 1000,
      // The number of attempts is bounded in the unit tests; here an outage may take longer.
      maxAttempts: Infinity, maxQueue: 1000, maxQueueBytes: 1e7,
    });
    const { parley } = this;
    parley.addEventListener("delta", ({ detail }) => this.shown.set(detail.id, (this.shown.get(detail.id) ?? "") + detail.text));
    parley.addEventListener("lost", ({ detail }) => violations.push(`client ${this.number}: lost ${JSON.stringify(detail)}`));
    parley.addEventListener("message", ({ detail: { seq } }) => {
      if (seq === undefined) return;
      if (seq <= this.lastSeq) violations.push(`client ${this.number}: number ${seq} was shown after ${this.lastSeq}`);
      this.lastSeq = seq;
    });
    parley.addEventListener("state", ({ detail }) => {
      if (detail.state === "closed" && !this.isStopping) violations.push(`client ${this.number}: closed: ${detail.error?.stack}`);
    });
  }

  async run() {
    await this.start();
    while (!this.isStopping) {
      const dice = this.random();
      if (dice < 0.7) this.track(this.text());
      else if (dice < 0.78 && !this.isRecording) this.track(this.recording());
      else if (dice < 0.82) this.track(this.cancelled());
      else if (dice < 0.86) this.parley.typing();
      await sleep(this.random() * 120);
    }
  }

  track(promise) {
    const settled = promise
      .catch((error) => !isOver && violations.push(`client ${this.number}: ${error.stack}`))
      .finally(() => this.pending.delete(settled));
    this.pending.add(settled);
  }

  /** A text, whose response must be the text, once. */
  async text() {
    const number = this.texts++;
    const words = [1, 3, 30, 60][Math.floor(this.random() * 4)];
    const text = Array.from({ length: words }, (_, word) => `${this.number}.${number}.${word}`).join(" ");
    const reply = this.parley.say(text);
    reply.label = text.slice(0, 20);
    count("texts");
    let joined = "";
    try {
      for await (const delta of reply) joined += delta;
    } catch (error) {
      return this.failed(reply, error);
    }
    if (joined !== text) throw new Error(`the response was ${joined}, expected ${text}`);
    if ((await reply) !== text) throw new Error(`the text was ${await reply}, expected ${text}`);
    if (this.shown.get(reply.id) !== text) throw new Error(`the events showed ${this.shown.get(reply.id)}, expected ${text}`);
    count("responses");
  }

  /** A recording, whose transcript tells its length. */
  async recording() {
    this.isRecording = true;
    const seconds = 0.2 + Math.floor(this.random() * 20) / 10;
    const chunks = Math.round(seconds * 50);
    const pause = this.random() < 0.5 ? 20 : 2;
    async function* source() {
      for (let n = 0; n < chunks; n++) {
        yield new Int16Array(320).fill((n * 7) % 3000);
        await sleep(pause);
      }
    }
    const { reply } = this.parley.listen({ source: source() });
    reply.label = `recording ${seconds}`;
    count("recordings");
    try {
      await reply;
    } catch (error) {
      return this.failed(reply, error);
    } finally {
      this.isRecording = false;
    }
    const told = Number.parseFloat(reply.transcript);
    if (Math.abs(told - (chunks * 0.02)) > 0.051) throw new Error(`the transcript was ${reply.transcript}, expected ${chunks * 0.02} s`);
    count("transcripts");
  }

  async cancelled() {
    const reply = this.parley.say(Array.from({ length: 200 }, (_, word) => `c${word}`).join(" "));
    reply.label = "cancelled";
    await sleep(this.random() * 30);
    reply.cancel("test");
    await reply.text.catch((error) => this.failed(reply, error));
    count("cancelled");
  }

  /** The only honest failure: the gateway was killed while it sent the response. */
  failed(reply, error) {
    if (error.code !== "upstream_error" || !error.retryable || error.class !== "server") {
      throw new Error(`${reply.label} (${reply.id}) failed: ${error.code}: ${error.message}`);
    }
    count("responses cut by a kill");
  }
}

const clients = Array.from({ length: Number(options.clients) }, (_, number) => new Client(number));
const running = clients.map((client) => client.run().catch((error) => violations.push(String(error?.stack ?? error))));
const random = generator("faults");
await sleep(500);
const begun = Date.now();
const outages = [];
for (let number = 0; number < faults && !violations.length; number++) {
  const { proxy } = clients[Math.floor(random() * clients.length)];
  const dice = random();
  const ms = 100 + random() * 900;
  const direction = ["up", "down", "both"][Math.floor(random() * 3)];
  const fault =
    dice < 0.18 ? "cut" : dice < 0.28 ? "truncate" : dice < 0.42 ? "stall" : dice < 0.52 ? "delay" : dice < 0.62 ? "halfClose"
    : dice < 0.7 ? "refuse" : dice < 0.76 ? "silence" : dice < 0.82 ? "bad_gateway" : dice < 0.92 ? "repeat" : "kill";
  count(`fault ${fault}`);
  if (fault === "cut") proxy.cut();
  else if (fault === "truncate") proxy.truncate();
  else if (fault === "stall") outages.push(proxy.stall(direction, random() < 0.3 ? 3000 : ms));
  else if (fault === "delay") outages.push(proxy.delay(ms / 4, 1000));
  else if (fault === "halfClose") proxy.halfClose(direction);
  else if (fault === "repeat") proxy.repeat(1 + Math.floor(random() * 5));
  else if (fault === "kill") {
    await gateway.kill();
    await sleep(random() * 300);
    await gateway.start();
  } else outages.push(proxy.drop(fault, random() < 0.15 ? 30000 * scale : ms));
  if ((number + 1) % 50 === 0) console.log(`${number + 1} faults in ${Math.round((Date.now() - begun) / 1000)} s: ${JSON.stringify(counts)}`);
  await sleep(40 + random() * 400);
}
await Promise.all(outages);
for (const client of clients) client.isStopping = true;
await Promise.all(running);
const limit = Date.now() + 60000;
while (!violations.length && Date.now() < limit && clients.some(({ pending }) => pending.size)) await sleep(50);
for (const { number, pending, parley } of clients) {
  if (pending.size && !violations.length) violations.push(`client ${number}: ${pending.size} requests hang, state ${parley.state}: ${JSON.stringify(parley.stats())}`);
}
isOver = true;
const stats = clients.map(({ parley }) => parley.stats());
const sum = (name) => stats.reduce((total, one) => total + one[name], 0);
await Promise.all(clients.map(({ parley }) => parley.close()));
for (const { proxy } of clients) proxy.close();
await gateway.kill();
await sleep(50);

console.log(JSON.stringify(counts, null, 1));
console.log(["connects", "reconnects", "resumes", "resent", "duplicates", "lostPongs"].map((name) => `${name} ${sum(name)}`).join(", "));
console.log(`frames repeated by the proxy: ${clients.reduce((total, { proxy }) => total + proxy.repeated, 0)}`);
for (const line of violations.slice(0, 10)) console.log(`VIOLATION: ${line}`);
if (!violations.length) fs.rmSync(gateway.directory, { recursive: true });
else console.log(`the gateway's log: ${gateway.directory}/log`);
console.log(violations.length ? "failed" : `passed: ${counts.responses} responses and ${counts.transcripts ?? 0} transcripts, none lost or shown twice`);
process.exit(violations.length ? 1 : 0);
