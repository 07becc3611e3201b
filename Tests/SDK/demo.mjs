// SPDX-License-Identifier: Apache-2.0
// Drives the demo page in Chromium as a visitor would: types, cuts the network, speaks, interrupts.
//   node demo.mjs --executable .build/release/parley
//   --only NAME        only the checks whose name contains it
//   --skip NAME        not the checks whose name contains it
//   --turns 3000       turns of the check of the heap
//   --frozen 15000     milliseconds that the tab is frozen
//   --screenshots DIR  writes screenshots
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Browser } from "./devtools.mjs";
import { Gateway } from "./gateway.mjs";
import { serve } from "./serve.mjs";
import { voiceUpstream } from "./voice_upstream.mjs";

const { values: options } = parseArgs({
  options: {
    executable: { type: "string", default: process.env.PARLEY_EXECUTABLE ?? ".build/release/parley" },
    only: { type: "string", default: "" },
    skip: { type: "string" },
    turns: { type: "string", default: "3000" },
    frozen: { type: "string", default: "15000" },
    screenshots: { type: "string" },
  },
});
const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "../..");
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const figures = {};
const secret = "a secret of the tests that is long enough";

/** Writes a mono WAV of 48 kHz: silence, speech, silence. */
function microphone(file, text, before, after) {
  const spoken = `${file}.spoken`;
  execFileSync("espeak-ng", ["-w", spoken, "-v", "en-us+adam", "-s", "160", text]);
  const wav = fs.readFileSync(spoken);
  const begin = wav.indexOf("data") + 8;
  const count = Math.floor((wav.length - begin) / 2);
  const scale = 48000 / wav.readUInt32LE(24);
  const samples = new Int16Array(Math.floor((before + after) * 48000 + count * scale));
  for (let n = 0; n / scale < count - 1; n++) {
    const [at, rest] = [Math.floor(n / scale), (n / scale) % 1];
    samples[before * 48000 + n] = wav.readInt16LE(begin + 2 * at) * (1 - rest) + wav.readInt16LE(begin + 2 * at + 2) * rest;
  }
  const header = Buffer.alloc(44);
  header.write("RIFF");
  header.writeUInt32LE(36 + samples.byteLength, 4);
  header.write("WAVEfmt ", 8);
  for (const [value, at] of [[16, 16], [48000, 24], [96000, 28], [samples.byteLength, 40]]) header.writeUInt32LE(value, at);
  for (const [value, at] of [[1, 20], [1, 22], [2, 32], [16, 34]]) header.writeUInt16LE(value, at);
  header.write("data", 36);
  fs.writeFileSync(file, Buffer.concat([header, Buffer.from(samples.buffer)]));
}

// The gateways: loopback, voice, one that demands a token, and the voice assistant of the examples, each started when it is needed.

const running = new Map();
/** @returns {Promise<{url: string, gateway?: Gateway, upstream?: any}>} the page in front of a gateway */
function site(name) {
  if (!running.has(name)) running.set(name, starts[name]());
  return running.get(name);
}

async function page(gateway, more = {}) {
  const address = gateway.address ?? { host: "127.0.0.1", port: gateway.tlsPort };
  const certificates = path.join(gateway.directory, "var");
  const server = await serve({
    gateway: address, certificate: path.join(certificates, "development-cert.pem"), key: path.join(certificates, "development-key.pem"),
  });
  return { url: `https://localhost:${server.port}/`, gateway, server, ...more };
}

const limits = { "limits.text_per_minute": "0", "limits.audio_per_minute": "0" };
const starts = {
  loopback: async () => page(await Gateway.make(options.executable, limits)),
  async voice() {
    const upstream = await voiceUpstream();
    const gateway = await Gateway.make(options.executable, {
      ...limits, "upstreams.voice.kind": "websocket", "upstreams.voice.urls": `ws://127.0.0.1:${upstream.port}`, "routes.voice.upstreams": "voice",
    });
    return page(gateway, { upstream });
  },
  gone: async () => page(await Gateway.make(options.executable, limits)),
  token: async () => page(await Gateway.make(options.executable, { "auth.mode": "jwt", "auth.secret": secret })),
  async assistant() {
    const child = spawn(path.join(root, "deploy/examples/voice-assistant.sh"), [], {
      env: { ...process.env, PARLEY_EXECUTABLE: path.resolve(options.executable) }, stdio: ["ignore", "ignore", "pipe"],
    });
    let log = "";
    child.stderr.on("data", (part) => (log += part));
    for (let tries = 0; !/gateway's log is/.test(log); tries++) {
      if (child.exitCode !== null || tries > 1200) throw new Error(`the voice assistant didn't start: ${log}`);
      await sleep(100);
    }
    const [, port] = /wss:\/\/localhost:(\d+)/.exec(log);
    const [, certificate] = /--ca (\S+)/.exec(log);
    const exited = new Promise((resolve) => child.once("exit", resolve));
    return page({
      address: { host: "127.0.0.1", port: Number(port) }, directory: path.dirname(path.dirname(certificate)),
      async kill() {
        child.kill("SIGTERM");
        await exited;
      },
    });
  },
};

function mint() {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: "ada", iat: now, exp: now + 3600 })}`;
  return `${signed}.${crypto.createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

// What is done on the page

const connected = "document.getElementById('state').dataset.state === 'open'";
const answers = "[...document.querySelectorAll('.answer:not(.pending)')].map((answer) => answer.textContent)";
const state = (tab) => tab.run("document.getElementById('state').dataset.state");

async function ask(tab, text) {
  await tab.run("document.getElementById('text').focus()");
  await tab.type(text);
  await tab.key("Enter");
}

const click = (tab, id) => tab.run((id) => document.getElementById(id).click(), id);

/** Records the levels of microphone and loudspeaker every few milliseconds. */
const probe = `(${() => {
  const levels = (window.levels = []);
  const analysers = {};
  const { connect } = AudioNode.prototype;
  const watch = (name, node) => {
    const analyser = new AnalyserNode(node.context, { fftSize: 256 });
    connect.call(node, analyser);
    analysers[name] = { analyser, data: new Float32Array(256) };
  };
  AudioNode.prototype.connect = function (target, ...more) {
    if (target instanceof AudioDestinationNode) watch("out", this);
    return connect.call(this, target, ...more);
  };
  const create = AudioContext.prototype.createMediaStreamSource;
  AudioContext.prototype.createMediaStreamSource = function (stream) {
    const source = create.call(this, stream);
    watch("in", source);
    return source;
  };
  setInterval(() => {
    const now = { at: performance.now() };
    for (const [name, { analyser, data }] of Object.entries(analysers)) {
      analyser.getFloatTimeDomainData(data);
      now[name] = Math.sqrt(data.reduce((sum, sample) => sum + sample * sample, 0) / data.length);
    }
    levels.push(now);
    if (levels.length > 20000) levels.shift();
  }, 4);
}})()`;

const checks = {
  async "the page is small"() {
    const sizes = ["index.html", "demo.css", "demo.js"].map((file) => {
      const source = fs.readFileSync(path.join(root, "Sources/ParleyJS/demo", file), "utf8");
      const comments = file === "index.html" ? /<!--.*?-->/gs : file === "demo.css" ? /\/\*.*?\*\//gs : /\/\*\*.*?\*\/|^\s*\/\/[^\n]*$/gms;
      return Buffer.byteLength(source.replace(comments, "").replace(/^\s*\n/gm, ""));
    });
    figures.bytes = sizes.reduce((sum, size) => sum + size);
    assert.ok(figures.bytes < 25000, `${figures.bytes} bytes`);
  },

  async "typing is answered, without an error in the console"({ open }) {
    const tab = await open("loopback");
    await tab.until(connected);
    const begun = Date.now();
    await ask(tab, "Good morning, gateway");
    await tab.until(`${answers}.includes("Good morning, gateway")`);
    figures.answeredInMs = Date.now() - begun;
    await tab.until("document.querySelectorAll('#waterfall tr.total').length > 0", "the waterfall");
    const long = Array.from({ length: 60 }, (_, n) => `word${n}`).join(" ");
    await ask(tab, long);
    await tab.until(`${answers}.includes(${JSON.stringify(long)})`);
    assert.match(await tab.run("document.getElementById('announce').textContent"), /^Answer: word0/);
  },

  async "what is written while the network is cut is answered once when it is back"({ open }) {
    const tab = await open("loopback");
    await tab.until(connected);
    await ask(tab, "before");
    await tab.until(`${answers}.includes("before")`);
    await click(tab, "cut");
    await tab.until("document.getElementById('state').dataset.state !== 'open'");
    await ask(tab, "from a tunnel");
    await ask(tab, "and another");
    await tab.until("/Waiting for the connection/.test(document.querySelector('#log').textContent)");
    const advice = await tab.run("document.getElementById('advice').textContent");
    assert.match(advice, /sent when you are connected|Trying again/, advice);
    await sleep(1500);
    assert.ok(!(await tab.run(answers)).includes("from a tunnel"), "answered without a network");
    assert.notEqual(await state(tab), "open");
    await tab.until(`${answers}.includes("and another")`);
    const result = await tab.until("[...document.querySelectorAll('.event')].at(-1).textContent.match(/^Back.*/)?.[0]");
    assert.match(result, /Your 2 messages were sent. Nothing was lost/);
    figures.cut = result;
    const all = await tab.run(answers);
    assert.deepEqual(all, ["before", "from a tunnel", "and another"]);
    assert.ok(!/Waiting for/.test(await tab.run("document.querySelector('#log').textContent")), "nothing waits any more");
  },

  async "an answer that is cut in the middle is complete afterwards"({ open }) {
    const tab = await open("voice");
    await tab.until(connected);
    await tab.run("document.getElementById('speak').click()");
    await ask(tab, "tell me");
    await tab.until("document.querySelector('.answer')?.textContent.length > 5");
    await click(tab, "cut");
    await tab.until(`${answers}.length === 1`);
    assert.deepEqual(await tab.run(answers), ["You said something, and this is a long answer to it."]);
  },

  async "speech is transcribed live, answered, and the answer is heard"({ open, sites }) {
    const tab = await open("voice", { script: probe });
    (await sites("voice")).upstream.answerMs = 1500;
    await tab.until(connected);
    await click(tab, "mic");
    const partial = await tab.until("document.querySelector('.you.draft')?.textContent.match(/^word/)?.input", "a live transcript");
    figures.partial = partial;
    await tab.until("/words were spoken/.test(document.querySelector('.you')?.textContent)", "the final transcript");
    await tab.until("/Spoken in 1.5 s/.test(document.querySelector('.note:not(.mine)')?.textContent)", "the answer was played");
    const loud = await tab.run("window.levels.filter(({ out }) => out > 0.05).length * 4");
    assert.ok(loud > 700, `${loud} ms of sound`);
    figures.voiceWaterfall = await tab.run("[...document.querySelectorAll('#waterfall tr')].map((row) => row.innerText.replace(/\\s+/g, ' ').trim())");
    figures.voiceSum = await tab.run("document.getElementById('turn-sum').textContent");
    assert.match(figures.voiceSum, /stopped speaking: first words \d+\sms, first sound \d+/);
    await click(tab, "mic");
    await tab.until("document.getElementById('mic').ariaPressed === 'false'");
  },

  async "speaking stops an answer within 200 ms"({ open, sites }) {
    const { upstream } = await sites("voice");
    upstream.answerMs = 15000;
    const stops = [];
    for (let round = 0; round < 3; round++) {
      const tab = await open("voice", { script: probe });
      await tab.until(connected);
      upstream.events.length = 0;
      await click(tab, "mic");
      await tab.until("window.levels.some(({ out }) => out > 0.05)", "sound", 20000);
      await tab.until("/Stopped after/.test(document.querySelector('.note:not(.mine)')?.textContent)", "interrupted", 20000);
      await sleep(500);
      const levels = await tab.run("window.levels");
      const last = levels.findLastIndex(({ out }) => out > 0.02);
      const silentAt = levels[last + 1].at;
      // The begin of the speech before it: the microphone was silent for half a second until then.
      let onset = last;
      while (onset > 0 && levels.slice(0, onset).findLast((level) => level.at < levels[onset].at && level.in > 0.01)?.at > levels[onset].at - 500) onset--;
      stops.push(silentAt - levels[onset].at);
      const told = upstream.events.find(({ played_ms: ms }) => ms !== undefined);
      const shown = await tab.run("document.querySelector('.note:not(.mine)').textContent");
      assert.ok(told?.played_ms > 200, JSON.stringify(upstream.events));
      assert.equal(shown, `Stopped after ${(told.played_ms / 1000).toFixed(1)} s`);
      await tab.close();
    }
    figures.stoppedInMs = stops.map(Math.round);
    assert.ok(stops.every((ms) => ms > 0 && ms < 200), `stopped after ${stops} ms`);
  },

  async "the button and Escape stop an answer"({ open, sites }) {
    (await sites("voice")).upstream.answerMs = 15000;
    const tab = await open("voice", { script: probe });
    await tab.until(connected);
    for (const way of ["button", "Escape"]) {
      await ask(tab, `stop by ${way}`);
      await tab.until("window.levels.at(-1)?.out > 0.05", "sound");
      if (way === "button") await click(tab, "stop");
      else await tab.key("Escape");
      await tab.until("window.levels.at(-1).out < 0.001", "silence", 300);
      await tab.until("document.getElementById('stop').hidden", "nothing to stop");
    }
    await sleep(500);
    assert.deepEqual(await tab.run("[...document.querySelectorAll('.note:not(.mine)')].map((note) => /^Stopped after \\d/.test(note.textContent))"), [true, true]);
  },

  async "a recording continues after the network was cut"({ open, sites }) {
    (await sites("voice")).upstream.answerMs = 1000;
    const tab = await open("voice", { script: probe });
    await tab.until(connected);
    await click(tab, "mic");
    await tab.until("document.querySelector('.you.draft')", "speech");
    await click(tab, "cut");
    await tab.until("/words were spoken/.test(document.querySelector('.you')?.textContent)", "the transcript", 20000);
    // As many as without an outage.
    assert.equal(await tab.run("document.querySelector('.you').textContent"), "4 words were spoken");
    await tab.until("/^Spoken in/.test(document.querySelector('.note:not(.mine)')?.textContent)", "spoken");
  },

  async "a microphone that isn't allowed is told in words"({ open }) {
    const tab = await open("loopback", { script: "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError'); };" });
    await tab.until(connected);
    await click(tab, "mic");
    await tab.until("document.getElementById('advice').textContent === 'The microphone can\\'t be used. Allow it in the browser.'");
    assert.equal(await tab.run("document.getElementById('mic').ariaPressed"), "false");
    await ask(tab, "I write instead");
    await tab.until(`${answers}.includes("I write instead")`);
    assert.ok(await tab.run("document.getElementById('notice').hidden"), "the notice has gone");
  },

  async "a gateway that is gone is told in words, and the button connects again"({ open }) {
    const { gateway } = await site("gone");
    const tab = await open("gone");
    await tab.until(connected);
    await gateway.kill();
    await tab.until("!document.getElementById('reconnect').hidden", "the button", 300000);
    assert.equal(await tab.run("document.getElementById('advice').textContent"), "The service can't be reached. Check your connection and try again.");
    await gateway.start();
    await click(tab, "reconnect");
    await tab.until(connected);
    await ask(tab, "there you are");
    await tab.until(`${answers}.includes("there you are")`);
    tab.problems.length = 0;
  },

  async "the voice assistant understands the microphone and answers aloud"({ open }) {
    if (!fs.existsSync(path.join(root, ".build/examples-venv"))) return "skipped: the examples aren't set up";
    const tab = await open("assistant", { script: probe });
    await tab.until(connected);
    await click(tab, "mic");
    await tab.until("/what time is it/.test(document.querySelector('.you:not(.draft)')?.textContent)", "recognized", 30000);
    await tab.until("/^It is \\d/.test(document.querySelector('.answer')?.textContent)", "answered");
    await tab.until("/^Spoken in/.test(document.querySelector('.note:not(.mine)')?.textContent)", "spoken");
    await click(tab, "mic");
    figures.assistant = await tab.run("document.getElementById('turn-sum').textContent");
    figures.assistantWaterfall = await tab.run("[...document.querySelectorAll('#waterfall tr')].map((row) => row.innerText.replace(/\\s+/g, ' ').trim())");
    await ask(tab, "what is two plus three");
    await tab.until(`${answers}.includes("2 plus 3 is 5.")`);
    await shoot(tab, "assistant");
  },

  async "the loopback plays the voice back once it has ended"({ open }) {
    const tab = await open("loopback", { script: probe });
    await tab.until(connected);
    await click(tab, "keep");
    await click(tab, "mic");
    await tab.until("/Spoken in/.test(document.querySelector('.note:not(.mine)')?.textContent)", "played back", 20000);
    const levels = await tab.run("window.levels");
    const spokenUntil = levels.findLast(({ in: level }) => level > 0.02).at;
    const playedFrom = levels.find(({ out }) => out > 0.02).at;
    assert.ok(playedFrom > spokenUntil, `played from ${playedFrom}, spoken until ${spokenUntil}`);
    assert.equal(await tab.run("document.getElementById('mic').ariaPressed"), "false");
  },

  async "a gateway that demands a token is given one"({ open }) {
    const tab = await open("token");
    await tab.until("!document.getElementById('sign-in').hidden", "the form");
    assert.equal(await tab.run("document.activeElement.id"), "token");
    await shoot(tab, "token");
    await tab.type("wrong");
    await tab.key("Enter");
    await sleep(300);
    await tab.until("!document.getElementById('sign-in').hidden", "the form again");
    await tab.type(mint());
    await tab.key("Enter");
    await tab.until(connected);
    assert.ok(await tab.run("document.getElementById('sign-in').hidden && document.getElementById('notice').hidden"), "the form is gone");
    await ask(tab, "signed in");
    await tab.until(`${answers}.includes("signed in")`);
  },

  async "a frozen tab continues"({ open }) {
    const tab = await open("loopback");
    await tab.until(connected);
    await ask(tab, "before the frost");
    await tab.until(`${answers}.length === 1`);
    await tab.run(() => void setTimeout(() => {
      document.getElementById("text").value = "in the frost";
      document.getElementById("composer").requestSubmit();
    }, 0));
    await tab.call("Page.setWebLifecycleState", { state: "frozen" });
    await sleep(Number(options.frozen));
    await tab.call("Page.setWebLifecycleState", { state: "active" });
    const begun = Date.now();
    await tab.until(`${connected} && ${answers}.includes("in the frost")`);
    await ask(tab, "after the frost");
    await tab.until(`${answers}.includes("after the frost")`);
    figures.thawedInMs = Date.now() - begun;
    assert.deepEqual(await tab.run(answers), ["before the frost", "in the frost", "after the frost"]);
  },

  async "an hour of conversation doesn't grow the heap"({ open }) {
    const tab = await open("loopback");
    await tab.until(connected);
    const talk = (count) => tab.run(async (count) => {
      const [text, composer, log] = ["text", "composer", "log"].map((id) => document.getElementById(id));
      for (let n = 0; n < count; n++) {
        const words = `${n} ${"lorem ipsum dolor sit amet ".repeat(6)}`.trim();
        text.value = words;
        composer.requestSubmit();
        const end = performance.now() + 10000;
        while (log.lastElementChild.querySelector(".answer.pending")) {
          if (performance.now() > end) throw new Error(`turn ${n} wasn't answered`);
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
        if (log.lastElementChild.querySelector(".answer").textContent !== words) throw new Error(`turn ${n}: ${log.lastElementChild.textContent}`);
      }
    }, count);
    await talk(400);
    const before = await tab.heap();
    const begun = Date.now();
    await talk(Number(options.turns));
    const after = await tab.heap();
    figures.heap = { turns: Number(options.turns), seconds: (Date.now() - begun) / 1000, before, after };
    assert.ok(after.usedSize - before.usedSize < 500_000, JSON.stringify(figures.heap));
    assert.ok(after.nodes <= before.nodes + 200 && after.jsEventListeners <= before.jsEventListeners + 5, JSON.stringify(figures.heap));
  },

  async "spoken answers don't grow the heap"({ open, sites }) {
    (await sites("voice")).upstream.answerMs = 100;
    const tab = await open("voice");
    await tab.until(connected);
    const talk = (count) => tab.run(async (count) => {
      const [text, composer, log] = ["text", "composer", "log"].map((id) => document.getElementById(id));
      for (let n = 0; n < count; n++) {
        text.value = `turn ${n}`;
        composer.requestSubmit();
        const end = performance.now() + 10000;
        while (!/^Spoken in/.test(log.lastElementChild.querySelector(".note:not(.mine)").textContent)) {
          if (performance.now() > end) throw new Error(`turn ${n} wasn't spoken`);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      }
    }, count);
    // The page keeps 200 turns, and the client the names of 100 responses.
    await talk(220);
    const before = await tab.heap();
    await talk(150);
    const after = await tab.heap();
    figures.spokenHeap = { turns: 150, before, after };
    assert.ok(after.usedSize - before.usedSize < 200_000, JSON.stringify(figures.spokenHeap));
  },

  async "each control has a name, and each text has contrast"({ open }) {
    for (const scheme of ["light", "dark"]) {
      const tab = await open("loopback", { scheme });
      await tab.until(connected);
      await ask(tab, "Hello");
      await tab.until(`${answers}.length === 1`);
      await tab.run("document.querySelector('#panel details').open = true");
      await click(tab, "cut");
      await sleep(300);
      await tab.call("Accessibility.enable");
      const { nodes } = await tab.call("Accessibility.getFullAXTree");
      const unnamed = nodes.filter(({ role, name, ignored }) =>
        !ignored && ["button", "textbox", "switch", "log", "complementary", "table", "DisclosureTriangle"].includes(role?.value) && !name?.value);
      assert.deepEqual(unnamed.map(({ role }) => role.value), []);
      const roles = new Set(nodes.map(({ role }) => role?.value));
      for (const role of ["banner", "main", "complementary", "log", "status", "heading", "switch"]) assert.ok(roles.has(role), role);
      const weak = await tab.run(() => {
        const channels = (color) => color.match(/[\d.]+/g).map(Number);
        const luminance = (rgb) => rgb.slice(0, 3).map((value) => value / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
          .reduce((sum, value, n) => sum + value * [0.2126, 0.7152, 0.0722][n], 0);
        const weak = [];
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        for (let node = walker.nextNode(); node; node = walker.nextNode()) {
          const element = node.parentElement;
          if (!node.data.trim() || element.closest(".unseen, noscript, script") || !element.checkVisibility()) continue;
          let behind = element;
          while (behind && (channels(getComputedStyle(behind).backgroundColor)[3] ?? 1) === 0) behind = behind.parentElement;
          const [one, other] = [getComputedStyle(element).color, getComputedStyle(behind ?? document.body).backgroundColor].map((color) => luminance(channels(color)));
          const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
          if (contrast < 4.5) weak.push(`${node.data.trim().slice(0, 30)}: ${contrast.toFixed(2)}`);
        }
        return weak;
      });
      assert.deepEqual(weak, [], scheme);
      await tab.close();
    }
  },

  async "the keyboard reaches every control"({ open }) {
    const tab = await open("loopback");
    await tab.until(connected);
    await tab.run("document.activeElement.blur()");
    const reached = new Set();
    for (let n = 0; n < 20; n++) {
      await tab.key("Tab");
      reached.add(await tab.run("document.activeElement.id || document.activeElement.textContent.trim()"));
    }
    for (const control of ["log", "Hello!", "mic", "text", "send", "speak", "keep", "cut", "Statistics"]) assert.ok(reached.has(control), `${control}: ${[...reached]}`);
  },

  async "screenshots"({ open, sites }) {
    if (!options.screenshots) return "skipped: without --screenshots";
    (await sites("voice")).upstream.answerMs = 1500;
    for (const width of [390, 1280]) {
      for (const scheme of ["light", "dark"]) {
        const tab = await open("voice", { width, height: width === 390 ? 844 : 800, scheme });
        await tab.until(connected);
        const name = `${width}-${scheme}`;
        await shoot(tab, `${name}-welcome`);
        await ask(tab, "Hello! What can you do for me?");
        await tab.until(`${answers}.length === 1`);
        await click(tab, "mic");
        await tab.until("document.querySelector('.you.draft')?.textContent.match(/^word/)");
        await shoot(tab, `${name}-listening`);
        await tab.until("document.querySelectorAll('.note:not(.mine)')[1]?.textContent.startsWith('Spoken in')");
        await click(tab, "mic");
        await tab.run("document.querySelector('#panel details').open = true");
        await click(tab, "cut");
        await sleep(800);
        await ask(tab, "Can you hear me in the tunnel?");
        await sleep(200);
        await shoot(tab, `${name}-cut`);
        await tab.until("/^Back/.test([...document.querySelectorAll('.event')].at(-1).textContent)");
        await tab.until(`${answers}.length === 3`);
        await sleep(1200);
        await shoot(tab, `${name}-talk`);
        if (width === 390) {
          await click(tab, "toggle");
          await shoot(tab, `${name}-details`);
        }
        const overflow = await tab.run("document.documentElement.scrollWidth - innerWidth");
        assert.ok(overflow <= 0, `${overflow} pixels too wide at ${width}`);
        await tab.close();
      }
    }
  },
};

async function shoot(tab, name) {
  if (!options.screenshots) return;
  fs.mkdirSync(options.screenshots, { recursive: true });
  await tab.screenshot(path.join(options.screenshots, `${name}.png`));
}

const directory = fs.mkdtempSync("/tmp/parley-demo-");
const wav = path.join(directory, "microphone.wav");
microphone(wav, "what time is it", 2, 5);
const browser = await Browser.start(directory, wav);
let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  if (!name.includes(options.only) || (options.skip && name.includes(options.skip))) continue;
  const tabs = [];
  const begun = Date.now();
  try {
    const open = async (one, more) => {
      tabs.push(await browser.open((await site(one)).url, more));
      return tabs.at(-1);
    };
    const remark = await check({ open, sites: site });
    // Chromium closes the connections of a page that it freezes, and reports it.
    const problems = tabs.flatMap(({ problems }) => problems).filter((problem) => !/entered Back-Forward Cache/.test(problem));
    assert.deepEqual(problems, [], "errors in the console");
    console.log(`ok ${name} (${((Date.now() - begun) / 1000).toFixed(1)} s)${remark ? ` # ${remark}` : ""}`);
  } catch (error) {
    failed++;
    console.log(`not ok ${name}\n${error.stack}`);
    for (const tab of tabs) {
      const shown = await tab.run("document.body.innerText").catch(() => "");
      console.log([...tab.problems, shown].join("\n").replace(/^/gm, "  | "));
    }
  }
  for (const tab of tabs) await tab.close().catch(() => {});
}
console.log(JSON.stringify(figures, null, 1));
await browser.close();
for (const started of running.values()) {
  const { gateway, server, upstream } = await started;
  await server.close();
  upstream?.close();
  await gateway.kill();
  if (!failed && gateway.log) fs.rmSync(gateway.directory, { recursive: true, force: true });
}
fs.rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
process.exit(failed ? 1 : 0);
