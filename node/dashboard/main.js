// Asks again and again, and shows what came of it. Pauses while nobody looks.

import { Refusal, hasToken, json, keepToken, text } from "./api.js";
import { make, renew, say, terms } from "./dom.js";
import { bytes, count, latency, short, time } from "./format.js";
import { judge } from "./health.js";
import { Inspector } from "./inspector.js";
import { rates, showLoad } from "./load.js";
import { showMembers } from "./members.js";
import { History, parse, sum } from "./metrics.js";
import { Nodes } from "./nodes.js";
import { showRepair } from "./repair.js";
import { Ring } from "./ring.js";
import { spark } from "./spark.js";

const EVERY = 2000;

const nodes = new Nodes();
const history = new History();
const ring = new Ring(nodes);
const at = (id) => document.getElementById(id);

let members = [];
const inspector = new Inspector(nodes, (node) => members.find((it) => it.node === node)?.liveness ?? "down");

/** What was learned last. */
const known = { ring: null, ringOf: "", moves: null };
let answeredAt = null;
let failure = null;
let paused = false;
let timer = null;
let asking = false;

async function look() {
  const [status, listed, counted] = await Promise.all([json("/v1/status"), json("/v1/members"), text("/metrics")]);
  const families = parse(counted);
  history.add(performance.now(), families);
  members = listed.members;
  // The ring is large, and seldom another.
  const ringOf = JSON.stringify([status.layout, status.moves.moving, status.moves.done]);
  if (status.in_cluster && ringOf !== known.ringOf) {
    known.ring = await json("/v1/ring");
    known.ringOf = ringOf;
    inspector.offer((await json("/v1/buckets")).buckets);
  }
  known.moves = status.moves.moving > 0 ? await json("/v1/moves") : null;
  return { status, members, families, ring: known.ring, moves: known.moves };
}

function show(seen) {
  nodes.learn(seen.ring, seen.members);
  const { status } = seen;
  say(at("where"), `Node ${nodes.text(status.node)}, cluster ${short(status.cluster)}, version ${status.version}, up ${time(status.uptime_seconds)}`);
  const { grade, line, problems } = judge(seen, nodes);
  verdict(grade, line, problems);
  figures(seen);
  ring.show(seen.ring, seen.members);
  showMembers(seen, nodes);
  showLoad(seen, history);
  showRepair(seen, history);
  document.title = `${grade === "bad" ? "⚠ " : ""}Coterie: ${short(status.node)}`;
}

function verdict(grade, line, problems) {
  at("verdict").dataset.grade = grade;
  say(at("verdict").querySelector(".verdict-line"), line);
  const words = { bad: "Wrong", warn: "To know" };
  renew(at("problems"), JSON.stringify(problems), () => problems.map((it) => make("li", {},
    make("span", { class: "tag", "data-grade": it.grade }, words[it.grade]),
    make("strong", {}, it.what),
    ...(it.whatToDo ? [make("span", { class: "what-to-do" }, it.whatToDo)] : []))));
}

function figures({ status, families, members: all }) {
  const { all: rate, lost } = rates(history);
  const p99 = history.quantile("coterie_level_duration_seconds", {}, 0.99);
  const free = sum(families, "coterie_storage_free_ratio");
  const hints = sum(families, "coterie_hint_bytes") ?? 0;
  const past = history.rates("coterie_commands_total", {});
  terms(at("figures"), [
    { name: "Members up", value: `${status.members.up} of ${all.length}`, note: status.members.suspect > 0 ? `${status.members.suspect} suspect` : "" },
    { name: "Commands/s", value: count(rate), note: "here", more: () => spark(past) },
    { name: "p99 latency", value: latency(p99) },
    { name: "Not done/s", value: count(lost) },
    { name: "Hints kept here", value: bytes(hints) },
    { name: "Moves", value: count(status.moves.moving) },
    { name: "Disk free", value: free === undefined ? "–" : `${Math.round(free * 100)} %` },
  ]);
}

function live() {
  const [dot, words] = at("live").children;
  const state = (name, said) => {
    dot.dataset.state = name;
    say(words, said);
  };
  if (paused) state("wait", "paused");
  else if (failure) state("bad", "not reached");
  else state("good", "live");
}

function fail(error) {
  const refused = error instanceof Refusal;
  if (refused && error.status === 401) {
    at("token-form").hidden = false;
    say(at("token-title"), hasToken() ? "The token was not accepted" : "This door asks for a token");
    verdict("warn", "Nothing is shown without a token.", []);
    return;
  }
  failure = error;
  const since = answeredAt ? `What is shown is ${time((performance.now() - answeredAt) / 1000)} old.` : "Nothing is known of it.";
  const what = refused ? `This node answers, but: ${error.message}.` : "This node cannot be reached.";
  verdict("bad", what, [{ grade: "bad", what: since, whatToDo: refused ? error.whatToDo : "Look whether its process runs. Another node's dashboard shows how the cluster is." }]);
}

async function turn() {
  clearTimeout(timer);
  if (paused || document.hidden || asking) return;
  asking = true;
  try {
    const seen = await look();
    failure = null;
    answeredAt = performance.now();
    at("token-form").hidden = true;
    show(seen);
  } catch (error) {
    fail(error);
  } finally {
    asking = false;
  }
  live();
  timer = setTimeout(turn, EVERY);
}

at("pause").addEventListener("click", () => {
  paused = !paused;
  at("pause").setAttribute("aria-pressed", String(paused));
  live();
  turn();
});

at("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken(at("token").value.trim());
  at("token").value = "";
  turn();
});

document.addEventListener("visibilitychange", turn);
turn();
