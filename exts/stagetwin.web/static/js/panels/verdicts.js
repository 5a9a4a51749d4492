/**
 * What each guard said of a command, read from its history in the order in which they are asked.
 *
 * The service judges; this only puts its words into order. What it did not come to is said so.
 */

import { valueText, withUnit } from "./format.js";

/** Guards of validation, in the service's order: code, what it asks. */
const GUARDS = [
  ["type", "The value is of the right type"],
  ["range", "It is within the hard limits"],
  ["level", "The asset is of level twin"],
  ["guards", "The asset's guards are approved and as they were"],
  ["mode", "It may be published this way"],
  ["rights", "Its author holds a role of the asset"],
  ["realm", "Target and inputs are of one realm"],
  ["revision", "Nobody else was accepted since its author looked"],
  ["offline", "The command client is online"],
  ["stale", "The read-back is fresh"],
  ["local", "The machine is on remote"],
  ["permissive", "Every permissive is known and true"],
  ["rate", "The step is within the rate limit"],
];

const AGAIN = new Set(["guards", "rights", "offline", "stale", "local", "permissive", "rate"]);
const STOP_SKIPS = new Set(["rights", "stale", "local", "permissive", "rate", "revision"]);

/** What the states mean to whoever reads them. */
export const STATE_WORDS = {
  DRAFT: "draft",
  REQUESTED: "requested",
  VALIDATED: "validated",
  REHEARSED: "rehearsed",
  APPROVED: "approved",
  ARMED: "armed",
  SENT: "sent, outcome not known yet",
  ACKNOWLEDGED: "accepted by the device, not proven yet",
  VERIFIED: "verified: the read-back shows it",
  REJECTED: "rejected: nothing was sent",
  DENIED: "denied: nothing was sent",
  CANCELLED: "cancelled: nothing was sent",
  SUPERSEDED: "superseded by a newer one: nothing was sent",
  EXPIRED: "expired: nothing was sent",
  FAILED: "failed",
  UNVERIFIED: "UNVERIFIED: it left, or may have, and nothing proves that it came true. Look at the machine",
};

const TONES = {
  VERIFIED: "ok", REJECTED: "bad", DENIED: "bad", FAILED: "bad", UNVERIFIED: "bad",
  EXPIRED: "stale", CANCELLED: "stale", SUPERSEDED: "stale",
};

const ICONS = {
  VERIFIED: "good", REJECTED: "bad", DENIED: "bad", FAILED: "bad", UNVERIFIED: "uncertain",
  EXPIRED: "clock", CANCELLED: "close", SUPERSEDED: "close",
};

/**
 * Tell whether a command waits for a person's approval.
 *
 * @param {object} row
 * @returns {boolean}
 */
export function awaitsApproval(row) {
  return row.state === "REHEARSED" && row.approvals.length < row.needs;
}

/**
 * Return a command's state as a chip shows it.
 *
 * @param {object} row
 * @returns {{icon: string, tone: string, words: string}}
 */
export function stateOf(row) {
  if (awaitsApproval(row)) {
    const missing = row.needs - row.approvals.length;
    return { icon: "user", tone: "warn", words: `waits for ${missing} approval${missing === 1 ? "" : "s"}` };
  }
  const words = row.state === "UNVERIFIED" ? "UNVERIFIED" : STATE_WORDS[row.state]?.split(":")[0] ?? row.state;
  return { icon: ICONS[row.state] ?? "clock", tone: TONES[row.state] ?? "accent", words };
}

/**
 * Return what every guard said, and what became of the command.
 *
 * @param {object} row - with its history
 * @returns {Array<{key: string, label: string, verdict: string, text: string, time: number|null}>}
 *   `verdict`: passed, failed, waiting, skipped, none (not come to)
 */
export function verdictsOf(row) {
  const history = row.history ?? [];
  const at = (state) => history.find((moment) => moment.state === state);
  return [...guardVerdicts(row, at), ...wayVerdicts(row, at, history)];
}

function guardVerdicts(row, at) {
  const validated = at("VALIDATED");
  const isStop = row.origin === "stop";
  const failedAt = GUARDS.findIndex(([code]) => code === row.code);
  const refused = row.state === "REJECTED" && failedAt >= 0;
  return GUARDS.map(([key, label], index) => {
    const made = (verdict, text = "", time = null) => ({ key, label, verdict, text, time });
    if (refused && index === failedAt) {
      const again = validated ? "Passed first; judged again before sending: " : "";
      return made("failed", again + row.cause, at("REJECTED")?.time ?? null);
    }
    if (isStop && STOP_SKIPS.has(key)) return made("skipped", "a stop request does not ask for it");
    if (key === "revision" && !["human", "policy"].includes(row.origin)) return made("skipped", "asked of people alone");
    if (key === "rights" && row.origin === "rule") return made("skipped", "a rule is the plant's own");
    if (validated) {
      const note = refused && AGAIN.has(key) && index > failedAt ? "not judged again" : "";
      return made("passed", note, validated.time);
    }
    if (refused && index < failedAt) return made("passed", "", at("REJECTED")?.time ?? null);
    if (row.ended) return made("none", "not come to");
    return made("waiting", "not judged yet");
  });
}

function wayVerdicts(row, at, history) {
  return [rehearsal(row, at), approval(row, at, history), arming(row, at), sending(row, at), answer(row, at), proof(row, at)];
}

function step(key, label, verdict, text = "", moment = null) {
  return { key, label, verdict, text, time: moment?.time ?? null };
}

/** A step that was not taken: it waits, or an end came first. */
function untaken(row, key, label, wait) {
  return row.ended ? step(key, label, "none", "not come to") : step(key, label, "waiting", wait);
}

function rehearsal(row, at) {
  const moment = at("REHEARSED");
  const label = "Rehearsal";
  return moment ? step("rehearsal", label, "passed", moment.cause, moment) : untaken(row, "rehearsal", label, "not yet");
}

function approval(row, at, history) {
  const label = row.needs === 0 ? "Approval: none is asked for" : `Approval: ${row.needs} of another name`;
  const moment = at("APPROVED");
  const notes = history.filter((each) => each.state === "NOTE" && each.cause.startsWith("approved by"));
  const by = row.approvals.length ? `by ${row.approvals.join(", ")}` : "";
  if (moment) return step("approval", label, row.needs ? "passed" : "skipped", moment.cause || by, moment);
  if (row.state === "DENIED") return step("approval", label, "failed", row.cause, at("DENIED"));
  if (awaitsApproval(row)) {
    return step("approval", label, "waiting", by ? `${by}; ${row.needs - row.approvals.length} more` : "nobody yet", notes.at(-1) ?? null);
  }
  return untaken(row, "approval", label, "not yet");
}

function arming(row, at) {
  const moment = at("ARMED");
  const label = "Armed: lease taken, guards, link and permissives judged again";
  return moment ? step("armed", label, "passed", moment.cause, moment) : untaken(row, "armed", label, "not yet");
}

function sending(row, at) {
  const moment = at("SENT");
  const label = "On record, then sent once";
  if (row.code === "ledger") return step("sent", label, "failed", row.cause, at("REJECTED"));
  if (row.code === "withheld") return step("sent", label, "failed", row.cause, at("FAILED"));
  return moment ? step("sent", label, "passed", moment.cause, moment) : untaken(row, "sent", label, "not yet");
}

function answer(row, at) {
  const moment = at("ACKNOWLEDGED");
  const label = "The device's answer";
  if (moment) return step("answer", label, "passed", moment.cause || "it said yes", moment);
  if (row.state === "FAILED") return step("answer", label, row.code === "withheld" ? "none" : "failed", row.code === "withheld" ? "not come to" : row.cause, at("FAILED"));
  if (!at("SENT")) return untaken(row, "answer", label, "not sent yet");
  return row.ended ? step("answer", label, "none", "none came, or none was needed") : step("answer", label, "waiting", "awaited");
}

function proof(row, at) {
  const label = "The read-back";
  const { evidence } = row;
  if (row.state === "VERIFIED") return step("proof", label, "passed", evidence ? evidenceText(row) : row.cause, at("VERIFIED"));
  if (row.state === "UNVERIFIED") return step("proof", label, "failed", row.cause || STATE_WORDS.UNVERIFIED, at("UNVERIFIED"));
  if (!at("SENT")) return untaken(row, "proof", label, "not sent yet");
  return row.ended ? step("proof", label, "none", "not come to") : step("proof", label, "waiting", "watched until it shows the value");
}

/**
 * Return in words what a verification rests on.
 *
 * @param {object} row
 * @returns {string}
 */
export function evidenceText(row) {
  const { evidence } = row;
  const kind = evidence.kind === "stored" ? "the written node itself" : "another signal, of the process";
  const before = evidence.before === null ? "" : `, before it was ${valueText(evidence.before)}`;
  return `${evidence.signal} says ${withUnit(evidence.value, row.unit)}${before}; ${evidence.after.toFixed(1)} s after it was sent (${kind})`;
}
