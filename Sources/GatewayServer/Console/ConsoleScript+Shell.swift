// SPDX-License-Identifier: Apache-2.0

extension ConsoleScript {
    /// The frame of the page: login, views, messages.
    static let shell = #"""
        const main = byId("main");
        /** The functions that end what the current view has begun. */
        let cleanups = [];
        const whenLeft = stop => { cleanups.push(stop); return stop; };

        function leaveView() {
          for (const stop of cleanups) stop();
          cleanups = [];
        }

        /**
         * Calls a function now and after each interval until the view is left; a call that takes longer is aborted by the next one. The
         * second argument is true for the first call, and for calls of the returned function, which restarts the interval.
         */
        function repeat(milliseconds, body) {
          let controller, timer;
          async function run(isAsked) {
            controller?.abort();
            clearTimeout(timer);
            const own = controller = new AbortController();
            if (isAsked || !document.hidden) {
              await body(own.signal, isAsked).catch(problem => { if (!own.signal.aborted) report(problem); });
            }
            if (!own.signal.aborted) timer = setTimeout(run, milliseconds, false);
          }
          whenLeft(() => { controller?.abort(); clearTimeout(timer); });
          run(true);
          return () => run(true);
        }

        let messageTimer;
        /** Shows a message, which screen readers read at once. */
        function announce(text, isProblem) {
          const dismiss = button("Dismiss", () => byId("messages").replaceChildren());
          byId("messages").replaceChildren(h("p", {class: isProblem ? "problem" : ""}, h("span", null, text), dismiss));
          clearTimeout(messageTimer);
          messageTimer = setTimeout(() => byId("messages").replaceChildren(), isProblem ? 30000 : 8000);
        }

        function report(problem) {
          if (problem instanceof Problem && problem.status === 401) return showLogin("The token isn't valid any more.");
          const text = problem instanceof Problem ? problem.message : "The gateway can't be reached.";
          announce(text + (problem.correlation ? " (correlation id " + problem.correlation + ")" : ""), true);
        }

        // MARK: Login

        let stopOverview = () => {};

        function showLogin(text) {
          leaveView();
          stopOverview();
          token = "";
          byId("views").hidden = true;
          byId("node").textContent = "";
          byId("status").replaceChildren(badge("not logged in"));
          const field = h("input", {
            id: "token", name: "token", type: "password", autocomplete: "off", autocapitalize: "off", spellcheck: "false", required: true,
            maxlength: 1024, "aria-describedby": "token-help",
          });
          const problem = h("p", {class: "problem", role: "alert", id: "login-problem"}, text ?? "");
          const form = h("form", {class: "login", "aria-labelledby": "title"},
            h("h1", {id: "title", tabindex: -1}, "Log in"),
            h("label", {for: "token"}, "Operations token"), field,
            h("p", {id: "token-help", class: "help"},
              "The value of operations.token, or of a token of operations.tokens. It stays in the memory of this page."),
            problem, h("button", {type: "submit", class: "primary"}, "Log in"));
          form.addEventListener("submit", async event => {
            event.preventDefault();
            token = field.value.trim();
            problem.textContent = "";
            try {
              await get("/v1/gateway");
              field.value = "";
              begin();
            } catch (failure) {
              token = "";
              problem.textContent = failure instanceof Problem
                ? (failure.status === 401 ? "The token is wrong." : failure.message) : "The gateway can't be reached.";
              field.focus();
              field.select();
            }
          });
          document.title = "Log in · Parley console";
          main.replaceChildren(form);
          field.focus();
        }

        // MARK: Views

        /** The views by the first part of the address after `#/`. */
        const views = new Map();

        function show() {
          leaveView();
          const parts = location.hash.replace(/^#\/?/, "").split("?")[0].split("/").map(part => {
            try { return decodeURIComponent(part); } catch { return ""; }
          });
          const name = views.has(parts[0]) ? parts[0] : "";
          for (const link of byId("views").querySelectorAll("a")) {
            const isCurrent = link.getAttribute("href") === "#/" + name;
            if (isCurrent) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
          }
          const view = views.get(name);
          const title = h("h1", {tabindex: -1}, view.title);
          main.replaceChildren(title);
          document.title = view.title + " · Parley console";
          view.show(parts.slice(1), title);
          title.focus({preventScroll: true});
          scrollTo(0, 0);
        }

        const parameters = () => new URLSearchParams(location.hash.split("?")[1] ?? "");

        """#
}
