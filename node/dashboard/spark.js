// A small picture of how a number went. The number itself always stands beside it.

import { draw } from "./dom.js";

/** The values, the oldest first, over as much room as `slots` of them take. */
export function spark(values, slots = 60) {
  const top = Math.max(1e-9, ...values);
  const x = (at) => ((slots - values.length + at) / (slots - 1)) * 100;
  const y = (value) => 27 - (value / top) * 25;
  const points = values.map((value, at) => `${x(at).toFixed(2)} ${y(value).toFixed(2)}`);
  const picture = draw("svg", { class: "spark", viewBox: "0 0 100 28", preserveAspectRatio: "none", "aria-hidden": "true" });
  if (points.length > 1) {
    const line = `M${points.join("L")}`;
    picture.append(
      draw("path", { class: "area", d: `${line}L100 28L${x(0).toFixed(2)} 28z` }),
      draw("path", { class: "line", d: line }),
    );
  }
  return picture;
}
