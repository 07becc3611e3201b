// SPDX-License-Identifier: Apache-2.0

extension ConsoleScript {
    /// Builds elements and formats values. Text from the gateway only ever becomes text nodes and attribute values.
    static let elements = #"""
        const svgNames = new Set(["svg", "path", "rect", "line", "text", "g"]);

        /** Creates an element. Functions among the properties are event listeners; null and false are omitted. */
        function h(name, properties, ...children) {
          const element = svgNames.has(name) ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
          for (const [key, value] of Object.entries(properties ?? {})) {
            if (value === null || value === undefined || value === false) continue;
            if (typeof value === "function") element.addEventListener(key, value);
            else element.setAttribute(key, value === true ? "" : String(value));
          }
          element.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false));
          return element;
        }

        const byId = id => document.getElementById(id);

        /** Text from users, isolated so that its direction doesn't change the text around it. */
        const foreign = text => h("bdi", {class: "foreign"}, String(text));

        const badge = (text, kind) => h("span", {class: "badge " + (kind ?? "")}, text);

        const integers = new Intl.NumberFormat("en");
        const count = value => value === null || value === undefined ? "–" : integers.format(value);

        /** A number with its noun: "1 error", "2 errors". */
        const counted = (value, noun) => count(value) + " " + noun + (value === 1 ? "" : "s");

        function bytes(value) {
          if (value === null || value === undefined) return "–";
          const units = ["B", "KB", "MB", "GB", "TB"];
          let unit = 0;
          while (Math.abs(value) >= 999.5 && unit < units.length - 1) { value /= 1000; unit += 1; }
          return (unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)) + " " + units[unit];
        }

        /** Formats milliseconds with about three digits. */
        function duration(ms) {
          if (ms === null || ms === undefined) return "–";
          if (ms < 10) return (Math.round(ms * 10) / 10) + " ms";
          if (ms < 1000) return Math.round(ms) + " ms";
          if (ms < 60000) return (ms / 1000).toFixed(ms < 10000 ? 2 : 1) + " s";
          const seconds = Math.floor(ms / 1000);
          const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
          const first = parts.findIndex(([size]) => seconds >= size);
          return parts.slice(first, first + 2).map(([size, unit], index) => {
            const value = Math.floor((index === 0 ? seconds : seconds % parts[first][0]) / size);
            return value === 0 && index > 0 ? "" : value + " " + unit;
          }).filter(Boolean).join(" ");
        }

        function clock(ms, withMilliseconds) {
          const text = new Date(ms).toISOString();
          return text.slice(11, withMilliseconds ? 23 : 19);
        }

        const time = ms => h("time", {datetime: new Date(ms).toISOString(), title: new Date(ms).toISOString()}, clock(ms));

        const rate = value => (value >= 100 ? integers.format(Math.round(value)) : Math.round(value * 10) / 10) + "/s";

        /** A table with a caption for screen readers. Cells repeat their column's name for the layout of narrow screens. */
        function table(caption, columns, rows, properties) {
          const head = columns.map(column => typeof column === "string" ? h("th", {scope: "col"}, column) : column);
          const names = head.map(cell => cell.dataset.name ?? cell.textContent);
          const body = rows.map(cells => h("tr", null, cells.map((cell, index) => {
            const content = cell === null || cell === undefined ? "–" : cell;
            return h(index === 0 ? "th" : "td", {scope: index === 0 ? "row" : null, "data-name": names[index]}, content);
          })));
          return h("div", {class: "scroll"}, h("table", properties, h("caption", {class: "hidden"}, caption),
            h("thead", null, h("tr", null, head)), h("tbody", null, body)));
        }

        const facts = pairs => h("dl", {class: "facts"}, pairs.filter(Boolean).map(([name, value]) =>
          h("div", null, h("dt", null, name), h("dd", null, value ?? "–"))));

        const button = (label, action, properties) => h("button", {type: "button", click: action, ...properties}, label);

        /** Replaces the content of an element, and keeps the focus on the control with the same `data-key`. */
        function replace(element, ...children) {
          const key = element.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
          element.replaceChildren(...children.flat().filter(Boolean));
          if (key) for (const control of element.querySelectorAll("[data-key]")) if (control.dataset.key === key) control.focus();
        }

        """#
}
