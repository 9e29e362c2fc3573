// Numbers, times and names as people read them.

export function count(number) {
  if (number === undefined) return "–";
  if (number >= 10_000) return `${compact.format(number)}`;
  return plain.format(number >= 100 ? Math.round(number) : Math.round(number * 10) / 10);
}

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export function bytes(number) {
  if (number === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  let value = number;
  while (value >= 1024 && at < units.length - 1) {
    value /= 1024;
    at += 1;
  }
  return `${value < 10 && at > 0 ? value.toFixed(1) : Math.round(value)} ${units[at]}`;
}

/** A bound of a latency: buckets are powers of two, so more is not known. */
export function latency(seconds) {
  if (seconds === undefined) return "–";
  if (!Number.isFinite(seconds)) return "over 8 s";
  if (seconds < 0.001) return `≤ ${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `≤ ${Math.round(seconds * 1000)} ms`;
  return `≤ ${seconds.toPrecision(2)} s`;
}

export function time(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

export const short = (id) => id.slice(0, 8);
export const plural = (number, one, many = `${one}s`) => `${plain.format(number)} ${number === 1 ? one : many}`;

/** Bytes in JSON are a text, or base64 where they are none. */
export function value(given) {
  if (typeof given === "string") return given;
  if (given && typeof given === "object" && "base64" in given) return `base64 ${given.base64}`;
  return JSON.stringify(given);
}
