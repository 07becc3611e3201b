// SPDX-License-Identifier: Apache-2.0
// Checks that no message is lost or shown twice when the network fails and the gateway is killed. Clients send texts and recordings through
// a proxy that injects faults; the gateway's loopback echoes the texts, so that each response can be compared.
//
//   node faults.mjs --executable .build/release/parley --faults 25 --seed 1
//   --scale 0.1       factor of the longest outage (30 s)
//   --socket builtin  the WebSocket of Node.js (--experimental-websocket) instead of the package `ws`; chromium: the clients run in Chromium
//   --mutate NAME     runs a copy of the client with a defect, which has to be found: dedupe, resend
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { generator, Swarm } from "./faults_client.mjs";
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

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const counts = {};
const count = (name) => (counts[name] = (counts[name] ?? 0) + 1);

const gateway = await Gateway.make(options.executable, {
  "store.kind": "sqlite", "store.path": "faults.sqlite", "store.synchronous": "full", "listen.loops": "2",
  "connections.max": "0", "sessions.max": "0", "sessions.max_detached": "0", "connections.per_address": "0",
  "limits.text_per_minute": "0", "limits.audio_per_minute": "0", "limits.control_per_minute": "0", "limits.audio_chunks_per_second": "0",
  "limits.bytes_per_second": "0", "limits.audio_realtime_factor": "4",
});

const proxies = Array.from({ length: Number(options.clients) }, () => new FaultProxy(gateway.port));
for (const proxy of proxies) await proxy.listen();
const urls = proxies.map(({ port }) => `ws://127.0.0.1:${port}/v1/ws`);

/** The clients in this process. */
async function here() {
  const WebSocket = options.socket === "ws" ? createRequire(import.meta.url)("/usr/share/nodejs/ws") : globalThis.WebSocket;
  if (!WebSocket) throw new Error("this Node.js has no WebSocket; run it with --experimental-websocket");
  const swarm = new Swarm({ Parley: await loadClient(), WebSocket, urls, seed: options.seed });
  process.on("unhandledRejection", (error) => swarm.violations.push(`unhandled rejection: ${error?.stack ?? error}`));
  process.on("uncaughtException", (error) => swarm.violations.push(`uncaught exception: ${error?.stack ?? error}`));
  swarm.start();
  return { hasFailed: async () => swarm.violations.length > 0, stop: () => swarm.stop() };
}

/** The clients in a page of Chromium. */
async function inChromium() {
  const { Browser } = await import("./devtools.mjs");
  const folders = { "/sdk/": new URL("../../Sources/ParleyJS/", import.meta.url), "/tests/": new URL("./", import.meta.url) };
  const server = http.createServer((request, response) => {
    const folder = Object.keys(folders).find((prefix) => request.url.startsWith(prefix));
    const name = folder && path.basename(request.url);
    response.setHeader("Content-Type", name ? "text/javascript" : "text/html");
    response.end(name ? fs.readFileSync(new URL(name, folders[folder])) : "<!doctype html><title>faults</title>");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "parley-sdk-js-chromium-"));
  const browser = await Browser.start(directory, "/dev/null");
  const page = await browser.open(`http://127.0.0.1:${server.address().port}/`, { secure: false });
  await page.run(async ([urls, seed]) => {
    const [{ Parley }, { Swarm }] = await Promise.all([import("/sdk/parley.js"), import("/tests/faults_client.mjs")]);
    const swarm = (globalThis.swarm = new Swarm({ Parley, urls, seed }));
    addEventListener("unhandledrejection", ({ reason }) => swarm.violations.push(`unhandled rejection: ${reason?.stack ?? reason}`));
    addEventListener("error", ({ error, message }) => swarm.violations.push(`uncaught exception: ${error?.stack ?? message}`));
    swarm.start();
  }, [urls, options.seed]);
  return {
    hasFailed: () => page.run(() => globalThis.swarm.violations.length > 0),
    stop: async () => {
      const result = await page.run(() => globalThis.swarm.stop());
      await browser.close();
      server.close();
      fs.rmSync(directory, { recursive: true, force: true });
      return result;
    },
  };
}

const clients = await (options.socket === "chromium" ? inChromium() : here());
const random = generator(options.seed, "faults");
await sleep(500);
const begun = Date.now();
const outages = [];
for (let number = 0; number < faults && !(await clients.hasFailed()); number++) {
  const proxy = proxies[Math.floor(random() * proxies.length)];
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
const { violations, stats, counts: replies } = await clients.stop();
Object.assign(counts, replies);
const sum = (name) => stats.reduce((total, one) => total + one[name], 0);
for (const proxy of proxies) proxy.close();
await gateway.kill();

console.log(JSON.stringify(counts, null, 1));
console.log(["connects", "reconnects", "resumes", "resent", "duplicates", "lostPongs"].map((name) => `${name} ${sum(name)}`).join(", "));
console.log(`frames repeated by the proxy: ${proxies.reduce((total, proxy) => total + proxy.repeated, 0)}`);
for (const line of violations.slice(0, 10)) console.log(`VIOLATION: ${line}`);
if (!violations.length) fs.rmSync(gateway.directory, { recursive: true });
else console.log(`the gateway's log: ${gateway.directory}/log`);
console.log(violations.length ? "failed" : `passed: ${counts.responses} responses and ${counts.transcripts ?? 0} transcripts, none lost or shown twice`);
process.exit(violations.length ? 1 : 0);
