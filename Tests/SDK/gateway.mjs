// SPDX-License-Identifier: Apache-2.0
// Starts, kills and restarts a gateway, which keeps its ports and its store.
import { spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";

export async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class Gateway {
  static async make(executable, flags = {}) {
    const gateway = new Gateway();
    gateway.executable = path.resolve(executable);
    gateway.directory = fs.mkdtempSync(path.join(os.tmpdir(), "parley-sdk-js-"));
    gateway.tlsPort = await freePort();
    gateway.port = await freePort();
    gateway.operationsPort = await freePort();
    gateway.flags = {
      "listen.address": `127.0.0.1:${gateway.tlsPort}`,
      "listen.plain": `127.0.0.1:${gateway.port}`,
      "connections.trusted_proxies": "127.0.0.1",
      "operations.address": `127.0.0.1:${gateway.operationsPort}`,
      "logging.format": "json",
      "logging.level": "info",
      ...flags,
    };
    gateway.log = fs.openSync(path.join(gateway.directory, "log"), "a");
    await gateway.start();
    return gateway;
  }

  async start() {
    const flags = Object.entries(this.flags).flatMap(([key, value]) => [`--${key}`, value]);
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PARLEY_")));
    this.process = spawn(this.executable, ["serve", ...flags], { cwd: this.directory, env, stdio: ["ignore", this.log, this.log] });
    for (let tries = 0; ; tries++) {
      const isOpen = await new Promise((resolve) => {
        const socket = net.connect(this.port, "127.0.0.1", () => resolve(true));
        socket.on("error", () => resolve(false));
        socket.on("close", () => socket.destroy());
        setTimeout(() => socket.destroy(), 1000).unref();
      });
      if (isOpen) return;
      if (this.process.exitCode !== null || tries > 1000) throw new Error(`the gateway didn't start; see ${this.directory}/log`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** @param {NodeJS.Signals} [signal] */
  async kill(signal = "SIGKILL") {
    const exited = new Promise((resolve) => this.process.once("exit", resolve));
    if (this.process.exitCode !== null) return;
    this.process.kill(signal);
    await exited;
  }
}
