// SPDX-License-Identifier: Apache-2.0

extension ConsoleScript {
    /// Moving line charts in SVG.
    static let charts = #"""
        /** The number of measurements that the charts show: five minutes. */
        const chartLength = 300;

        /** Rounds up to 1, 2 or 5 times a power of ten. */
        function niceCeiling(value) {
          if (!(value > 0)) return 1;
          const power = 10 ** Math.floor(Math.log10(value));
          return power * ([1, 2, 5, 10].find(factor => factor * power >= value * 0.999) ?? 10);
        }

        /**
         * A chart of up to four series. `series` are {name, value(overview)}; values that are null interrupt the line.
         * The description is read by screen readers instead of the drawing.
         */
        class Chart {
          constructor(title, series, format) {
            this.series = series;
            this.format = format;
            this.lines = series.map((_, index) => h("path", {class: "series s" + index}));
            this.top = h("text", {x: 4, y: 11, class: "axis"});
            this.drawing = h("svg", {viewBox: "0 0 600 120", preserveAspectRatio: "none", "aria-hidden": "true"},
              h("line", {x1: 0, x2: 600, y1: 1, y2: 1, class: "grid"}), h("line", {x1: 0, x2: 600, y1: 60, y2: 60, class: "grid"}),
              h("line", {x1: 0, x2: 600, y1: 119, y2: 119, class: "grid"}), this.lines);
            this.scale = h("span", {class: "scale", "aria-hidden": "true"});
            this.values = series.map(() => h("b", null, "–"));
            this.element = h("figure", {class: "chart"},
              h("figcaption", null, h("span", {class: "name"}, title),
                h("span", {class: "legend"}, series.map((one, index) =>
                  h("span", null, h("i", {class: "key s" + index, "aria-hidden": "true"}), one.name + " ", this.values[index])))),
              h("div", {class: "plot"}, this.scale, this.drawing),
              h("p", {class: "span", "aria-hidden": "true"}, h("span", null, "5 min ago"), h("span", null, "now")));
          }

          update(samples) {
            const rows = this.series.map(one => samples.map(sample => one.value(sample)));
            const top = niceCeiling(Math.max(0, ...rows.flat().filter(value => value !== null && value !== undefined)));
            this.scale.textContent = this.format(top);
            rows.forEach((row, index) => {
              let path = "", isDrawing = false;
              row.forEach((value, position) => {
                if (value === null || value === undefined) { isDrawing = false; return; }
                const x = (chartLength - row.length + position + 1) / chartLength * 600;
                path += (isDrawing ? "L" : "M") + x.toFixed(1) + " " + (119 - Math.min(1, value / top) * 118).toFixed(1);
                if (!isDrawing) path += "h0.1";
                isDrawing = true;
              });
              this.lines[index].setAttribute("d", path);
              const last = row.at(-1);
              this.values[index].textContent = last === null || last === undefined ? "–" : this.format(last);
            });
          }
        }

        """#
}
