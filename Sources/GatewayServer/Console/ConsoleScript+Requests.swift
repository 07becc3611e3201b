// SPDX-License-Identifier: Apache-2.0

extension ConsoleScript {
    /// Sends requests with the token, and reads streams of events.
    static let requests = #"""
        /** The operator's token: only in this variable, so that it is gone when the page is closed or reloaded. */
        let token = "";

        class Problem extends Error {
          constructor(status, body) {
            const problems = Array.isArray(body?.problems) ? ": " + body.problems.join("; ") : "";
            super((typeof body?.detail === "string" ? body.detail : "the gateway answered " + status) + problems);
            this.status = status;
            this.correlation = typeof body?.correlation_id === "string" ? body.correlation_id : undefined;
          }
        }

        async function send(path, options = {}) {
          const headers = {accept: options.accept ?? "application/json"};
          if (token !== "") headers.authorization = "Bearer " + token;
          if (options.body !== undefined) headers["content-type"] = "application/json";
          const response = await fetch(path, {
            method: options.method ?? "GET", headers, signal: options.signal, cache: "no-store", credentials: "omit", redirect: "error",
            body: options.body === undefined ? undefined : JSON.stringify(options.body),
          });
          if (!response.ok) {
            let body;
            try { body = await response.json(); } catch { body = undefined; }
            throw new Problem(response.status, body);
          }
          return response;
        }

        const get = async (path, signal) => (await send(path, {signal})).json();

        /** Splits a stream of events (HTML Standard §9.2.6) and passes each one to a function. */
        async function readEvents(body, receive) {
          const reader = body.pipeThrough(new TextDecoderStream()).getReader();
          let rest = "", event = "message", data = [];
          while (true) {
            const {done, value} = await reader.read();
            if (done) return;
            const lines = (rest + value).split("\n");
            rest = lines.pop();
            for (const line of lines) {
              if (line === "") {
                if (data.length > 0) receive(event, data.join("\n"));
                event = "message"; data = [];
              } else if (line.startsWith("event:")) event = line.slice(6).trim();
              else if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
            }
          }
        }

        /**
         * Follows a stream of events until `stop` is called: reconnects after failures, and pauses while the page isn't visible.
         * `state` is called with "live", "paused", "ended", or a problem.
         */
        function follow(path, receive, state = () => {}, reconnects = true) {
          let isStopped = false, attempts = 0, controller, timer;
          async function run() {
            if (isStopped) return;
            if (document.hidden) return state("paused");
            controller = new AbortController();
            const own = controller;
            try {
              const response = await send(path, {accept: "text/event-stream", signal: own.signal});
              state("live");
              attempts = 0;
              await readEvents(response.body, (event, data) => { if (!isStopped && own === controller) receive(event, JSON.parse(data)); });
              if (isStopped || own !== controller) return;
              state("ended");
            } catch (problem) {
              if (isStopped || own !== controller) return;
              state(problem);
              if (problem instanceof Problem && problem.status >= 400 && problem.status < 500) return;
            }
            if (!reconnects) return;
            timer = setTimeout(run, Math.min(10000, 500 * 2 ** attempts++));
          }
          function visibility() {
            clearTimeout(timer);
            const old = controller;
            controller = undefined;
            old?.abort();
            run();
          }
          document.addEventListener("visibilitychange", visibility);
          run();
          return () => {
            isStopped = true;
            clearTimeout(timer);
            controller?.abort();
            document.removeEventListener("visibilitychange", visibility);
          };
        }

        """#
}
