// What is wrong, the worst first, and what to do about it.

import { bytes, plural } from "./format.js";
import { sum } from "./metrics.js";

const WORST = { bad: 0, warn: 1, good: 2 };

/** Of each partition, how many owners may answer: all that are not down. */
function reachable(ring, members) {
  const down = new Set(members.filter((it) => it.liveness === "down").map((it) => it.node));
  return ring.owners.map((row) => ({
    owners: row.length,
    live: row.filter((at) => !down.has(ring.nodes[at].node)).length,
  }));
}

export function judge({ status, members, ring, families }, nodes) {
  const problems = [];
  const note = (grade, what, whatToDo = "") => problems.push({ grade, what, whatToDo });
  const of = (liveness) => members.filter((it) => it.liveness === liveness);

  if (!status.in_cluster) {
    note("bad", "This node is in no cluster.", "Begin one with --bootstrap, or join one with --join.");
  }
  if (status.amnesiac) {
    note("bad", "This node may have lost data, and serves nothing until it has received it again.", "It does that by itself; the others have to be reachable.");
  }
  if (status.isolated) {
    note("bad", "This node hears too few others: it may be cut off from them.", "Look at its network. What it shows of the others may be old.");
  }
  for (const member of of("down")) {
    note("bad", `Node ${nodes.text(member.node)} does not answer.`, "Hints are kept for it, and it is brought up to date when it comes back. Replace it if it is gone for good.");
  }
  for (const member of of("suspect")) {
    note("warn", `Node ${nodes.text(member.node)} is suspected: it has not answered of late.`, "In a few seconds it is held for up or down.");
  }
  if (ring) {
    const rows = reachable(ring, members);
    const dead = rows.filter((it) => it.live === 0).length;
    const minority = rows.filter((it) => it.live > 0 && it.live < Math.floor(it.owners / 2) + 1).length;
    if (dead > 0) note("bad", `${plural(dead, "partition")} of ${rows.length} cannot be reached at all.`, "Their owners are all down: bring one back.");
    if (minority > 0) note("bad", `${plural(minority, "partition")} of ${rows.length} ${minority === 1 ? "has" : "have"} no majority of owners.`, "Requests at quorum are unavailable there; at one, and in sloppy buckets, they go on.");
    const voters = new Set(status.voters);
    const gone = of("down").filter((it) => voters.has(it.node)).length;
    if (gone * 2 >= voters.size && gone > 0) note("bad", "No majority of the voters answers: no layout can be decided.", "Data is served as before. Bring voters back before anything is joined, moved or removed.");
  }
  if (status.unanswered.length > 0) {
    note("warn", `${plural(status.unanswered.length, "node")} ${status.unanswered.length === 1 ? "has" : "have"} not said yet what this one may have lost.`, "It goes on asking.");
  }
  if (status.abstains) {
    note("warn", "This node does not vote on layouts until it has learned a later one.", "That follows a loss or a restore, and ends by itself.");
  }
  for (const member of members.filter((it) => it.unfit)) {
    note("warn", `Node ${nodes.text(member.node)} is not taken in: ${member.unfit}`);
  }
  for (const warning of status.warnings) note("warn", warning);
  if (status.refused) note("warn", `What is asked for cannot be decided: ${JSON.stringify(status.refused)}`);

  const free = sum(families, "coterie_storage_free_ratio");
  if (free !== undefined && free < 0.02) note("bad", "The disk is full: this node takes no writes and keeps no hints.", "Free or add disk space.");
  else if (free !== undefined && free < 0.1) note("bad", "The disk is nearly full: this node refuses clients' writes.", "Free or add disk space; reads go on.");
  else if (free !== undefined && free < 0.15) note("warn", "Less than 15 % of the disk is free.", "Below 10 % writes are refused.");
  const damaged = sum(families, "coterie_storage_events_total", { event: "damaged" });
  if (damaged > 0) note("bad", "The disk has given damaged rows back.", "They are repaired from the other owners; look at the disk.");
  const unreceived = sum(families, "coterie_slices_unreceived");
  if (unreceived > 0) note("warn", `${plural(unreceived, "slice")} of this node ${unreceived === 1 ? "is" : "are"} not all here yet.`, "They are being received.");
  const hints = sum(families, "coterie_hint_bytes");
  if (hints > 0) note("warn", `${bytes(hints)} of hints are kept here for other nodes.`, "They are replayed as soon as those answer.");

  problems.sort((a, b) => WORST[a.grade] - WORST[b.grade]);
  const up = of("up").length;
  const grade = problems[0]?.grade ?? "good";
  const lines = {
    good: `All is well: ${up} of ${plural(members.length, "member")} up, every partition has all its owners.`,
    warn: `It serves; ${plural(problems.length, "thing")} to know.`,
    bad: `${plural(problems.filter((it) => it.grade === "bad").length, "thing")} wrong: ${up} of ${plural(members.length, "member")} up.`,
  };
  return { grade, line: lines[grade], problems };
}
