// SPDX-License-Identifier: Apache-2.0

extension ConsoleScript {
    /// The operators' actions, each after a confirmation.
    static let actions = #"""
        /** Asks for a confirmation. Resolves to the values of the fields, or to undefined if it is cancelled. */
        function confirmed({title, text, label, fields = [], isDangerous = true}) {
          const dialog = byId("dialog");
          byId("dialog-title").textContent = title;
          byId("dialog-text").textContent = text;
          byId("dialog-fields").replaceChildren(...fields.map(field =>
            h("p", null, h("label", {for: field.id}, field.label), field.control)));
          const confirm = byId("dialog-confirm");
          confirm.textContent = label;
          confirm.className = isDangerous ? "danger" : "primary";
          const opener = document.activeElement;
          dialog.returnValue = "cancel";
          dialog.showModal();
          (fields[0]?.control ?? byId("dialog-cancel")).focus();
          return new Promise(resolve => dialog.addEventListener("close", () => {
            if (opener?.isConnected) opener.focus();
            resolve(dialog.returnValue === "confirm" ? fields.map(field => field.control.value) : undefined);
          }, {once: true}));
        }

        /** Sends a request after its confirmation, and announces the outcome. Returns whether it was performed. */
        async function act(question, request, outcome) {
          const values = await confirmed(question);
          if (values === undefined) return false;
          try {
            const response = await send(request.path, {method: request.method ?? "POST", body: request.body?.(values)});
            announce(await outcome(response.status === 204 ? undefined : await response.json()));
            return true;
          } catch (problem) {
            report(problem);
            return false;
          }
        }

        const drain = () => act(
          {title: "Drain the gateway?", label: "Drain",
            text: "New connections are rejected, and clients are asked to reconnect elsewhere. A drain can't be undone without a restart."},
          {path: "/v1/gateway/drain"}, report => "Draining; open connections: " + count(report.connections) + ".");

        const reload = () => act(
          {title: "Reload the configuration?", label: "Reload", isDangerous: false,
            text: "The configuration files and certificates are read again. If they have a problem, nothing changes."},
          {path: "/v1/gateway/reload"}, report =>
            (report.changed.length ? "Reloaded; changed: " + report.changed.join(", ") + "." : "Reloaded; nothing changed.")
            + (report.needs_restart.length ? " Restart required for: " + report.needs_restart.join(", ") + "." : ""));

        function setLogLevel() {
          const option = value => h("option", {value, selected: value === "debug"}, value);
          const level = h("select", {id: "level-value"}, ["trace", "debug", "info", "notice", "warning", "error", "critical"].map(option));
          const time = h("select", {id: "level-for"}, ["1m", "10m", "1h", "24h"].map(value =>
            h("option", {value, selected: value === "10m"}, value)));
          return act(
            {title: "Set the log level?", label: "Set", isDangerous: false,
              text: "The level of the configuration applies again afterwards.",
              fields: [{id: "level-value", label: "Level", control: level}, {id: "level-for", label: "For", control: time}]},
            {path: "/v1/gateway/log-level", body: ([level, time]) => ({level, for: time})},
            report => "The log level is " + report.level + ".");
        }

        const resetUpstream = name => act(
          {title: "Reset the breakers of " + name + "?", label: "Reset",
            text: "All endpoints get requests again at once, also those that are failing."},
          {path: "/v1/upstreams/" + encodeURIComponent(name) + "/reset"}, () => "The breakers of " + name + " are closed.");

        const closeSession = id => act(
          {title: "Close the session?", label: "Close the session",
            text: "Session " + id + " ends with close code 4507, and can't be resumed. Its report is kept."},
          {path: "/v1/sessions/" + id + "/close"}, () => "The session is closed.");

        const eraseSession = id => act(
          {title: "Erase the session?", label: "Erase everything",
            text: "Session " + id + " ends, and its report, texts and notes are deleted. This can't be undone."},
          {path: "/v1/sessions/" + id, method: "DELETE"}, () => "The session is erased.");

        """#
}
