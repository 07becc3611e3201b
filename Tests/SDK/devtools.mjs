// SPDX-License-Identifier: Apache-2.0
// Chromium, controlled by the DevTools protocol.
import { spawn } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const WebSocket = createRequire(import.meta.url)("/usr/share/nodejs/ws");
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Browser {
  /** @param {string} directory for its profile @param {string} microphone a WAV file that is repeated */
  static async start(directory, microphone) {
    const browser = new Browser();
    const profile = path.join(directory, "profile");
    browser.process = spawn("/usr/bin/chromium", [
      "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--ignore-certificate-errors",
      "--remote-debugging-port=0", `--user-data-dir=${profile}`, "--use-fake-device-for-media-stream",
      `--use-file-for-fake-audio-capture=${microphone}`, "--use-fake-ui-for-media-stream",
      "--autoplay-policy=no-user-gesture-required", "--hide-scrollbars", "--enable-precise-memory-info", "about:blank",
    ], { env: { ...process.env, HOME: directory }, stdio: "ignore" });
    const file = path.join(profile, "DevToolsActivePort");
    for (let tries = 0; !fs.existsSync(file) || !fs.readFileSync(file, "utf8").includes("\n"); tries++) {
      if (tries > 300) throw new Error("Chromium didn't start");
      await sleep(100);
    }
    browser.port = Number.parseInt(fs.readFileSync(file, "utf8"));
    return browser;
  }

  async close() {
    const exited = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.kill();
    await exited;
  }

  /**
   * Opens a page in a tab of its own.
   *
   * @param {string} url @param {{script?: string, width?: number, height?: number, scheme?: "light" | "dark"}} options `script` runs first
   */
  async open(url, { script, width = 1280, height = 800, scheme = "light", secure = true } = {}) {
    const target = await (await fetch(`http://127.0.0.1:${this.port}/json/new?about:blank`, { method: "PUT" })).json();
    const socket = new WebSocket(target.webSocketDebuggerUrl, { maxPayload: 1 << 28 });
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    const page = new Page(socket, this.port, target.id);
    for (const domain of ["Page", "Runtime", "Log"]) await page.call(`${domain}.enable`);
    if (script) await page.call("Page.addScriptToEvaluateOnNewDocument", { source: script });
    await page.look({ width, height, scheme });
    await page.call("Page.navigate", { url });
    await page.until(`location.protocol === '${secure ? "https:" : "http:"}' && document.readyState === 'complete'`, url);
    return page;
  }
}

export class Page {
  constructor(socket, port, id) {
    Object.assign(this, { socket, port, id, number: 0, calls: new Map(), problems: [] });
    socket.on("message", (data) => {
      const message = JSON.parse(data);
      const call = this.calls.get(message.id);
      this.calls.delete(message.id);
      if (call && message.error) call.reject(new Error(`${call.method}: ${message.error.message}`));
      else if (call) call.resolve(message.result);
      else this.receive(message);
    });
  }

  /** Collects what a developer would find red in the console. */
  receive({ method, params }) {
    if (method === "Runtime.exceptionThrown") this.problems.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === "Runtime.consoleAPICalled" && params.type === "error") this.problems.push(params.args.map(({ value }) => value).join(" "));
    if (method === "Log.entryAdded" && params.entry.level === "error") this.problems.push(params.entry.text);
  }

  call(method, params = {}) {
    return new Promise((resolve, reject) => {
      this.calls.set(++this.number, { method, resolve, reject });
      this.socket.send(JSON.stringify({ id: this.number, method, params }));
    });
  }

  /** Evaluates an expression or a function with arguments, and awaits promises. */
  async run(code, ...parameters) {
    const expression = typeof code === "function" ? `(${code})(...${JSON.stringify(parameters)})` : code;
    const { result, exceptionDetails } = await this.call("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /** Waits until an expression is true; returns its value. */
  async until(code, what, ms = 15000) {
    const end = Date.now() + ms;
    for (;;) {
      const value = await this.run(code);
      if (value) return value;
      if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what ?? code}`);
      await sleep(20);
    }
  }

  async look({ width, height, scheme }) {
    await this.call("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 2, mobile: width < 500 });
    await this.call("Emulation.setTouchEmulationEnabled", { enabled: width < 500 });
    await this.call("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
  }

  async key(key, modifiers = 0) {
    const code = { Enter: 13, Tab: 9, Escape: 27, " ": 32 }[key];
    const text = { Enter: "\r", " ": " " }[key];
    await this.call("Input.dispatchKeyEvent", { type: "keyDown", key, code: key, windowsVirtualKeyCode: code, text, modifiers });
    await this.call("Input.dispatchKeyEvent", { type: "keyUp", key, code: key, windowsVirtualKeyCode: code, modifiers });
  }

  type(text) {
    return this.call("Input.insertText", { text });
  }

  async screenshot(file) {
    const { data } = await this.call("Page.captureScreenshot", { format: "png" });
    fs.writeFileSync(file, Buffer.from(data, "base64"));
  }

  async heap() {
    await this.call("HeapProfiler.collectGarbage");
    const { usedSize } = await this.call("Runtime.getHeapUsage");
    const { nodes, jsEventListeners } = await this.call("Memory.getDOMCounters");
    return { usedSize, nodes, jsEventListeners };
  }

  async close() {
    await fetch(`http://127.0.0.1:${this.port}/json/close/${this.id}`);
    this.socket.terminate();
  }
}
