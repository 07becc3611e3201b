// SPDX-License-Identifier: Apache-2.0

extension ConsoleScript {
    /// The page of a session: facts, the waterfall of every turn, events, tap, actions.
    static let session = #"""
        const isID = text => /^[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{26}$/.test(text ?? "");

        function sessionFacts({session, connection, outbox, notes}) {
          return facts([
            ["State", badge(session.state, {attached: "good", detached: "warn"}[session.state])],
            ["User", session.user ? foreign(session.user) : "none"], session.title ? ["Title", foreign(session.title)] : null,
            session.node ? ["Node", foreign(session.node)] : null,
            ["Started", h("span", null, new Date(session.started_at).toISOString().slice(0, 10) + " ", time(session.started_at), " UTC")],
            session.ended_at
              ? ["Ended", h("span", null, time(session.ended_at), " UTC, " + (session.ending ?? "").replaceAll("_", " "))] : null,
            ["Memory", bytes(session.memory_bytes) + ", peak " + bytes(session.memory_peak_bytes)],
            ["Messages", count(session.messages_in) + " in, " + count(session.messages_out) + " out"],
            ["Errors", count(session.errors)], ["Connections", count(session.connections) + ", " + count(session.resumes) + " resumes"],
            connection ? ["Address", foreign(connection.address)] : null,
            connection ? ["Round trip", duration(connection.rtt_ms)] : null,
            outbox ? ["Waiting for the client",
              bytes(outbox.waiting_bytes) + ", " + count(outbox.messages) + " unacknowledged messages"] : null,
            notes ? ["Notes", foreign(notes)] : null,
          ]);
        }

        function eventTable(events) {
          const details = event => [event.code, event.close_code ? "close code " + event.close_code : null,
            event.lost ? "messages were lost" : null].filter(Boolean).join(", ");
          return table("Events of the session", ["Time (UTC)", "Event", "Details", "Id"], [...events].reverse().map(event => [
            time(event.at), badge(event.event.replaceAll("_", " "), event.event === "error" ? "bad" : ""), details(event) || "–",
            event.correlation_id ? correlationLink(event.correlation_id) : h("span", {class: "id"}, event.connection_id ?? "–")]));
        }

        views.set("session", {title: "Session", show([id], title) {
          if (!isID(id)) return main.append(h("p", {class: "problem"}, "This isn't the id of a session."));
          document.title = "Session " + id + " · Parley console";
          title.append(" ", h("span", {class: "id"}, id));
          const head = h("div", null, h("p", {class: "help"}, "loading")), turns = h("ol", {class: "turns"});
          const state = h("p", {class: "help", role: "status"}), events = h("div");
          const leave = isDone => { if (isDone) location.hash = "#/sessions"; };
          main.append(head,
            h("p", {class: "buttons"},
              button("Close the session", () => closeSession(id).then(isDone => isDone && refresh()), {class: "danger"}),
              button("Erase the session", () => eraseSession(id).then(leave), {class: "danger"}),
              h("a", {href: "#/log?session_id=" + id}, "Log lines of the session")),
            h("h2", null, "Turns"), state, turns, h("h2", null, "Messages as they go"), tapPanel(id), h("h2", null, "Events"), events);
          let isEnded = false, drawn = "";
          const refresh = repeat(1000, async (signal, isAsked) => {
            if (isEnded && !isAsked) return;
            const path = "/v1/sessions/" + id;
            const [details, timeline] = await Promise.all([get(path, signal), get(path + "/timeline", signal)]);
            isEnded = timeline.state === "ended";
            replace(head, sessionFacts(details));
            const text = timeline.turns.length === 0 ? "No turns yet." : counted(timeline.turns.length, "turn") + ", the newest first"
              + (timeline.turns_pruned > 0 ? "; removed older ones: " + count(timeline.turns_pruned) + "." : ".");
            if (state.textContent !== text) state.textContent = text;
            // Unchanged turns are left alone, so that a selection of their text survives.
            const isOpen = timeline.turns.some(turn => turn.outcome === "open");
            const content = JSON.stringify([timeline.turns, timeline.events]);
            if (content === drawn && !isOpen) return;
            drawn = content;
            const longest = Math.max(1, ...timeline.turns.map(turn => lengthOf(turn, timeline.now)));
            replace(turns, [...timeline.turns].reverse().map(turn => turnItem(turn, timeline.now, longest)));
            replace(events, eventTable(timeline.events));
          });
        }});

        """#
}
