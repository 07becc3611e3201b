// SPDX-License-Identifier: Apache-2.0

extension ConsoleScript {
    /// The live tail of the log.
    static let log = #"""
        /** The number of lines that the view shows. */
        const logLength = 500;
        /** The number of lines that are drawn in one frame: the first lines of a stream come at once, and would block the page. */
        const linesPerFrame = 40;
        const levelKinds = {warning: "warn", error: "bad", critical: "bad", notice: "good"};

        /** A field of a log line. Ids become links, and everything else text. */
        function logField([name, value]) {
          const text = typeof value === "string" ? value : JSON.stringify(value);
          const content = name === "session_id" && isID(text) ? h("a", {href: "#/session/" + text, class: "id"}, text)
            : name === "correlation_id" && isID(text) ? correlationLink(text) : foreign(text);
          return h("span", {class: "field"}, h("span", {class: "name"}, foreign(name), "="), content);
        }

        function logLine(line) {
          const {ts, level, msg, logger, ...fields} = line;
          return h("li", {class: "line " + String(level).replace(/[^a-z]/g, "")},
            h("time", {datetime: ts, title: ts}, String(ts).slice(11, 23)), " ", badge(level, levelKinds[level]), " ",
            h("span", {class: "message"}, foreign(msg)), " ", Object.entries(fields).map(logField), " ",
            h("span", {class: "help"}, foreign(logger ?? "")));
        }

        views.set("log", {title: "Log", show() {
          const query = parameters();
          const level = h("select", {id: "log-level"}, ["trace", "debug", "info", "notice", "warning", "error", "critical"].map(value =>
            h("option", {value, selected: value === (query.get("level") ?? "info")}, value)));
          const field = (id, name) => h("input",
            {id, type: "search", autocomplete: "off", maxlength: 26, value: query.get(name) ?? "", class: "id"});
          const session = field("log-session", "session_id"), correlation = field("log-correlation", "correlation_id");
          const lines = h("ol",
            {class: "lines", role: "log", "aria-live": "off", "aria-label": "Log lines, the newest first", tabindex: 0});
          const state = h("p", {class: "help", role: "status"});
          let stop, isPaused = false, waiting = [], frame;
          const pause = button("Pause", () => {
            isPaused = !isPaused;
            pause.setAttribute("aria-pressed", String(isPaused));
            pause.textContent = isPaused ? "Continue" : "Pause";
            if (!isPaused) restart();
            else state.textContent = "Paused.";
          }, {"aria-pressed": "false"});
          const form = h("form", {class: "filters", role: "search", "aria-label": "Filter log lines"},
            h("p", null, h("label", {for: "log-level"}, "Level and above"), level),
            h("p", null, h("label", {for: "log-session"}, "Session id"), session),
            h("p", null, h("label", {for: "log-correlation"}, "Correlation id"), correlation),
            h("p", null, h("button", {type: "submit"}, "Show")), h("p", null, pause));
          form.addEventListener("submit", event => { event.preventDefault(); restart(); });
          level.addEventListener("change", () => restart());
          main.append(form, state, lines);

          /** Draws an item in one of the next frames. Only the newest ones are kept, as in the list. */
          function add(draw) {
            waiting.push(draw);
            if (waiting.length > logLength) waiting.shift();
            frame ??= requestAnimationFrame(drawWaiting);
          }

          function drawWaiting() {
            lines.prepend(...waiting.splice(0, linesPerFrame).map(draw => draw()).reverse());
            while (lines.children.length > logLength) lines.lastElementChild.remove();
            frame = waiting.length > 0 ? requestAnimationFrame(drawWaiting) : undefined;
          }

          function clear() {
            waiting = [];
            lines.replaceChildren();
          }

          function restart() {
            stop?.();
            for (const input of [session, correlation]) {
              const text = input.value.trim();
              input.setAttribute("aria-invalid", String(text !== "" && !isID(text)));
              if (text !== "" && !isID(text)) { state.textContent = "An id has 26 letters and digits."; return; }
            }
            clear();
            const wanted = new URLSearchParams({follow: "true", level: level.value});
            if (session.value.trim()) wanted.set("session_id", session.value.trim());
            if (correlation.value.trim()) wanted.set("correlation_id", correlation.value.trim());
            stop = follow("/v1/logs?" + wanted, (event, data) => {
              if (isPaused) return;
              if (event === "line") add(() => logLine(data));
              else if (event === "dropped") {
                add(() => h("li", {class: "gap"}, counted(data.count, "dropped line") + ": they came too fast."));
              }
            }, change => {
              if (change === "live") { clear(); state.textContent = "Following the log."; }
              else if (change instanceof Error) report(change);
              else state.textContent = change === "paused" ? "Paused while the page isn't visible." : "The stream ended; reconnecting.";
            });
          }
          whenLeft(() => stop?.());
          restart();
        }});

        """#
}
