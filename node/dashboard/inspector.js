// One key: its type and contents, its cells with the dots that are live in them, and who said what of it.

import { json, ofKey } from "./api.js";
import { make, rows, terms } from "./dom.js";
import { plural, short, value } from "./format.js";
import { alive } from "./nodes.js";

const SHOWN = 100;

const KINDS = {
  1: "register", 2: "hash field", 3: "map value", 4: "list element", 5: "set member", 6: "set member (remove wins)",
  7: "set member (grow only)", 8: "sorted set member", 9: "HyperLogLog register", 10: "flag (enable wins)",
  11: "flag (disable wins)", 15: "expiry",
};

/** What reads the first elements of a type, and with them the cells. */
const READS = {
  string: { operation: "string.get_siblings" },
  set: { operation: "set.scan", count: SHOWN },
  hash: { operation: "hash.scan", count: SHOWN },
  zset: { operation: "sorted_set.by_rank", start: 0, stop: SHOWN - 1 },
  list: { operation: "list.range", start: 0, stop: SHOWN - 1 },
};

export class Inspector {
  #nodes;
  #liveness;
  #found = document.getElementById("found");
  #bucket = document.getElementById("bucket");
  #asked = 0;

  constructor(nodes, liveness) {
    this.#nodes = nodes;
    this.#liveness = liveness;
    document.getElementById("inspector").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#inspect(this.#bucket.value, document.getElementById("key").value);
    });
  }

  /** The buckets to choose from. */
  offer(buckets) {
    const names = buckets.map((it) => it.name);
    if (names.length === 0 || names.join() === [...this.#bucket.options].map((it) => it.value).join()) return;
    const chosen = this.#bucket.value;
    this.#bucket.replaceChildren(...names.map((name) => make("option", {}, name)));
    this.#bucket.value = names.includes(chosen) ? chosen : names[0];
  }

  async #inspect(bucket, key) {
    const asked = ++this.#asked;
    this.#found.replaceChildren(make("p", { class: "empty" }, "Asking the owners…"));
    let shown;
    try {
      shown = await this.#ask(bucket, key);
    } catch (error) {
      shown = [make("p", { class: "refusal" }, `Not read: ${error.message}.`)];
      if (error.whatToDo) shown.push(make("p", {}, error.whatToDo));
    }
    // A later question may have been answered already.
    if (asked === this.#asked) this.#found.replaceChildren(...shown);
  }

  async #ask(bucket, key) {
    const explained = await json(ofKey("/v1/explain", bucket, key));
    const placed = await json(ofKey("/v1/ring/owners", bucket, key));
    const type = typeof explained.type === "string" ? explained.type : "unreadable";
    const read = await this.#read(bucket, key, type);
    const said = read?.explanation ?? explained.explanation;
    return [
      make("h3", {}, `${key}: ${type === "none" ? "no such key" : type}`),
      this.#facts(explained, said, placed),
      ...contents(read?.replies[0]?.reply, type),
      ...(type === "none" ? [] : this.#cells(said?.dots ?? [])),
      ...this.#owners(said, placed),
    ];
  }

  /** The contents with an explanation; strong registers have neither siblings nor cells. */
  async #read(bucket, key, type) {
    if (type === "none") return null;
    const ask = (operation) => json("/v1/operations", { bucket, key, operations: [operation], explain: true });
    const read = READS[type] ?? { operation: "key.kinds" };
    return ask(read).catch((error) => (type === "string" ? ask({ operation: "string.get" }) : Promise.reject(error)));
  }

  #facts(explained, said, placed) {
    const facts = make("dl", { class: "facts" });
    terms(facts, [
      { name: "Partition", value: placed.partition, note: `hash ${placed.hash}` },
      { name: "Replicas", value: placed.replicas },
      { name: "Coordinator", value: said?.coordinator ? this.#nodes.text(said.coordinator) : "–" },
      { name: "Purge epoch", value: explained.purge_epoch },
      { name: "Hinted for", value: said?.hinted.length ? said.hinted.map(short).join(", ") : "nobody" },
      { name: "Digest of what was read", value: said?.digest.slice(0, 16) ?? "–", note: said?.digest.slice(16) },
    ]);
    return facts;
  }

  #cells(cells) {
    const heads = ["Cell", "Path", "Live dots (actor : sequence)"];
    const wanted = cells.map(({ cell, dots }, at) => {
      const { kind, path } = name(cell);
      return { key: String(at), cells: [kind, path, { signature: dots.join(), node: () => make("span", { class: "mono" }, dots.join(", ")) }] };
    });
    return section("Cells and dots", "Cells of the key with their live dots", heads, wanted, "The coordinator had no cells in hand: the key is too large, or none is live.");
  }

  #owners(said, placed) {
    const answers = new Map((said?.answers ?? []).map((it) => [it.node, value(it.said)]));
    const role = (node) => (node === said?.coordinator ? "coordinator" : "owner");
    const line = (it, what) => ({
      key: it.node,
      cells: [
        { signature: it.node, node: () => this.#nodes.mark(it.node) },
        what,
        { signature: this.#liveness(it.node), node: () => alive(this.#liveness(it.node)) },
        answers.get(it.node) ?? (it.node === said?.coordinator ? "evaluated it" : "not asked, or not waited for"),
      ],
    });
    const older = placed.older_owners.flat().filter((it) => !placed.owners.some((own) => own.node === it.node));
    const wanted = [...placed.owners.map((it) => line(it, role(it.node))), ...older.map((it) => line(it, "older owner"))];
    return section("Owners", "Owners of the key and what they said", ["Node", "Role", "Answers", "Said"], wanted, "");
  }
}

function section(title, caption, heads, wanted, empty) {
  const body = make("tbody");
  rows(body, wanted, heads.length, empty);
  const head = make("tr", {}, ...heads.map((it) => make("th", { scope: "col" }, it)));
  const table = make("table", {}, make("caption", { class: "unseen" }, caption), make("thead", {}, head), body);
  return [make("h3", {}, title), make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, table)];
}

/** What a reading operation answered. */
function contents(reply, type) {
  if (reply === undefined || reply === null) return [];
  if (typeof reply === "string") return list("Value", [clip(reply)]);
  if (type === "string") {
    const values = reply.siblings ?? [reply];
    return list(values.length > 1 ? `${values.length} concurrent values` : "Value", values.map((it) => clip(value(it))));
  }
  if (!READS[type] || !Array.isArray(reply)) return [];
  return list(`Contents${reply.length >= SHOWN ? `, the first ${SHOWN}` : ""}`, reply.map(element));
}

function list(title, values) {
  const items = values.map((it) => make("li", { class: "mono" }, it));
  return [make("h3", {}, title), make("ul", { class: "values" }, ...items)];
}

function element(it) {
  if (it && typeof it === "object" && "field" in it) return clip(`${value(it.field)} = ${value(it.value)}`);
  if (it && typeof it === "object" && "member" in it) return clip(`${value(it.member)} (${it.score})`);
  return clip(value(it));
}

function clip(text) {
  return text.length > 400 ? `${text.slice(0, 400)}… (${plural(text.length, "character")})` : text;
}

/** A cell's address: a byte of kind, then the path. */
function name(cell) {
  const binary = typeof cell === "object";
  const raw = binary ? atob(cell.base64) : cell;
  const path = binary ? hexadecimal(raw.slice(1)) : raw.slice(1);
  return { kind: KINDS[raw.charCodeAt(0)] ?? "cell", path: path ? clip(readable(path)) : "–" };
}

const hexadecimal = (raw) => [...raw].map((it) => it.charCodeAt(0).toString(16).padStart(2, "0")).join("");

const readable = (text) =>
  text.replace(/[\u0000-\u001f\u007f]/g, (it) => `\\x${it.charCodeAt(0).toString(16).padStart(2, "0")}`);
