// SPDX-License-Identifier: Apache-2.0
// A speech service of the tests, with the protocol parley.upstream.v1: it transcribes while audio arrives, and answers with words and a
// tone, which last long enough to be interrupted. Texts get the same answer.
import { createRequire } from "node:module";

const { WebSocketServer } = createRequire(import.meta.url)("/usr/share/nodejs/ws");
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const RATE = 24000;

/** 100 ms of a tone of 440 Hz. */
function tone(part) {
  const samples = new Int16Array(RATE / 10);
  for (let n = 0; n < samples.length; n++) samples[n] = 6000 * Math.sin((2 * Math.PI * 440 * (part * samples.length + n)) / RATE);
  return Buffer.from(samples.buffer);
}

/** `events` has each cancellation and status, as the gateway sends them. `answerMs` is the length of the tone. */
export async function voiceUpstream({ answerMs = 15000 } = {}) {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols: () => "parley.upstream.v1" });
  await new Promise((resolve) => server.once("listening", resolve));
  const upstream = { port: server.address().port, events: [], answerMs, close: () => server.close() };
  server.on("connection", (socket) => {
    const open = new Map();
    const send = (message) => socket.send(JSON.stringify(message));
    async function respond(request, { output }) {
      const answer = "You said something, and this is a long answer to it.".split(/(?<= )/);
      for (const text of answer) {
        await sleep(15);
        if (!open.has(request)) return;
        send({ type: "text", request, text, final: false });
      }
      if (output?.modalities?.includes("audio")) {
        send({ type: "audio", request, format: { codec: "pcm16", rate: RATE, channels: 1 } });
        const number = Buffer.alloc(4);
        number.writeUInt32BE(request);
        // A little faster than it is played.
        for (let part = 0; part < upstream.answerMs / 100; part++) {
          if (!open.has(request)) return;
          socket.send(Buffer.concat([number, tone(part)]));
          await sleep(part < 5 ? 0 : 70);
        }
        if (!open.has(request)) return;
        send({ type: "audio", request, final: true });
      }
      send({ type: "text", request, text: "", final: true, done: true });
      open.delete(request);
    }
    socket.on("message", (data, isBinary) => {
      if (isBinary) {
        const call = open.get(data.readUInt32BE());
        if (!call) return;
        call.bytes += data.length - 4;
        const heard = Math.floor(call.bytes / 2 / 16000 / 0.4);
        if (heard > call.heard) {
          call.heard = heard;
          send({ type: "transcript", request: data.readUInt32BE(), text: Array(heard).fill("word").join(" "), final: false });
        }
        return;
      }
      const message = JSON.parse(data);
      const { type, request } = message;
      if (type === "cancel" || type === "status") {
        upstream.events.push(message);
        open.delete(request);
      } else if (type === "text") {
        open.set(request, message);
        void respond(request, message);
      } else if (type === "audio" && !message.final) {
        open.set(request, { ...message, bytes: 0, heard: 0 });
      } else if (type === "audio" && open.has(request)) {
        const call = open.get(request);
        send({ type: "transcript", request, text: `${call.heard} words were spoken`, final: true });
        void respond(request, call);
      }
    });
  });
  return upstream;
}
