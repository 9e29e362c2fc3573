// Elements made and kept in step with what is known, without disturbing who reads or has the focus there.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

export function draw(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Fills an element anew only if `signature` is another than the last time. */
export function renew(element, signature, children) {
  if (element.dataset.signature === signature) return;
  const hadFocus = element.contains(document.activeElement);
  element.replaceChildren(...[children()].flat());
  element.dataset.signature = signature;
  if (hadFocus) element.querySelector("a, button, summary")?.focus();
}

/**
 * Keeps the rows of a table: each `{ key, cells }`, a cell being a text or `{ signature, node, number }`. Rows and cells that
 * say the same as before are left alone.
 */
export function rows(body, wanted, columns, empty) {
  const known = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  const kept = wanted.map(({ key, cells }) => {
    const row = known.get(key) ?? make("tr", { "data-key": key });
    cells.forEach((cell, at) => {
      const { signature, node, number } = typeof cell === "object" ? cell : { signature: cell };
      const td = row.cells[at] ?? row.appendChild(at === 0 ? make("th", { scope: "row" }) : make("td"));
      td.classList.toggle("number", Boolean(number));
      renew(td, String(signature), () => (node ? node() : String(signature)));
    });
    return row;
  });
  if (kept.length === 0) {
    kept.push(make("tr", {}, make("td", { colspan: columns, class: "empty" }, empty)));
  }
  const same = kept.length === body.rows.length && kept.every((row, at) => body.rows[at] === row);
  if (!same) body.replaceChildren(...kept);
}

/** Keeps a list of terms: each `[name, value, note]`. */
export function terms(list, wanted) {
  const groups = new Map([...list.children].map((group) => [group.dataset.key, group]));
  const kept = wanted.map(({ name, value, note = "", more }) => {
    const group = groups.get(name) ?? make("div", { "data-key": name }, make("dt", {}, name), make("dd"));
    const content = () => (note ? [`${value} `, make("small", {}, note)] : [String(value)]);
    renew(group.children[1], `${value}\n${note}`, content);
    if (more) {
      group.children[2]?.remove();
      group.append(make("dd", { "aria-hidden": "true" }, more()));
    }
    return group;
  });
  const same = kept.length === list.children.length && kept.every((it, at) => list.children[at] === it);
  if (!same) list.replaceChildren(...kept);
}

/** Says a text, if it is another than what is said already. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
