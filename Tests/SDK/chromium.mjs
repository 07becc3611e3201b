// SPDX-License-Identifier: Apache-2.0
// Runs the browser client in Chromium with a microphone that plays a file. The page has a strict Content-Security-Policy.
//   node chromium.mjs --executable .build/release/parley
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Gateway } from "./gateway.mjs";

const { values: options } = parseArgs({
  options: { executable: { type: "string", default: process.env.PARLEY_EXECUTABLE ?? ".build/release/parley" } },
});
const here = path.dirname(fileURLToPath(import.meta.url));
const sources = { "/sdk/": path.join(here, "../../Sources/ParleyJS"), "/": here };
const gateway = await Gateway.make(options.executable, { "limits.audio_realtime_factor": "10" });

/** Speech between silences, which Chromium repeats: mono pcm16 at 48 kHz. */
function microphone(file) {
  const spoken = path.join(gateway.directory, "spoken.wav");
  execFileSync("espeak-ng", ["-w", spoken, "-s", "140", "This is the voice of the microphone."]);
  const wav = fs.readFileSync(spoken);
  const rate = wav.readUInt32LE(24);
  const begin = wav.indexOf("data") + 8;
  const count = Math.floor((wav.length - begin) / 2);
  const [before, after, scale] = [2, 3, 48000 / rate];
  const samples = new Int16Array(Math.floor((before + after) * 48000 + count * scale));
  for (let n = 0; n < Math.floor(count * scale) - 2; n++) {
    const [at, rest] = [Math.floor(n / scale), (n / scale) % 1];
    if (at + 1 >= count) break;
    samples[before * 48000 + n] = wav.readInt16LE(begin + 2 * at) * (1 - rest) + wav.readInt16LE(begin + 2 * at + 2) * rest;
  }
  const header = Buffer.alloc(44);
  header.write("RIFF");
  header.writeUInt32LE(36 + samples.byteLength, 4);
  header.write("WAVEfmt ", 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(48000, 24);
  header.writeUInt32LE(96000, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write("data", 36);
  header.writeUInt32LE(samples.byteLength, 40);
  fs.writeFileSync(file, Buffer.concat([header, Buffer.from(samples.buffer)]));
}

const wav = path.join(gateway.directory, "microphone.wav");
microphone(wav);

let finish;
const result = new Promise((resolve) => (finish = resolve));
const types = { ".html": "text/html", ".mjs": "text/javascript", ".js": "text/javascript" };
const policy = `default-src 'none'; script-src 'self'; connect-src 'self' wss://localhost:${gateway.tlsPort}`;
const server = http.createServer((request, response) => {
  if (request.method === "POST") {
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", () => {
      response.end();
      finish(body);
    });
    return;
  }
  const { pathname } = new URL(request.url, "http://localhost");
  const prefix = Object.keys(sources).find((one) => pathname.startsWith(one));
  const file = path.join(sources[prefix], path.basename(pathname));
  if (!fs.existsSync(file)) {
    response.writeHead(404);
    return response.end();
  }
  response.writeHead(200, { "Content-Type": types[path.extname(file)] ?? "text/plain", "Content-Security-Policy": policy });
  response.end(fs.readFileSync(file));
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const page = `http://localhost:${server.address().port}/browser.html?port=${gateway.tlsPort}`;
const browser = spawn("/usr/bin/chromium", [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--ignore-certificate-errors", "--no-first-run",
  "--use-fake-device-for-media-stream", `--use-file-for-fake-audio-capture=${wav}`, "--use-fake-ui-for-media-stream",
  "--autoplay-policy=no-user-gesture-required", "--enable-logging=stderr", `--user-data-dir=${gateway.directory}/profile`, page,
], { env: { ...process.env, HOME: gateway.directory }, stdio: ["ignore", "ignore", "pipe"] });
const console_ = [];
browser.stderr.on("data", (part) => console_.push(...String(part).split("\n").filter((line) => line.includes("CONSOLE"))));

const text = await Promise.race([result, new Promise((resolve) => setTimeout(resolve, 90000, "not ok: no result within 90 s"))]);
console.log(text);
const failed = /^not ok/m.test(text);
if (failed) console.log(console_.join("\n"));
browser.kill();
await new Promise((resolve) => browser.once("exit", resolve));
server.close();
server.closeAllConnections();
await gateway.kill();
if (failed) console.log(`the gateway's log: ${gateway.directory}/log`);
else fs.rmSync(gateway.directory, { recursive: true, force: true });
process.exit(failed ? 1 : 0);
