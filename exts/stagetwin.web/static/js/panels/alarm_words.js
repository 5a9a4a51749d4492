/**
 * Alarms in words, for lists and dialogs alike.
 */

import { withUnit } from "./format.js";

const STATES = {
  UNACK: "not acknowledged",
  ACKED: "acknowledged",
  RTN_UNACK: "over, not acknowledged",
  SHELVED: "shelved",
  SUPPRESSED: "suppressed",
  NORMAL: "normal",
};

/**
 * Return an alarm's state in words.
 *
 * @param {string} state
 * @returns {string}
 */
export function alarmWords(state) {
  return STATES[state] ?? state;
}

/**
 * Return what an alarm is about in one line.
 *
 * @param {object} alarm
 * @returns {string}
 */
export function alarmLine(alarm) {
  if (alarm.message) return alarm.message;
  if (alarm.kind === "limit" && alarm.limit !== null && alarm.limit !== undefined) {
    const side = alarm.side.startsWith("high") ? "above" : "below";
    return `${alarm.name}: ${withUnit(alarm.value, alarm.unit)}, ${side} ${withUnit(alarm.limit, alarm.unit)}`;
  }
  return alarm.cause || alarm.name;
}
