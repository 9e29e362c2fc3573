// How a node is marked everywhere on the page: by a shape and a colour, its id and where it stands.

import { draw, make } from "./dom.js";
import { short } from "./format.js";

const SHAPES = [
  () => draw("circle", { cx: 8, cy: 8, r: 7 }),
  () => draw("rect", { x: 1.5, y: 1.5, width: 13, height: 13 }),
  () => draw("path", { d: "M8 0.500 15.500 14.500H0.500z" }),
  () => draw("path", { d: "M8 0 16 8 8 16 0 8z" }),
  () => draw("path", { d: "M8 15.500 0.500 1.500h15z" }),
  () => draw("path", { d: "M5 0.500h6v4.500h4.500v6H11v4.500H5V11H0.500V5H5z" }),
  () => draw("path", { d: "M4 1h8l4 7-4 7H4L0 8z" }),
  () => draw("path", { d: "M8 0 10.500 5.500 16 8 10.500 10.500 8 16 5.500 10.500 0 8 5.500 5.500z" }),
];

export const COLOURS = 8;

/** Nodes in the order of the layout; ones that it has not come after. */
export class Nodes {
  #places = new Map();

  learn(ring, members) {
    this.#places.clear();
    ring?.nodes.forEach((it, at) => this.#places.set(it.node, { at, place: it.place }));
    for (const member of members) {
      if (this.#places.has(member.node)) continue;
      const announced = member.announces;
      const place = announced ? `${announced.region}/${announced.zone}` : "";
      this.#places.set(member.node, { at: this.#places.size, place });
    }
  }

  index(node) {
    return this.#places.get(node)?.at ?? 0;
  }

  place(node) {
    return this.#places.get(node)?.place ?? "";
  }

  /** A node as text. */
  text(node) {
    const place = this.place(node);
    return place ? `${short(node)} (${place})` : short(node);
  }

  /** A node as an element. */
  mark(node, note = "") {
    const at = this.index(node);
    const shape = SHAPES[at % SHAPES.length]();
    shape.setAttribute("data-node", at % COLOURS);
    const picture = draw("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, shape);
    const parts = [picture, make("span", { class: "mono", title: node }, short(node))];
    for (const words of [this.place(node), note].filter(Boolean)) {
      parts.push(" ", make("span", { class: "place" }, words));
    }
    return make("span", { class: "node" }, ...parts);
  }
}

const GLYPHS = { up: "●", suspect: "◐", down: "○" };
const WORDS = { up: "up", suspect: "suspect", down: "down" };

/** Whether a node answers: a glyph, a colour and a word. */
export function alive(liveness) {
  const glyph = make("span", { "aria-hidden": "true" }, GLYPHS[liveness] ?? "?");
  return make("span", { class: "alive", "data-state": liveness }, glyph, WORDS[liveness] ?? liveness);
}
