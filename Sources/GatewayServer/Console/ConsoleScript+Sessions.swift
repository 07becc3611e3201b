// SPDX-License-Identifier: Apache-2.0

extension ConsoleScript {
    /// The table of sessions: sorted by the gateway, filtered, paged.
    static let sessions = #"""
        /** The columns of the table: name, key of the gateway's order (or "user", which orders a page), and cell. */
        const sessionColumns = [
          {name: "Session", cell: session => h("a", {href: "#/session/" + session.session_id, class: "id", "data-key": session.session_id},
            session.session_id)},
          {name: "Node", isOfCluster: true, cell: session => session.node ? foreign(session.node) : "–"},
          {name: "User", sort: "user", cell: session => session.user ? foreign(session.user) : "–"},
          {name: "State", cell: session => badge(session.state, {attached: "good", detached: "warn"}[session.state])},
          {name: "Age", sort: "age", cell: session => duration((session.ended_at ?? Date.now()) - session.started_at)},
          {name: "Memory", sort: "memory", cell: session => bytes(session.memory_bytes)},
          {name: "Queue", sort: "queue", cell: session => bytes(session.queue_bytes)},
          {name: "Round trip", sort: "rtt", cell: session => duration(session.rtt_ms)},
          {name: "Errors", sort: "errors", cell: session => session.errors > 0 ? badge(count(session.errors), "warn") : "0"},
          {name: "Messages", cell: session => count(session.messages_in) + " in, " + count(session.messages_out) + " out"},
          {name: "In flight", cell: session => count(session.in_flight)},
          {name: "Title", cell: session => session.title ? foreign(session.title) : "–"},
        ];

        /** Compares by code units, so that the order doesn't depend on the browser's language; sessions without a user come last. */
        const byUser = (one, other) => !one.user || !other.user ? (one.user ? -1 : other.user ? 1 : 0) : one.user < other.user ? -1
          : one.user > other.user ? 1 : 0;

        views.set("sessions", {title: "Sessions", show() {
          const query = parameters();
          let sort = query.get("sort") ?? "memory", cursors = [undefined], next, nodes = [];
          const state = h("select", {id: "filter-state"}, [["live", "attached and detached"], ["attached", "attached"],
            ["detached", "detached"], ["ended", "ended"], ["all", "all"]].map(([value, label]) =>
            h("option", {value, selected: value === (query.get("state") ?? "live")}, label)));
          const user = h("input", {id: "filter-user", type: "search", autocomplete: "off", maxlength: 128, value: query.get("user") ?? ""});
          const node = h("select", {id: "filter-node"}, h("option", {value: ""}, "all nodes"));
          const nodeField = h("p", {hidden: true}, h("label", {for: "filter-node"}, "Node"), node);
          const update = h("input", {id: "filter-update", type: "checkbox", checked: true});
          const list = h("div", {"aria-live": "off"}, h("p", {class: "help"}, "loading"));
          const result = h("p", {class: "help", role: "status"});
          const isSorted = () => state.value !== "ended" && state.value !== "all";

          const first = button("First page", () => { cursors = [undefined]; refresh(); });
          const previous = button("Previous", () => { if (cursors.length > 1) cursors.pop(); refresh(); });
          const following = button("Next", () => { if (next) cursors.push(next); refresh(); });
          const form = h("form", {class: "filters", role: "search", "aria-label": "Filter sessions"},
            h("p", null, h("label", {for: "filter-state"}, "State"), state), h("p", null, h("label", {for: "filter-user"}, "User"), user),
            nodeField,
            h("p", null, h("button", {type: "submit"}, "Show")),
            h("p", {class: "check"}, update, h("label", {for: "filter-update"}, "Update every 5 s")));
          const apply = () => { cursors = [undefined]; refresh(); };
          form.addEventListener("submit", event => { event.preventDefault(); apply(); });
          state.addEventListener("change", apply);
          node.addEventListener("change", apply);
          main.append(form, result, list, h("p", {class: "buttons"}, first, previous, following));

          function heading(column) {
            if (!column.sort || (column.sort !== "user" && !isSorted())) return h("th", {scope: "col"}, column.name);
            const isCurrent = sort === column.sort;
            const order = sort === "user" ? "ascending" : "descending";
            return h("th", {scope: "col", "data-name": column.name, "aria-sort": isCurrent ? order : null},
              button(column.name + (isCurrent ? (sort === "user" ? " ↑" : " ↓") : ""), () => { sort = column.sort; apply(); },
                {class: "sort", "aria-label": column.name, "data-key": "sort-" + column.sort,
                  title: column.sort === "user" ? "Sort this page by user" : "Largest first"}));
          }

          /** Fetches the nodes of the cluster, and offers them if there are several. */
          async function loadNodes(signal) {
            const names = (await get("/v1/nodes", signal)).nodes.map(found => found.name);
            if (JSON.stringify(names) === JSON.stringify(nodes)) return;
            const chosen = nodes.length === 0 ? query.get("node") : node.value;
            nodes = names;
            node.replaceChildren(h("option", {value: ""}, "all nodes"),
              ...names.map(name => h("option", {value: name, selected: name === chosen}, name)));
            nodeField.hidden = names.length < 2;
          }

          async function load(signal) {
            await loadNodes(signal);
            const wanted = new URLSearchParams({limit: "50", state: state.value});
            if (user.value.trim()) wanted.set("user", user.value.trim());
            if (node.value) wanted.set("node", node.value);
            if (isSorted() && sort !== "user") wanted.set("sort", sort);
            if (cursors.at(-1)) wanted.set("cursor", cursors.at(-1));
            const page = await get("/v1/sessions?" + wanted, signal);
            next = page.cursor;
            const found = sort === "user" ? [...page.sessions].sort(byUser) : page.sessions;
            const columns = sessionColumns.filter(column => !column.isOfCluster || nodes.length > 1);
            const rows = found.map(session => columns.map(column => column.cell(session)));
            replace(list, table("Sessions", columns.map(heading), rows, {class: "sessions cards-when-narrow"}));
            result.textContent = (found.length === 0 ? "No sessions." : "Page " + cursors.length + ", " + counted(found.length, "session") + ".")
              + (page.missing_nodes ? " Nodes that didn't respond: " + page.missing_nodes.join(", ") + "." : "");
            first.disabled = previous.disabled = cursors.length === 1;
            following.disabled = !next;
          }

          const refresh = repeat(5000, async (signal, isAsked) => { if (isAsked || update.checked) await load(signal); });
        }});

        """#
}
