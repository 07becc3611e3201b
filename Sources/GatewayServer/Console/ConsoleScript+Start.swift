// SPDX-License-Identifier: Apache-2.0

extension ConsoleScript {
    /// Begins: without a login if the listener needs no token.
    static let start = #"""
        byId("logout").addEventListener("click", () => showLogin());
        addEventListener("hashchange", () => { if (!byId("views").hidden) show(); });
        addEventListener("pagehide", () => { leaveView(); stopOverview(); });

        get("/v1/gateway").then(begin, problem => {
          if (problem instanceof Problem && problem.status === 401) return showLogin();
          showLogin(problem instanceof Problem ? problem.message : "The gateway can't be reached.");
        });

        """#
}
