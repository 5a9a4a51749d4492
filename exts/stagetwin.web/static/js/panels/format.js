/**
 * Values, units, times and states in words.
 */

/** Qualities by their number on the wire. */
export const QUALITIES = ["good", "uncertain", "bad", "stale"];

const UNITS = {
  Cel: "°C", deg: "°", "1": "", "%": "%", um: "µm", Ohm: "Ω", "[degF]": "°F", rad: "rad",
  "1/min": "1/min", "m3/h": "m³/h", m3: "m³", m2: "m²", "m/s2": "m/s²", "kg/m3": "kg/m³", "{rpm}": "rpm",
};

/**
 * Return a UCUM unit as people write it.
 *
 * @param {string|undefined} unit
 * @returns {string}
 */
export function unitText(unit) {
  if (!unit) return "";
  return UNITS[unit] ?? unit.replace(/^\{(.*)\}$/, "$1");
}

/**
 * Return a number as short as is honest: six digits at most, no trailing noise.
 *
 * @param {number} value
 * @returns {string}
 */
export function numberText(value) {
  return trimmed(fixedText(value));
}

function trimmed(text) {
  return /^-?\d+\.\d+$/.test(text) ? text.replace(/\.?0+$/, "") : text;
}

/**
 * Return a number with as many digits as its size asks for, so that it does not jump as it changes.
 *
 * @param {number} value
 * @returns {string}
 */
export function fixedText(value) {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return value.toLocaleString("en").replaceAll(",", "\u202f");
  const size = Math.abs(value);
  if (size >= 1e7 || size < 1e-4) return value.toExponential(3);
  return value.toFixed(Math.max(1, Math.min(3, 3 - Math.floor(Math.log10(size)))));
}

/**
 * Return a value as text.
 *
 * @param {*} value - plain data; undefined or null where nothing came yet
 * @returns {string}
 */
export function valueText(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number") return numberText(value);
  if (typeof value === "string") return value;
  if (ArrayBuffer.isView(value) || Array.isArray(value)) {
    const parts = Array.from(value);
    const shown = parts.slice(0, 8).map(valueText).join(", ");
    return parts.length > 8 ? `${shown}, … (${parts.length})` : shown;
  }
  return JSON.stringify(value);
}

/**
 * Return a value with its unit.
 *
 * @param {*} value
 * @param {string} [unit]
 * @returns {string}
 */
export function withUnit(value, unit) {
  const text = valueText(value);
  const word = unitText(unit);
  return word && text !== "–" ? `${text}\u00a0${word}` : text;
}

/**
 * Return an age in words.
 *
 * @param {number|null} seconds - null where nothing is known
 * @returns {string}
 */
export function ageText(seconds) {
  if (seconds === null || !Number.isFinite(seconds)) return "age unknown";
  if (seconds < 0.95) return "now";
  return `${durationText(seconds)} ago`;
}

/**
 * Return a duration in words.
 *
 * @param {number} seconds
 * @returns {string}
 */
export function durationText(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60 ? `${whole % 60} s` : ""}`.trim();
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

/**
 * Return a time of day, with the date where it is not today's.
 *
 * @param {number|null|undefined} seconds - since 1970
 * @returns {string}
 */
export function timeText(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "unknown";
  const then = new Date(seconds * 1000);
  const clock = then.toLocaleTimeString("en-GB");
  return then.toDateString() === new Date().toDateString()
    ? clock
    : `${then.toLocaleDateString("en-CA")} ${clock}`;
}

const REASONS = new Map([
  [0x0000, ""], [0x0001, "unexpected error"], [0x0002, "internal error"], [0x0005, "communication error"],
  [0x000a, "timeout"], [0x0031, "no communication"], [0x0032, "waiting for first data"],
  [0x003e, "no data"], [0x0074, "wrong type"], [0x003c, "out of range"], [0x0089, "configuration error"],
  [0x008a, "not connected"], [0x008b, "device failure"], [0x008c, "sensor failure"],
  [0x008d, "out of service"], [0x008f, "no communication, last usable value"],
  [0x0090, "last usable value"], [0x0091, "substitute value"], [0x0092, "initial value"],
  [0x0093, "sensor not accurate"], [0x0094, "outside engineering units"], [0x0095, "sub-normal"],
  [0x0096, "local override"], [0x00a2, "fewer values than asked for"],
]);

/**
 * Return a raw status code in words: OPC UA numbers, severity in the two highest bits.
 *
 * @param {number} code
 * @returns {string} empty for plain good
 */
export function statusText(code) {
  if (!code) return "";
  const severity = ["Good", "Uncertain", "Bad", "Bad"][code >>> 30];
  const reason = REASONS.get((code >>> 16) & 0x0fff);
  const raw = `0x${code.toString(16).padStart(8, "0")}`;
  return reason ? `${severity}: ${reason} (${raw})` : reason === "" ? severity : `${severity} (${raw})`;
}

/**
 * Return the last part of a prim path.
 *
 * @param {string} path
 * @returns {string}
 */
export function nameOf(path) {
  return path.slice(path.lastIndexOf("/") + 1) || path;
}

/**
 * Return the prim of a path that may name a property or signal.
 *
 * @param {string} path - `/World/P101.flow`
 * @returns {string} `/World/P101`
 */
export function primOf(path) {
  const end = path.indexOf(".", path.lastIndexOf("/") + 1);
  return end < 0 ? path : path.slice(0, end);
}

/**
 * Tell whether a path is a prim or below it.
 *
 * @param {string} path
 * @param {string} root
 * @returns {boolean}
 */
export function isBelow(path, root) {
  if (root === "/" || path === root) return true;
  return path.startsWith(root) && (path[root.length] === "/" || path[root.length] === ".");
}
