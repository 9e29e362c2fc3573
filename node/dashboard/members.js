// The members, as the failure detector of this node sees them.

import { make, rows } from "./dom.js";
import { bytes } from "./format.js";
import { sum } from "./metrics.js";
import { alive } from "./nodes.js";

const body = document.querySelector("#members tbody");

function role(member, voters) {
  const words = [member.state ?? "not in the layout"];
  const asked = member.asked?.state;
  if (asked && asked !== member.state) words.push(`asked: ${asked}`);
  if (voters.has(member.node)) words.push("votes");
  return words.join(", ");
}

export function showMembers({ status, members, ring, families }, nodes) {
  const voters = new Set(status.voters);
  const owned = new Map();
  for (const at of ring?.owners.flat() ?? []) {
    const node = ring.nodes[at].node;
    owned.set(node, (owned.get(node) ?? 0) + 1);
  }
  const wanted = members.map((member) => {
    const here = member.is_this_node;
    const note = here ? "this node" : "";
    const hints = sum(families, "coterie_hint_bytes", { owner: member.node });
    const http = member.announces?.http;
    return {
      key: member.node,
      cells: [
        { signature: member.node + nodes.text(member.node) + note, node: () => nodes.mark(member.node, note) },
        { signature: member.liveness, node: () => alive(member.liveness) },
        role(member, voters),
        { signature: String(owned.get(member.node) ?? 0), number: true },
        { signature: here ? "" : bytes(hints ?? 0), number: true },
        {
          signature: `${http} ${here}`,
          node: () => (here || !http ? (here ? "this" : "–") : link(member.node, http)),
        },
      ],
    };
  });
  rows(body, wanted, 6, "No member is known.");
}

function link(node, http) {
  const url = `${location.protocol}//${http}/`;
  return make("a", { href: url, "aria-label": `Open the dashboard of node ${node.slice(0, 8)}` }, "Open");
}
