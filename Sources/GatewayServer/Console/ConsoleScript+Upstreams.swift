// SPDX-License-Identifier: Apache-2.0

extension ConsoleScript {
    /// The upstreams with their endpoints and breakers.
    static let upstreams = #"""
        const upstreamKinds = {ready: "good", degraded: "warn", unavailable: "bad"};
        const breakerKinds = {closed: "good", half_open: "warn", open: "bad"};

        /** How long a state has lasted, with its begin. */
        const since = (at, now) => at === null || at === undefined ? "–"
          : h("span", null, duration(Math.max(0, now - at)) + " (since ", time(at), ")");

        function upstreamSection(upstream, now) {
          const id = "upstream-" + upstream.name;
          const permits = upstream.permits ?? {current: upstream.active}, queue = upstream.queue ?? {current: upstream.waiting};
          const ofLimit = figure => count(figure.current) + " of " + (figure.limit ? count(figure.limit) : "no limit")
            + (figure.peak === undefined ? "" : ", peak " + count(figure.peak));
          return h("section", {class: "card", "aria-labelledby": id},
            h("h2", {id}, foreign(upstream.name), " ", badge(upstream.state, upstreamKinds[upstream.state])),
            facts([["Kind", upstream.kind], ["Permits", ofLimit(permits)], ["Queue", ofLimit(queue)],
              ["Completed", count(upstream.completed)], ["Failed", count(upstream.failed)], ["Cancelled", count(upstream.cancelled)],
              ["Retries", count(upstream.retries)], ["Connections", count(upstream.connections)]]),
            upstream.endpoints.length === 0 ? h("p", {class: "help"}, "no endpoints")
              : table("Endpoints of " + upstream.name, ["Endpoint", "Breaker", "For", "Health", "In flight", "Requests", "Failures"],
                upstream.endpoints.map(endpoint => [
                  foreign(endpoint.address), badge(endpoint.breaker.replace("_", "-"), breakerKinds[endpoint.breaker]),
                  since(endpoint.since, now), endpoint.healthy ? "healthy" : badge("ejected", "bad"),
                  count(endpoint.outstanding), count(endpoint.requests),
                  count(endpoint.failures)])),
            h("p", {class: "buttons"}, button("Reset the breakers", () => resetUpstream(upstream.name),
              {"data-key": "reset-" + upstream.name, "aria-label": "Reset the breakers of " + upstream.name})));
        }

        views.set("upstreams", {title: "Upstreams", show() {
          const list = h("div", {class: "cards"}, h("p", {class: "help"}, "loading"));
          main.append(list);
          const draw = (upstreams, now) => replace(list, upstreams.length === 0
            ? h("p", {class: "help"}, "No upstream is configured; the gateway answers itself.")
            : upstreams.map(upstream => upstreamSection(upstream, now)));
          repeat(2000, async signal => draw((await get("/v1/upstreams", signal)).upstreams, Date.now()));
        }});

        """#
}
