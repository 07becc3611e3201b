// SPDX-License-Identifier: Apache-2.0
// The page of chromium.mjs: a conversation with the gateway, by text, microphone and loudspeaker. The result is posted to the runner.
import { Parley } from "/sdk/parley.js";

const parameters = new URLSearchParams(location.search);
const url = `wss://localhost:${parameters.get("port")}/v1/ws`;
const figures = {};
const unhandled = [];
window.addEventListener("unhandledrejection", ({ reason }) => unhandled.push(String(reason?.stack ?? reason)));
window.addEventListener("error", ({ message }) => unhandled.push(message));

/** Lets the tests cut a connection. */
const sockets = [];
class Socket extends WebSocket {
  constructor(...parts) {
    super(...parts);
    sockets.push(this);
  }
}

function expect(condition, what) {
  if (!condition) throw new Error(what);
}

function next(target, type, matches = () => true, ms = 15000) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no event ${type} within ${ms} ms`)), ms);
    target.addEventListener(type, function listener({ detail }) {
      if (!matches(detail)) return;
      clearTimeout(timer);
      target.removeEventListener(type, listener);
      resolve(detail);
    });
  });
}

const microphones = [];
const getUserMedia = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (constraints) => {
  const stream = await getUserMedia(constraints);
  microphones.push(...stream.getTracks());
  return stream;
};

/** A tone of pcm16 at 16 kHz, in parts of 100 ms. */
async function* tone(seconds, level = 3000) {
  for (let part = 0; part < seconds * 10; part++) {
    yield Int16Array.from({ length: 1600 }, (_, n) => level * Math.sin((2 * Math.PI * 440 * (part * 1600 + n)) / 16000));
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

const parley = new Parley(url, { WebSocket: Socket, storage: sessionStorage });
const states = [];
const errors = [];
parley.addEventListener("state", ({ detail }) => states.push(detail.state));
parley.addEventListener("error", ({ detail }) => errors.push(`${detail.error.code}: ${detail.error.cause ?? detail.error.message}`));

const checks = {
  async "a text is streamed"() {
    const text = Array.from({ length: 300 }, (_, number) => `word${number}`).join(" ");
    const reply = parley.say(text);
    let [joined, deltas] = ["", 0];
    for await (const delta of reply) {
      joined += delta;
      deltas++;
    }
    expect(joined === text && (await reply) === text, "the deltas add up");
    figures.deltas = deltas;
  },

  async "a lost connection is resumed"() {
    const reply = parley.say("before the cut");
    sockets.at(-1).close(3000, "cut by the test");
    const other = parley.say("after the cut");
    expect((await reply) === "before the cut" && (await other) === "after the cut", "both are answered");
    expect(parley.stats().resumes === 1, "resumed");
  },

  async "without a network, people are told"() {
    Object.defineProperty(navigator, "onLine", { value: false, configurable: true });
    window.dispatchEvent(new Event("offline"));
    sockets.at(-1).close(3000, "cut by the test");
    await next(parley, "state", ({ state }) => state === "offline");
    const reply = parley.say("from a tunnel");
    expect(parley.advice === "You are offline. Your message will be sent when you are back.", parley.advice);
    Object.defineProperty(navigator, "onLine", { value: true, configurable: true });
    window.dispatchEvent(new Event("online"));
    expect((await reply) === "from a tunnel", "answered");
  },

  async "a spoken response is played, and its length is exact"() {
    const listening = parley.listen({ source: tone(2), meta: { echo: "audio" } });
    const { playedMs } = await next(parley, "played", ({ id }) => id === listening.reply.id);
    await listening.reply;
    expect(/^2\.0 s of pcm16 at 16000 Hz/.test(listening.reply.transcript), listening.reply.transcript);
    figures.playedMs = playedMs;
    expect(Math.abs(playedMs - 2000) < 2, `played ${playedMs} ms of 2000`);
  },

  async "the microphone is recorded from speech to silence"() {
    const listening = parley.listen({ silenceMs: 600 });
    const { reply } = listening;
    await next(parley, "speech");
    expect(listening.state === "speaking", listening.state);
    await reply;
    figures.transcript = reply.transcript;
    const [, seconds, speech] = /^([\d.]+) s of pcm16 at 16000 Hz.* (\d+) % speech/.exec(reply.transcript);
    expect(seconds > 1 && seconds < 4 && speech > 20, reply.transcript);
    expect(listening.state === "ended", listening.state);
  },

  async "the microphone is recorded until it is told to stop, and is then turned off"() {
    const listening = parley.listen({ vad: false });
    await next(parley, "speech");
    await new Promise((resolve) => setTimeout(resolve, 1000));
    listening.stop();
    await listening.reply;
    const seconds = Number.parseFloat(listening.reply.transcript);
    expect(seconds > 0.7 && seconds < 1.4, listening.reply.transcript);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(microphones.length === 2 && microphones.every((track) => track.readyState === "ended"), "the microphones are off");
  },

  async "continuous listening has a response for each utterance, until it is closed"() {
    const listening = parley.listen({ continuous: true, silenceMs: 600 });
    const first = listening.reply;
    await first;
    expect(listening.state === "waiting" && listening.reply !== first, listening.state);
    const transcripts = [];
    for await (const { text, id } of listening) {
      transcripts.push([id, text]);
      if (transcripts.length === 2) break;
    }
    expect(transcripts[0][0] === first.id && transcripts[1][0] !== first.id, JSON.stringify(transcripts));
    listening.close();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(listening.state === "ended" && microphones.at(-1).readyState === "ended", listening.state);
    expect(parley.stats().pending === 0, "nothing is pending");
  },

  async "speech stops a response that is played"() {
    const played = parley.listen({ source: tone(20, 500), meta: { echo: "audio" } }).reply;
    await played;
    expect(parley.playing, "is playing");
    const sent = [];
    trace = (direction, data) => direction === "out" && typeof data === "string" && sent.push(JSON.parse(data));
    const listening = parley.listen();
    await next(parley, "speech");
    const begun = performance.now();
    // The worklet reports what it has played when it has stopped.
    while (!sent.some(({ played_ms }) => played_ms !== undefined)) await new Promise((resolve) => setTimeout(resolve, 1));
    figures.stoppedInMs = performance.now() - begun;
    expect(figures.stoppedInMs < 200, `stopped after ${figures.stoppedInMs} ms`);
    await listening.reply;
    listening.close();
    const told = sent.find(({ type, played_ms }) => (type === "cancel" || type === "status") && played_ms !== undefined);
    figures.interrupted = told;
    expect(told && (told.id ?? told.reply_to) === played.id && told.played_ms > 200, JSON.stringify(sent));
    expect(Math.abs(played.playedMs - told.played_ms) <= 1, `${played.playedMs}, ${told.played_ms}`);
  },

  async "interrupt tells what was played"() {
    const { reply } = parley.listen({ source: tone(3), meta: { echo: "audio" } });
    await next(parley, "audio", ({ id }) => id === reply.id);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const begun = performance.now();
    const ms = await parley.interrupt();
    figures.interruptMs = performance.now() - begun;
    expect(ms > 200 && ms < 1000 && !parley.playing, `${ms} ms`);
    await reply.text.catch(() => {});
  },

  async "the session ends"() {
    await parley.close();
    expect(parley.state === "closed" && sessionStorage.length === 0, parley.state);
  },
};

let trace = () => {};
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) {
  trace("out", data);
  return send.call(this, data);
};

async function run() {
  const lines = [];
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      lines.push(`ok ${name}`);
    } catch (error) {
      lines.push(`not ok ${name}: ${error.stack}`);
    }
  }
  if (errors.length) lines.push(`not ok errors: ${errors.join("; ")}`);
  if (unhandled.length) lines.push(`not ok unhandled: ${unhandled.join("; ")}`);
  figures.heap = performance.memory?.usedJSHeapSize;
  const text = [...lines, JSON.stringify({ figures, states, stats: parley.stats() })].join("\n");
  document.getElementById("result").textContent = text;
  await fetch("/result", { method: "POST", body: text });
}
void run();
