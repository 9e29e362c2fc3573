// Looks at a node's dashboard in headless Chromium, and prints what is wrong as JSON.
// usage: look.js '{"scene": "whole" | "one down", "nodes": ["127.0.0.1:7380", …]}'
"use strict";

const { chromium } = require("playwright-core");
const axe = require("axe-core");

const { scene, nodes } = JSON.parse(process.argv[2]);
const origin = `http://${nodes[0]}`;
// On a machine that does much else.
const WAIT = 60_000;

const wrong = [];
let checked = 0;

function check(what, holds, detail = "") {
  checked += 1;
  if (!holds) wrong.push(detail ? `${what}: ${detail}` : what);
}

/** Waits until something holds on the page; what is wrong otherwise. */
async function until(page, what, holds, argument) {
  checked += 1;
  try {
    await page.waitForFunction(holds, argument, { timeout: WAIT });
  } catch {
    wrong.push(`${what}: not within ${WAIT} ms; the page says: ${await page.evaluate(() => document.querySelector("main").innerText.slice(0, 600))}`);
  }
}

/** No violation that axe knows, in light and dark, on a desktop and on a phone. */
async function accessible(page) {
  for (const [width, height] of [[1280, 900], [390, 844]]) {
    for (const colorScheme of ["light", "dark"]) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      check(`nothing sticks out at ${width}`, wide <= width, `${wide} px`);
      await page.evaluate(axe.source);
      const { violations } = await page.evaluate(() => window.axe.run(document, { preload: false }));
      const found = violations.map((it) => `${it.id} at ${it.nodes.map((node) => node.target).join(" and ")}`);
      check(`axe finds nothing at ${width}, ${colorScheme}`, found.length === 0, found.join("; "));
    }
  }
  await page.setViewportSize({ width: 1280, height: 900 });
}

/** What Tab comes to, from the page's start until it begins anew. */
async function tabbed(page) {
  // The page's first stop.
  await page.focus(".skip");
  const reached = [{ name: "skip", seen: true }];
  for (let press = 0; press < 60; press += 1) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const element = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      const seen = outlineStyle !== "none" && outlineWidth !== "0px";
      const name = element.id || element.getAttribute("aria-label") || element.getAttribute("aria-labelledby") || element.textContent.trim();
      return { name: element === document.body ? "" : name, seen };
    });
    if (at.name === "" || reached.some((it) => it.name === at.name)) break;
    reached.push(at);
  }
  return reached;
}

async function whole(page) {
  // The machine's disk may be fuller than a node likes.
  await until(page, "nothing is wrong", () => ["good", "warn"].includes(document.querySelector("#verdict").dataset.grade));
  await until(page, "three members are up", () =>
    [...document.querySelectorAll("#members tbody .alive")].filter((it) => it.textContent.includes("up")).length === 3);
  await until(page, "the ring as a table", () => document.querySelectorAll("#ring-table tbody tr").length === 64);
  await until(page, "the ring as a picture", () => document.querySelectorAll("#ring .arc").length === 192);
  await until(page, "rates by level", () => {
    const cells = document.querySelector('#load tbody tr[data-key="default"]')?.cells;
    return cells && Number.parseFloat(cells[1].textContent) > 0 && cells[4].textContent.startsWith("≤");
  });

  await page.focus("#key");
  await page.keyboard.type("cart");
  await page.keyboard.press("Enter");
  await until(page, "the inspector finds a set", () => document.querySelector("#found h3")?.textContent === "cart: set");
  const found = await page.textContent("#found");
  for (const words of ["apples", "pears", "set member", "coordinator"]) check(`the inspector shows ${words}`, found.includes(words), found);
  check("the inspector shows dots", /[0-9a-f]{16}:\d+/.test(found), found);
  await page.fill("#key", "nothing here");
  await page.keyboard.press("Enter");
  await until(page, "the inspector says that there is no such key", () =>
    document.querySelector("#found h3")?.textContent === "nothing here: no such key");

  const reached = await tabbed(page);
  const names = reached.map((it) => it.name);
  for (const name of ["pause", "partition", "Table of members", "Table of requests by level", "bucket", "key", "Inspect"]) {
    check(`Tab comes to ${name}`, names.includes(name), names.join(", "));
  }
  check("Tab comes to the other dashboards", names.filter((it) => it.startsWith("Open the dashboard of node")).length === 2, names.join(", "));
  const unseen = reached.filter((it) => !it.seen).map((it) => it.name);
  check("the focus is always seen", unseen.length === 0, unseen.join(", "));

  await page.focus("#partition");
  await page.keyboard.press("ArrowRight");
  const said = await page.getAttribute("#partition", "aria-valuetext");
  check("an arrow key goes to the next partition", said.startsWith("partition 1: "), said);
  await page.click("#pause");
  check("it says that it is paused", (await page.textContent("#live")).includes("paused"));
  check("the button says so, too", (await page.getAttribute("#pause", "aria-pressed")) === "true");
  await accessible(page);
}

async function oneDown(page) {
  await until(page, "a node that is down is shown so", () =>
    [...document.querySelectorAll("#members tbody .alive")].some((it) => it.textContent.includes("down")));
  await until(page, "what is wrong is said first", () =>
    document.querySelector("#verdict").dataset.grade === "bad" &&
    document.querySelector("#problems li").textContent.includes("does not answer"));
  await until(page, "its share of the ring is hatched", () => document.querySelectorAll("#ring .hatch").length > 0);
  await accessible(page);
}

/** A door that asks for a token: its answers are made up here. */
async function guarded(browser) {
  const page = await browser.newPage();
  let given = null;
  await page.route("**/v1/**", (route) => {
    given = route.request().headers().authorization ?? given;
    return route.fulfill({ status: 401, json: { error: "no_token", detail: "this door asks for a token" } });
  });
  await page.goto(`${origin}/`);
  await until(page, "the page asks for a token", () => !document.querySelector("#token-form").hidden);
  await page.fill("#token", "secret");
  await page.keyboard.press("Enter");
  await until(page, "the page says that it was not accepted", () =>
    document.querySelector("#token-title").textContent.includes("not accepted"));
  check("the token is sent", given === "Bearer secret", String(given));
  await page.close();
}

async function main() {
  const browser = await chromium.launch({
    executablePath: process.env.COTERIE_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    page.setDefaultTimeout(WAIT);
    page.on("console", (message) => {
      if (message.type() === "error") wrong.push(`the console says: ${message.text()}`);
    });
    page.on("pageerror", (error) => wrong.push(`the page fails: ${error}`));
    page.on("request", (request) => {
      if (!request.url().startsWith(`${origin}/`)) wrong.push(`it asks elsewhere: ${request.url()}`);
    });
    await page.goto(`${origin}/`);
    if (scene === "whole") {
      await whole(page);
      await guarded(browser);
    } else {
      await oneDown(page);
    }
  } finally {
    await browser.close();
  }
  process.stdout.write(JSON.stringify({ checked, wrong }));
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
