/**
 * Topics in words and signs.
 */

import { h, icon } from "./dom.js";

export const STATUSES = { open: "open", in_progress: "in progress", resolved: "resolved", closed: "closed" };
export const PRIORITIES = { low: "low", normal: "normal", high: "high", critical: "critical" };
export const APPROVALS = { none: "", requested: "approval asked for", approved: "approved", rejected: "rejected" };

const SIGNS = { open: ["comment", "accent"], in_progress: ["bolt", "warn"], resolved: ["check", "ok"], closed: ["lock", "stale"] };
const VERDICTS = { requested: ["user", "warn"], approved: ["good", "ok"], rejected: ["bad", "bad"] };

/**
 * Return the chips that tell how a topic stands.
 *
 * @param {object} topic
 * @returns {HTMLElement[]}
 */
export function topicChips(topic) {
  const [name, tone] = SIGNS[topic.status] ?? SIGNS.open;
  const made = [h("span.chip", { class: `tone-${tone}` }, icon(name), STATUSES[topic.status] ?? topic.status)];
  if (VERDICTS[topic.approval]) {
    const [sign, colour] = VERDICTS[topic.approval];
    made.push(h("span.chip", { class: `tone-${colour}` }, icon(sign), APPROVALS[topic.approval]));
  }
  if (topic.priority === "high" || topic.priority === "critical") {
    made.push(h("span.chip", { class: `priority-${topic.priority}` }, icon(topic.priority), topic.priority));
  }
  if (isOrphaned(topic)) made.push(h("span.chip.tone-stale", { title: "What it was pinned to is not there any more" }, icon("offline"), "orphaned"));
  return made;
}

/**
 * Tell whether something that a topic is pinned to is gone.
 *
 * @param {object} topic
 * @returns {boolean}
 */
export function isOrphaned(topic) {
  return (topic.anchors ?? []).some((anchor) => anchor.orphaned);
}
