// Hints, synchronisation, and partitions that move to other owners.

import { make, renew, rows, terms } from "./dom.js";
import { bytes, count, plural } from "./format.js";
import { sum } from "./metrics.js";

const list = document.getElementById("repair");
const place = document.getElementById("moves");

export function showRepair({ status, families, moves }, history) {
  const hints = sum(families, "coterie_hint_bytes") ?? 0;
  const owners = (families.get("coterie_hint_bytes") ?? []).filter((it) => it.value > 0).length;
  const slices = sum(families, "coterie_slices") ?? 0;
  const unreceived = sum(families, "coterie_slices_unreceived") ?? 0;
  const note = (name) => sum(families, "coterie_lane_notes_total", { note: name }) ?? 0;
  terms(list, [
    { name: "Hints kept here", value: bytes(hints), note: owners > 0 ? `for ${plural(owners, "node")}` : "for nobody" },
    { name: "Slices held", value: count(slices), note: unreceived > 0 ? `${unreceived} not all here yet` : "all here" },
    { name: "Synchronisation", value: `${count(history.rate("coterie_sync_messages_total"))}/s`, note: "messages sent" },
    { name: "Moves", value: count(status.moves.moving), note: `${count(history.rate("coterie_move_messages_total"))} messages/s` },
    { name: "Scrubbed", value: count(note("scrubbed_keys")), note: "keys looked at for damage" },
    { name: "Damaged", value: count(note("damaged_keys")), note: "keys, repaired from other owners" },
  ]);
  const here = moves?.here ?? [];
  renew(place, JSON.stringify(here), () => (here.length > 0 ? table(here) : []));
}

function table(here) {
  const heads = ["Partition", "Received here"].map((head) => make("th", { scope: "col" }, head));
  const body = make("tbody");
  const wanted = here.map(({ partition, replicas, permille }) => ({
    key: `${partition}/${replicas}`,
    cells: [
      `${partition} (${plural(replicas, "replica")})`,
      { signature: String(permille), node: () => progress(partition, permille) },
    ],
  }));
  rows(body, wanted, 2, "");
  const caption = make("caption", { class: "unseen" }, "Partitions that move here, and how much has been received");
  return [make("h3", {}, "Moving here"), make("table", {}, caption, make("thead", {}, make("tr", {}, ...heads)), body)];
}

function progress(partition, permille) {
  const bar = make("progress", { max: 1000, value: permille, "aria-label": `Partition ${partition}` });
  return make("span", { class: "node" }, bar, `${Math.floor(permille / 10)} %`);
}
