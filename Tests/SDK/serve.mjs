// SPDX-License-Identifier: Apache-2.0
// Serves the demo page as a gateway does: over HTTPS, with the same headers and paths, and with the gateway's WebSocket on the same origin.
//   node serve.mjs --port 8444 --gateway 127.0.0.1:8443 --certificate var/development-cert.pem --key var/development-key.pem
import fs from "node:fs";
import https from "node:https";
import path from "node:path";
import tls from "node:tls";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const sources = path.join(path.dirname(fileURLToPath(import.meta.url)), "../../Sources/ParleyJS");
const FILES = {
  "/": ["demo/index.html", "text/html; charset=utf-8"],
  "/demo.css": ["demo/demo.css", "text/css; charset=utf-8"],
  "/demo.js": ["demo/demo.js", "text/javascript; charset=utf-8"],
  "/v1/client.js": ["parley.js", "text/javascript; charset=utf-8"],
  "/v1/client-audio.js": ["parley-audio.js", "text/javascript; charset=utf-8"],
};
export const HEADERS = {
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; " +
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  "Permissions-Policy": "microphone=(self)",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cache-Control": "no-store",
};

/**
 * @param {{port?: number, gateway: {host: string, port: number}, certificate: string, key: string}} options paths of PEM files, and the
 *   gateway's TLS listener
 */
export async function serve({ port = 0, gateway, certificate, key }) {
  const sockets = new Set();
  const server = https.createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key) }, (request, response) => {
    const file = FILES[new URL(request.url, "https://localhost").pathname];
    if (!file || request.method !== "GET") return response.writeHead(404, HEADERS).end();
    response.writeHead(200, { ...HEADERS, "Content-Type": file[1] });
    response.end(fs.readFileSync(path.join(sources, file[0])));
  });
  // The request is passed on as it came, Origin and Host included.
  server.on("upgrade", (request, socket, head) => {
    const upstream = tls.connect({ ...gateway, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] }, () => {
      const lines = [`${request.method} ${request.url} HTTP/1.1`];
      for (let n = 0; n < request.rawHeaders.length; n += 2) lines.push(`${request.rawHeaders[n]}: ${request.rawHeaders[n + 1]}`);
      upstream.write(`${lines.join("\r\n")}\r\n\r\n`);
      upstream.write(head);
      socket.pipe(upstream).pipe(socket);
    });
    for (const [one, other] of [[socket, upstream], [upstream, socket]]) {
      sockets.add(one);
      one.setNoDelay(true);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    port: server.address().port,
    close() {
      for (const socket of sockets) socket.destroy();
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "8444" },
      gateway: { type: "string", default: "127.0.0.1:8443" },
      certificate: { type: "string", default: "var/development-cert.pem" },
      key: { type: "string", default: "var/development-key.pem" },
    },
  });
  const [, host, port] = /^(.*):(\d+)$/.exec(values.gateway);
  const server = await serve({ ...values, port: Number(values.port), gateway: { host, port: Number(port) } });
  console.log(`https://localhost:${server.port}/`);
}
