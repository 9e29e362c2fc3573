// The ring: whose each partition is, which of its owners are down, and what moves.

import { draw, make, renew, rows } from "./dom.js";
import { plural } from "./format.js";
import { COLOURS, alive } from "./nodes.js";

const CENTRE = 200;
const OUTER = 186;
const GAP = 3;

export class Ring {
  #ring = null;
  #members = [];
  #nodes;
  #picked = 0;
  #slider = document.getElementById("partition");
  #output = document.getElementById("partition-owners");
  #place = document.getElementById("ring");

  constructor(nodes) {
    this.#nodes = nodes;
    this.#slider.addEventListener("input", () => this.#pick(Number(this.#slider.value)));
    this.#place.addEventListener("pointermove", (event) => this.#point(event));
  }

  show(ring, members) {
    this.#ring = ring;
    this.#members = members;
    if (!ring) return;
    const about = `${plural(ring.partitions, "partition")}, ${plural(ring.replicas, "owner")} each, layout ${ring.layout.version}` +
      (ring.layout.epoch > 0 ? ` of epoch ${ring.layout.epoch}` : "") + ". The outermost band is the first owner.";
    const line = document.getElementById("ring-about");
    if (line.textContent !== about) line.textContent = about;
    this.#slider.max = ring.partitions - 1;
    const states = members.map((it) => it.node + it.liveness).join();
    const signature = JSON.stringify([ring.layout, ring.moves, states]);
    renew(this.#place, signature, () => this.#picture());
    this.#table();
    this.#pick(Math.min(this.#picked, ring.partitions - 1));
  }

  #liveness(node) {
    return this.#members.find((it) => it.node === node)?.liveness ?? "down";
  }

  #band(rank) {
    const thickness = Math.min(34, 108 / this.#ring.replicas);
    const outer = OUTER - rank * (thickness + GAP);
    return [outer, outer - thickness];
  }

  #picture() {
    const { owners, partitions, nodes, moves } = this.#ring;
    const svg = draw("svg", { viewBox: "0 0 400 400", role: "img", "aria-label": this.#description() });
    const stripes = draw("pattern", { id: "down", width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, draw("path", { d: "M0 0V7" }));
    svg.append(draw("defs", {}, stripes));
    const down = nodes.map((it) => this.#liveness(it.node) === "down");
    for (let rank = 0; rank < this.#ring.replicas; rank += 1) {
      const [outer, inner] = this.#band(rank);
      let from = 0;
      for (let partition = 1; partition <= partitions; partition += 1) {
        const owner = owners[from][rank];
        // Many partitions are drawn as runs of one owner.
        const runs = partitions > 128 && partition < partitions && owners[partition][rank] === owner;
        if (runs) continue;
        if (owner !== undefined) {
          const path = sector(from / partitions, partition / partitions, outer, inner);
          svg.append(draw("path", { class: "arc", "data-node": owner % COLOURS, d: path }));
          if (down[owner]) svg.append(draw("path", { class: "hatch", d: path }));
        }
        from = partition;
      }
    }
    for (const partition of new Set(moves.map((it) => it.partition))) {
      const path = arc(partition / partitions, (partition + 1) / partitions, OUTER + 7);
      svg.append(draw("path", { class: "move", d: path }));
    }
    svg.append(draw("path", { class: "picked", d: "" }));
    const words = moves.length > 0 ? `${moves.length} moving` : "nothing moves";
    svg.append(
      draw("text", { class: "big", x: CENTRE, y: CENTRE + 4 }, String(partitions)),
      draw("text", { class: "soft", x: CENTRE, y: CENTRE + 26 }, words),
    );
    return svg;
  }

  #description() {
    const { nodes, owners } = this.#ring;
    const shares = nodes.map((it, at) => {
      const owned = owners.filter((row) => row.includes(at)).length;
      return `${this.#nodes.text(it.node)} owns ${owned}`;
    });
    return `Partitions of the ring and their owners: ${shares.join(", ")}. The table below says the same.`;
  }

  #pick(partition) {
    this.#picked = partition;
    if (!this.#ring) return;
    this.#slider.value = partition;
    const { owners, partitions, nodes, moves } = this.#ring;
    const row = owners[partition].map((at) => nodes[at].node);
    const moving = moves.find((it) => it.partition === partition);
    const words = row.map((node) => `${this.#nodes.text(node)}, ${this.#liveness(node)}`).join("; ");
    this.#slider.setAttribute("aria-valuetext", `partition ${partition}: ${words}`);
    const states = row.map((node) => this.#liveness(node)).join();
    renew(this.#output, `${partition} ${row} ${states} ${moving}`, () => [
      make("strong", {}, String(partition)),
      ...row.map((node) => make("span", { class: "node" }, this.#nodes.mark(node), alive(this.#liveness(node)))),
      ...(moving ? [make("span", {}, "moves")] : []),
    ]);
    const picked = this.#place.querySelector(".picked");
    const [outer] = this.#band(0);
    const [, inner] = this.#band(this.#ring.replicas - 1);
    const edge = 0.0006;
    picked?.setAttribute("d", sector(partition / partitions - edge, (partition + 1) / partitions + edge, outer + 3, inner - 3));
  }

  #point(event) {
    const svg = this.#place.querySelector("svg");
    if (!svg || !this.#ring) return;
    const box = svg.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width - 0.5;
    const y = (event.clientY - box.top) / box.height - 0.5;
    if (Math.hypot(x, y) > 0.5 || Math.hypot(x, y) < 0.12) return;
    const turn = (Math.atan2(x, -y) / (2 * Math.PI) + 1) % 1;
    this.#pick(Math.floor(turn * this.#ring.partitions));
  }

  #table() {
    const { owners, nodes, moves } = this.#ring;
    const moving = new Map(moves.map((it) => [it.partition, it]));
    const wanted = owners.map((row, partition) => {
      const words = row.map((at) => {
        const node = nodes[at].node;
        const state = this.#liveness(node);
        return state === "up" ? this.#nodes.text(node) : `${this.#nodes.text(node)}, ${state}`;
      });
      return { key: String(partition), cells: [String(partition), words.join("; "), moving.has(partition) ? "yes" : "no"] };
    });
    rows(document.querySelector("#ring-table tbody"), wanted, 3, "There is no layout yet.");
  }
}

function point(turn, radius) {
  const angle = turn * 2 * Math.PI;
  return `${(CENTRE + radius * Math.sin(angle)).toFixed(2)} ${(CENTRE - radius * Math.cos(angle)).toFixed(2)}`;
}

function arc(from, to, radius) {
  // A whole circle has no direction.
  const end = Math.min(to, from + 0.9999);
  return `M${point(from, radius)}A${radius} ${radius} 0 ${end - from > 0.5 ? 1 : 0} 1 ${point(end, radius)}`;
}

function sector(from, to, outer, inner) {
  const end = Math.min(to, from + 0.9999);
  const large = end - from > 0.5 ? 1 : 0;
  return `M${point(from, outer)}A${outer} ${outer} 0 ${large} 1 ${point(end, outer)}` +
    `L${point(end, inner)}A${inner} ${inner} 0 ${large} 0 ${point(from, inner)}z`;
}
