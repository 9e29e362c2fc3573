// What the node counts (/metrics), and rates and latencies between two looks at it.

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** The samples of OpenMetrics text, by name: each with its labels and value. */
export function parse(text) {
  const families = new Map();
  for (const line of text.split("\n")) {
    const found = line.startsWith("#") ? null : LINE.exec(line);
    if (!found) continue;
    const labels = {};
    for (const [, name, value] of (found[2] ?? "").matchAll(LABEL)) labels[name] = value;
    if (!families.has(found[1])) families.set(found[1], []);
    families.get(found[1]).push({ labels, value: Number(found[3]) });
  }
  return families;
}

/** All samples of a name whose labels fit, added up; nothing where there are none. */
export function sum(families, name, fits = {}) {
  const wanted = Object.entries(fits);
  const samples = (families.get(name) ?? []).filter((it) =>
    wanted.every(([label, value]) => it.labels[label] === value));
  if (samples.length === 0) return undefined;
  return samples.reduce((all, it) => all + it.value, 0);
}

/** The values of a label that occur. */
export function values(families, name, label) {
  return [...new Set((families.get(name) ?? []).map((it) => it.labels[label]))];
}

/** Looks at the counters, the last two minutes of them. */
export class History {
  #looks = [];
  #kept = 60;

  add(at, families) {
    const started = sum(families, "coterie_start_time_seconds");
    // A node that was started again counts from zero.
    if (this.#looks.length > 0 && this.#looks.at(-1).started !== started) this.#looks = [];
    this.#looks.push({ at, started, families });
    if (this.#looks.length > this.#kept) this.#looks.shift();
  }

  /** By how much a counter rose in a second, between each two looks; the oldest first. */
  rates(name, fits) {
    const rates = [];
    for (let at = 1; at < this.#looks.length; at += 1) {
      const [before, after] = [this.#looks[at - 1], this.#looks[at]];
      const seconds = (after.at - before.at) / 1000;
      const rise = (sum(after.families, name, fits) ?? 0) - (sum(before.families, name, fits) ?? 0);
      rates.push(seconds > 0 ? Math.max(0, rise) / seconds : 0);
    }
    return rates;
  }

  /** The rate over the last looks. */
  rate(name, fits, looks = 3) {
    const rates = this.rates(name, fits).slice(-looks);
    return rates.length === 0 ? undefined : rates.reduce((all, it) => all + it, 0) / rates.length;
  }

  /** The bound in seconds that so large a share of what took place in the last looks stayed below. */
  quantile(name, fits, share, looks = 5) {
    if (this.#looks.length < 2) return undefined;
    const [before, after] = [this.#looks.at(-1 - looks) ?? this.#looks[0], this.#looks.at(-1)];
    const bounds = new Map();
    const count = (look, sign) => {
      for (const it of look.families.get(`${name}_bucket`) ?? []) {
        if (!Object.entries(fits).every(([label, value]) => it.labels[label] === value)) continue;
        const bound = it.labels.le === "+Inf" ? Infinity : Number(it.labels.le);
        bounds.set(bound, (bounds.get(bound) ?? 0) + sign * it.value);
      }
    };
    count(after, 1);
    count(before, -1);
    // Buckets are cumulative.
    const sorted = [...bounds].sort((a, b) => a[0] - b[0]);
    const all = sorted.at(-1)?.[1] ?? 0;
    if (all <= 0) return undefined;
    return sorted.find(([, below]) => below >= all * share)[0];
  }
}
