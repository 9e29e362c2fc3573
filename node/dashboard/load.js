// Requests by level: how many, how long they take, how many were not done.

import { rows } from "./dom.js";
import { count, latency } from "./format.js";
import { values } from "./metrics.js";
import { spark } from "./spark.js";

const COMMANDS = "coterie_commands_total";
const ORDER = ["default", "any", "one", "two", "three", "quorum", "all", "local_one", "local_quorum", "each_quorum", "linearizable"];
const NOT_DONE = ["refused", "unavailable", "unknown"];

const body = document.querySelector("#load tbody");

/** Of a level, or of all: requests in a second, and those that were not done. */
export function rates(history, fits = {}) {
  const all = history.rate(COMMANDS, fits);
  if (all === undefined) return { all, lost: undefined };
  const lost = NOT_DONE.reduce((sum, outcome) => sum + history.rate(COMMANDS, { ...fits, outcome }), 0);
  return { all, lost };
}

export function showLoad({ families }, history) {
  const seen = new Set(values(families, COMMANDS, "level"));
  const wanted = ORDER.filter((level) => seen.has(level)).map((level) => {
    const { all, lost } = rates(history, { level });
    const each = (share) => latency(history.quantile("coterie_level_duration_seconds", { level }, share));
    const past = history.rates(COMMANDS, { level });
    return {
      key: level,
      cells: [
        level,
        { signature: count(all), number: true },
        { signature: past.map(Math.round).join(), node: () => spark(past) },
        { signature: each(0.5), number: true },
        { signature: each(0.99), number: true },
        { signature: count(lost), number: true },
      ],
    };
  });
  rows(body, wanted, 6, "No client has sent a command yet.");
}
