// SPDX-License-Identifier: Apache-2.0

extension ConsoleScript {
    /// The messages of a session as they are received and sent.
    static let tap = #"""
        /** The number of messages that the tap shows. */
        const tapLength = 200;

        function tapPanel(id) {
          let stop;
          const names = ["Time (UTC)", "Direction", "Type", "Size", "Number", "Content"];
          const body = h("tbody"), state = h("p", {class: "help", role: "status"},
            "Every use of the tap is logged. Requires the right supervise, and content for texts.");
          const rows = h("div", {class: "scroll", hidden: true}, h("table", {class: "tap cards-when-narrow"},
            h("caption", {class: "hidden"}, "Messages, the newest first"),
            h("thead", null, h("tr", null, names.map(name => h("th", {scope: "col"}, name)))), body));
          const control = button("Start the tap", () => (stop ? end("The tap is stopped.") : start()), {"aria-pressed": "false"});

          function end(text) {
            stop?.();
            stop = undefined;
            control.textContent = "Start the tap";
            control.setAttribute("aria-pressed", "false");
            state.textContent = text;
          }

          function add(row) {
            body.prepend(row);
            while (body.children.length > tapLength) body.lastElementChild.remove();
          }

          function frameRow(frame) {
            const cells = [h("span", null, clock(frame.at, true)), frame.direction === "in" ? "→ from the client" : "← to the client",
              badge(frame.type), bytes(frame.size), frame.seq ?? "–",
              frame.content === undefined ? "–" : h("code", null, foreign(frame.content + (frame.truncated ? " …" : "")))];
            return h("tr", {class: "direction-" + (frame.direction === "in" ? "in" : "out")},
              cells.map((cell, index) => h("td", {"data-name": names[index]}, cell)));
          }

          function start() {
            rows.hidden = false;
            control.textContent = "Stop the tap";
            control.setAttribute("aria-pressed", "true");
            state.textContent = "Connecting the tap.";
            stop = follow("/v1/sessions/" + id + "/tap", (event, data) => {
              if (event === "frame") add(frameRow(data));
              else if (event === "dropped") {
                const text = counted(data.count, "dropped message") + ": the tap was too slow.";
                add(h("tr", {class: "gap"}, h("td", {colspan: 6}, text)));
              } else if (event === "session") state.textContent = "The tap is live" + (data.content ? "." : ", without contents.");
              else if (event === "end") end("The session has ended.");
            }, change => {
              if (change instanceof Error) end(change.message);
              else if (change === "ended" && stop) end("The tap has ended.");
            }, false);
          }
          whenLeft(() => stop?.());
          return h("div", null, h("p", {class: "buttons"}, control), state, rows);
        }

        """#
}
