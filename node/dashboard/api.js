// Asks the node that served this page, with the token of this tab where one was given.

const KEPT = "coterie-token";
const TIME_MAX = 8000;

/** The node answered, but not with what was asked for. */
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `the node answers ${status}`);
    this.status = status;
    this.whatToDo = problem.what_to_do ?? "";
  }
}

export const hasToken = () => sessionStorage.getItem(KEPT) !== null;

export function keepToken(token) {
  if (token) sessionStorage.setItem(KEPT, token);
  else sessionStorage.removeItem(KEPT);
}

async function send(path, body) {
  const headers = {};
  const token = sessionStorage.getItem(KEPT);
  if (token !== null) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(path, {
    method: body === undefined ? "GET" : "POST",
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    cache: "no-store",
    credentials: "same-origin",
    signal: AbortSignal.timeout(TIME_MAX),
  });
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw new Refusal(response.status, problem);
}

export const json = async (path, body) => (await send(path, body)).json();
export const text = async (path) => (await send(path)).text();

/** A path with a bucket and a key, whatever characters they have. */
export const ofKey = (route, bucket, key) =>
  `${route}/${encodeURIComponent(bucket)}/${encodeURIComponent(key)}`;
