// SPDX-License-Identifier: Apache-2.0
// A TCP proxy that injects network faults into WebSocket connections without TLS.
import net from "node:net";

/** Splits the gateway's side of a connection into whole WebSocket frames (unmasked), so that a frame can be repeated. */
class FrameReader {
  #kept = Buffer.alloc(0);
  #isUpgraded = false;

  /** @returns {{bytes: Buffer, text: string | null}[]} the complete frames, `text` of unfragmented uncompressed text */
  push(chunk) {
    this.#kept = Buffer.concat([this.#kept, chunk]);
    const frames = [];
    if (!this.#isUpgraded) {
      const end = this.#kept.indexOf("\r\n\r\n");
      if (end < 0) return frames;
      frames.push({ bytes: this.#kept.subarray(0, end + 4), text: null });
      this.#kept = this.#kept.subarray(end + 4);
      this.#isUpgraded = true;
    }
    while (this.#kept.length >= 2) {
      let [length, header] = [this.#kept[1] & 127, 2];
      if (length === 126) {
        if (this.#kept.length < 4) break;
        [length, header] = [this.#kept.readUInt16BE(2), 4];
      } else if (length === 127) {
        if (this.#kept.length < 10) break;
        [length, header] = [Number(this.#kept.readBigUInt64BE(2)), 10];
      }
      if (this.#kept.length < header + length) break;
      const bytes = this.#kept.subarray(0, header + length);
      frames.push({ bytes, text: this.#kept[0] === 0x81 ? bytes.subarray(header).toString() : null });
      this.#kept = this.#kept.subarray(header + length);
    }
    return frames;
  }
}

export class FaultProxy {
  /** @type {Set<{client: net.Socket, server: net.Socket}>} */
  #links = new Set();
  #mode = "pass";
  #delayMs = 0;
  #stalls = new Set();
  #truncates = false;
  #repeats = 0;
  /** Frames that were sent twice. */
  repeated = 0;

  constructor(target) {
    this.target = target;
    this.server = net.createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
  }

  async listen(port = 0) {
    await new Promise((resolve) => this.server.listen(port, "127.0.0.1", resolve));
    this.port = this.server.address().port;
    return this.port;
  }

  close() {
    this.server.close();
    this.cut();
  }

  #accept(client) {
    client.on("error", () => {});
    if (this.#mode === "refuse") return client.resetAndDestroy();
    // The black hole: packets are lost, nothing is answered.
    if (this.#mode === "silence") return void this.#links.add({ client, server: new net.Socket() });
    if (this.#mode === "bad_gateway") {
      client.once("data", () => {
        const body = "<html><body><h1>502 Bad Gateway</h1></body></html>";
        client.end(`HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`);
      });
      return;
    }
    const server = net.connect({ port: this.target, host: "127.0.0.1", allowHalfOpen: true });
    const link = { client, server };
    this.#links.add(link);
    const gone = () => {
      this.#links.delete(link);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on("error", gone);
      socket.on("close", gone);
    }
    let isFirst = true;
    const reader = new FrameReader();
    this.#forward("up", client, server, (chunk) => {
      // Without compression, the frames of the gateway can be read.
      const text = isFirst ? chunk.toString("latin1").replace(/^Sec-WebSocket-Extensions:.*\r\n/im, "") : null;
      isFirst = false;
      return text === null ? chunk : Buffer.from(text, "latin1");
    });
    this.#forward("down", server, client, (chunk) => {
      const frames = reader.push(chunk);
      const parts = [];
      for (const { bytes, text } of frames) {
        parts.push(bytes);
        if (this.#repeats > 0 && text && /"seq":\d/.test(text)) {
          this.#repeats--;
          this.repeated++;
          parts.push(bytes);
        }
      }
      return Buffer.concat(parts);
    });
  }

  /** Forwards one direction in order, with the delays and stalls in force. */
  #forward(direction, from, to, change) {
    let last = Promise.resolve();
    const later = (run) => {
      last = last.then(async () => {
        if (this.#delayMs) await new Promise((resolve) => setTimeout(resolve, this.#delayMs * Math.random()));
        while (this.#stalls.has(direction)) await new Promise((resolve) => setTimeout(resolve, 10));
        if (!to.destroyed) run();
      });
    };
    from.on("data", (data) => {
      const chunk = change(data);
      if (!chunk.length) return;
      if (this.#truncates && direction === "down") {
        this.#truncates = false;
        later(() => to.write(chunk.subarray(0, chunk.length >> 1), () => this.cut()));
      } else later(() => to.write(chunk));
    });
    from.on("end", () => later(() => to.end()));
  }

  // Faults

  cut() {
    for (const { client, server } of this.#links) {
      client.resetAndDestroy();
      server.destroy();
    }
    this.#links.clear();
  }

  /** Cuts in the middle of the next bytes from the gateway. */
  truncate() {
    this.#truncates = true;
  }

  /** @param {"up" | "down" | "both"} direction */
  async stall(direction, ms) {
    const stalled = direction === "both" ? ["up", "down"] : [direction];
    for (const one of stalled) this.#stalls.add(one);
    await new Promise((resolve) => setTimeout(resolve, ms));
    for (const one of stalled) this.#stalls.delete(one);
  }

  /** Delays each packet by up to `most` milliseconds, for a while. Nothing is reordered. */
  async delay(most, ms) {
    this.#delayMs = most;
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.#delayMs = 0;
  }

  /** Ends one direction only. */
  halfClose(direction) {
    for (const { client, server } of this.#links) (direction === "down" ? client : server).end();
  }

  /** @param {"refuse" | "silence" | "bad_gateway"} mode */
  async drop(mode, ms) {
    this.#mode = mode;
    // In silence, connections that exist stall as well.
    if (mode === "silence") for (const one of ["up", "down"]) this.#stalls.add(one);
    else this.cut();
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.#mode = "pass";
    if (mode === "silence") {
      this.cut();
      this.#stalls.clear();
    }
  }

  /** Repeats the next sequenced messages of the gateway. */
  repeat(count) {
    this.#repeats = count;
  }
}
