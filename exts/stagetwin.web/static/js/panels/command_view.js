/**
 * One command: its state, what every guard said, the proof, and what a person may do about it.
 */

import { openForm, report, toast } from "./dialog.js";
import { button, field, fill, h, icon, mark, say, setIcon } from "./dom.js";
import { ageText, durationText, primOf, timeText, withUnit } from "./format.js";
import { STATE_WORDS, awaitsApproval, evidenceText, stateOf, verdictsOf } from "./verdicts.js";

const VERDICTS = {
  passed: ["check", "passed"],
  failed: ["bad", "refused"],
  waiting: ["clock", "waits"],
  skipped: ["more", "not asked"],
  none: ["none", "not come to"],
};

/** States in which nothing has left. */
const UNSENT = new Set(["REQUESTED", "VALIDATED", "REHEARSED", "APPROVED", "ARMED"]);

/**
 * Make the chip that tells a command's state.
 *
 * @param {object} row
 * @returns {HTMLElement}
 */
export function stateChip(row) {
  const { icon: name, tone, words } = stateOf(row);
  return h("span.chip", { class: `tone-${tone}`, title: STATE_WORDS[row.state] ?? "" }, icon(name), words);
}

/**
 * Return in one line what a command asks for.
 *
 * @param {object} row
 * @returns {string}
 */
export function commandLine(row) {
  return `${row.target} to ${withUnit(row.value, row.unit)}`;
}

export class CommandView {
  /**
   * @param {Workplace} place
   * @param {object} row
   */
  constructor(place, row) {
    this.place = place;
    this.head = h("div.row.wrap");
    this.left = h("span.chip.number", { hidden: true });
    this.said = h("p.command-cause", { role: "status" });
    this.actions = h("div.row.wrap");
    this.list = h("ol.verdicts", { "aria-label": "What every guard said" });
    this.facts = h("dl.facts-list");
    // What went well is read by those who ask for it; everything else is shown.
    this.steps = h("details", { open: row.state !== "VERIFIED" }, h("summary", {}, "What every guard said"), this.list);
    this.element = h("article.command-view", {}, this.head, this.said, this.actions, this.steps, this.facts);
    this.show(row);
  }

  /** @param {object} row - the command as it is now */
  show(row) {
    const same = this.row && this.row.state === row.state && this.row.approvals.length === row.approvals.length;
    this.row = row;
    fill(this.head, h("strong.grow.wrap-any", {}, withUnit(row.value, row.unit)), stateChip(row), this.left);
    say(this.said, causeOf(row));
    this.said.hidden = !this.said.textContent;
    mark(this.said, "data-tone", stateOf(row).tone);
    if (!same || !this.actions.children.length) fill(this.actions, actionsFor(this.place, row));
    this.showVerdicts(row);
    fill(
      this.facts,
      fact("Asked by", `${row.author}${row.origin === "human" ? "" : ` (${row.origin})`}`),
      fact("At", timeText(row.created)),
      row.reason ? fact("Reason", row.reason) : null,
      fact("Realm", row.realm),
      row.hash ? fact("Hash", row.hash.slice(0, 16), row.hash) : null,
      fact("Id", row.id),
    );
    this.tick();
  }

  showVerdicts(row) {
    const verdicts = verdictsOf(row);
    while (this.list.children.length > verdicts.length) this.list.lastChild.remove();
    verdicts.forEach((verdict, index) => {
      const [name, word] = VERDICTS[verdict.verdict];
      let item = this.list.children[index];
      if (!item) {
        item = h("li.verdict", {}, icon(name), h("div.grow", {}, h("span.verdict-label", {}), h("p.verdict-text", {})), h("span.verdict-word", {}));
        this.list.append(item);
      }
      mark(item, "data-verdict", verdict.verdict);
      setIcon(item.firstChild, name);
      say(item.children[1].children[0], verdict.label);
      say(item.children[1].children[1], verdict.text);
      item.children[1].children[1].hidden = !verdict.text;
      say(item.children[2], verdict.time && verdict.verdict === "passed" ? timeText(verdict.time) : word);
    });
  }

  /** Count down what is left of its time to live. */
  tick() {
    const left = this.place.timeLeft(this.row);
    this.left.hidden = left === null;
    if (left !== null) say(this.left, `${durationText(left)} left`);
  }
}

function causeOf(row) {
  if (row.state === "VERIFIED" && row.evidence) return `Verified: ${evidenceText(row)}.`;
  if (row.state === "UNVERIFIED") return `${STATE_WORDS.UNVERIFIED}. ${row.cause}`;
  if (row.ended) return `${STATE_WORDS[row.state] ?? row.state}${row.cause ? `: ${row.cause}` : ""}`;
  if (awaitsApproval(row)) return "Nothing moves before somebody else has approved exactly this.";
  return "";
}

function fact(name, text, title = null) {
  return [h("dt", {}, name), h("dd.wrap-any", { title }, text)];
}

/**
 * Return the buttons for what a person may do about a command.
 *
 * @param {Workplace} place
 * @param {object} row
 * @returns {Array<HTMLElement>}
 */
export function actionsFor(place, row) {
  const prim = primOf(row.target);
  const made = [];
  if (awaitsApproval(row)) {
    const why = whyNotApprove(place, row);
    if (why) made.push(h("span.hint", {}, why));
    else {
      made.push(button("Approve…", () => openApproval(place, row), { icon: "check", kind: "primary" }));
      made.push(button("Deny…", () => openDenial(place, row), { icon: "close" }));
    }
  }
  const mayCancel = row.author === place.user || place.may("command", prim);
  if (UNSENT.has(row.state) && mayCancel) {
    made.push(button("Cancel it", () => cancel(place, row), { kind: "quiet" }));
  }
  return made;
}

function whyNotApprove(place, row) {
  if (!place.isLive) return "Not live: nothing can be approved.";
  if (row.author === place.user) return "You asked for it: somebody else must approve.";
  if (row.approvals.includes(place.user)) return "You have approved it; one more person must.";
  if (!place.may("approve", primOf(row.target))) return `You may not approve at ${primOf(row.target)}.`;
  return "";
}

async function cancel(place, row) {
  try {
    await place.session.ask({ op: "cancel", id: row.id, reason: "" });
    toast("Cancelled: nothing was sent.");
  } catch (error) {
    report(error, "It was not cancelled");
  }
}

/**
 * Show exactly what is approved, and approve it.
 *
 * @param {Workplace} place
 * @param {object} row
 */
export function openApproval(place, row) {
  const reason = h("input", { type: "text", maxlength: "1000", autocomplete: "off", placeholder: "optional, for the record" });
  const left = h("dd.number", {});
  const prim = primOf(row.target);
  const off = place.pulse.add(() => {
    const seconds = place.timeLeft(row);
    say(left, seconds === null ? "no limit" : `${durationText(seconds)}${seconds === 0 ? ": too late" : ""}`);
  });
  const dialog = openForm({
    title: "Approve this command",
    icon: "check",
    body: [
      h("p.big.wrap-any", {}, `${place.labelOf(prim)}: ${row.target.slice(prim.length + 1)} to `, h("strong", {}, withUnit(row.value, row.unit))),
      h(
        "dl.facts-list",
        {},
        fact("Target", row.target),
        fact("Asked by", `${row.author}, ${ageText(place.now() - row.created)}`),
        fact("Reason", row.reason || "none given"),
        fact("Realm", row.realm),
        fact("Approved by", row.approvals.length ? `${row.approvals.join(", ")} (${row.approvals.length} of ${row.needs})` : `nobody yet (0 of ${row.needs})`),
        [h("dt", {}, "Time left"), left],
        fact("Hash", row.hash || "not told"),
      ),
      h("p.hint", {}, "You approve this value, under these guards, at this place, and nothing else. If any of it is changed by then, the service refuses."),
      field("Reason", reason),
    ],
    submit: "Approve exactly this",
    act: async () => {
      const request = { op: "approve_command", id: row.id, reason: reason.value };
      if (row.hash) request.hash = row.hash;
      const answer = await place.session.ask(request);
      toast(answer.command.approvals.length >= answer.command.needs ? "Approved: it goes on." : "Approved: one more person must.");
    },
  });
  dialog.addEventListener("close", off);
}

function openDenial(place, row) {
  const reason = h("textarea", { maxlength: "1000", required: true });
  openForm({
    title: "Deny this command",
    icon: "close",
    body: [h("p.wrap-any", {}, commandLine(row)), field("Why, for its author and the record", reason)],
    submit: "Deny",
    kind: "danger",
    act: async () => {
      if (!reason.value.trim()) throw new Error("Say why.");
      await place.session.ask({ op: "deny_command", id: row.id, reason: reason.value.trim() });
      toast("Denied: nothing was sent.");
    },
  });
}
