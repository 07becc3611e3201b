// SPDX-License-Identifier: Apache-2.0
// The clients of faults.mjs. They run in Node.js and in Chromium.

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A generator of its own for each client and the faults (mulberry32): the same seed gives the same choices, though not the same timing. */
export function generator(seed, name) {
  let state = [...`${seed}/${name}`].reduce((hash, character) => Math.imul(hash ^ character.charCodeAt(0), 16777619), 2166136261);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296;
  };
}

class Client {
  constructor(number, url, swarm) {
    this.number = number;
    this.url = url;
    this.swarm = swarm;
    this.random = generator(swarm.seed, number);
    this.pending = new Set();
    this.texts = 0;
    this.isStopping = false;
    /** Deltas by id, as the events tell them. */
    this.shown = new Map();
    this.lastSeq = 0;
  }

  start() {
    const { violations } = this.swarm;
    this.parley = new this.swarm.Parley(this.url, {
      WebSocket: this.swarm.WebSocket, heartbeatMs: 400, pongTimeoutMs: 400, connectTimeoutMs: 1500, backoffMs: 50, backoffCapMs: 1000, stableMs: 1000,
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
    this.start();
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
      .catch((error) => !this.swarm.isOver && this.swarm.violations.push(`client ${this.number}: ${error.stack}`))
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
    this.swarm.count("texts");
    let joined = "";
    try {
      for await (const delta of reply) joined += delta;
    } catch (error) {
      return this.failed(reply, error);
    }
    if (joined !== text) throw new Error(`the response was ${joined}, expected ${text}`);
    if ((await reply) !== text) throw new Error(`the text was ${await reply}, expected ${text}`);
    if (this.shown.get(reply.id) !== text) throw new Error(`the events showed ${this.shown.get(reply.id)}, expected ${text}`);
    this.swarm.count("responses");
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
    this.swarm.count("recordings");
    try {
      await reply;
    } catch (error) {
      return this.failed(reply, error);
    } finally {
      this.isRecording = false;
    }
    const told = Number.parseFloat(reply.transcript);
    if (Math.abs(told - (chunks * 0.02)) > 0.051) throw new Error(`the transcript was ${reply.transcript}, expected ${chunks * 0.02} s`);
    this.swarm.count("transcripts");
  }

  async cancelled() {
    const reply = this.parley.say(Array.from({ length: 200 }, (_, word) => `c${word}`).join(" "));
    reply.label = "cancelled";
    await sleep(this.random() * 30);
    reply.cancel("test");
    await reply.text.catch((error) => this.failed(reply, error));
    this.swarm.count("cancelled");
  }

  /** The only honest failure: the gateway was killed while it sent the response. */
  failed(reply, error) {
    if (error.code !== "upstream_error" || !error.retryable || error.class !== "server") {
      throw new Error(`${reply.label} (${reply.id}) failed: ${error.code}: ${error.message}`);
    }
    this.swarm.count("responses cut by a kill");
  }
}

/** All clients, each with an address of its own. */
export class Swarm {
  violations = [];
  counts = {};
  /** Set before the clients are closed, which fails their unfinished requests. */
  isOver = false;

  constructor({ Parley, WebSocket, urls, seed }) {
    Object.assign(this, { Parley, WebSocket, seed });
    this.clients = urls.map((url, number) => new Client(number, url, this));
  }

  count(name, more = 1) {
    this.counts[name] = (this.counts[name] ?? 0) + more;
  }

  start() {
    this.running = this.clients.map((client) => client.run().catch((error) => this.violations.push(String(error?.stack ?? error))));
  }

  /** Waits for all responses, closes the clients, and returns what was counted. */
  async stop() {
    const { clients, violations } = this;
    for (const client of clients) client.isStopping = true;
    await Promise.all(this.running);
    const limit = Date.now() + 60000;
    while (!violations.length && Date.now() < limit && clients.some(({ pending }) => pending.size)) await sleep(50);
    for (const { number, pending, parley } of clients) {
      if (pending.size && !violations.length) violations.push(`client ${number}: ${pending.size} requests hang, state ${parley.state}: ${JSON.stringify(parley.stats())}`);
    }
    this.isOver = true;
    const stats = clients.map(({ parley }) => parley.stats());
    await Promise.all(clients.map(({ parley }) => parley.close()));
    await sleep(50);
    return { violations, counts: this.counts, stats };
  }
}
