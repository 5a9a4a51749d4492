/**
 * What can be commanded at the selection: draft, compare, publish, and watch what becomes of it.
 */

import { announce } from "./dialog.js";
import { button, fill, h, icon, mark, say } from "./dom.js";
import { uuid7 } from "./drafts.js";
import { durationText, unitText, withUnit } from "./format.js";
import { CommandView } from "./command_view.js";
import { faultOf, valueEditor } from "./value_editor.js";

const EVERY = 2;
const MOST = 24;

export class TargetList {
  /** @param {Workplace} place */
  constructor(place) {
    this.place = place;
    this.prim = "";
    this.cards = new Map();
    this.heading = h("h3.section", {}, "Commands");
    this.list = h("div.stack");
    this.belowCount = h("summary", {});
    this.belowList = h("div.stack");
    this.below = h("details", { hidden: true }, this.belowCount, this.belowList);
    this.note = h("p.hint", { hidden: true });
    this.element = h("section", { "aria-label": "Commands", hidden: true }, this.heading, this.list, this.below, this.note);
    this.askedAt = -Infinity;
    place.pulse.add((now) => this.beat(now));
    place.session.on("command", (row) => {
      this.cards.get(row.target)?.showCommand(row);
      if (this.cards.has(row.target)) this.askedAt = -Infinity;
    });
    place.hear("live", () => this.refreshAll());
    place.drafts.addEventListener("change", () => this.refreshAll());
  }

  /** @param {string} prim - whose commands are shown; empty for none */
  show(prim) {
    if (prim === this.prim) return;
    this.prim = prim;
    this.cards.clear();
    fill(this.list);
    fill(this.belowList);
    this.below.open = false;
    this.element.hidden = true;
    this.askedAt = -Infinity;
    if (prim) this.load();
  }

  beat(now) {
    for (const card of this.cards.values()) card.tick();
    if (!this.prim || !this.element.offsetParent || !this.place.isLive) return;
    if (now - this.askedAt > EVERY) this.load(now);
  }

  async load(now = performance.now() / 1000) {
    this.askedAt = now;
    const { prim } = this;
    let targets;
    try {
      ({ targets } = await this.place.session.ask({ op: "targets", prim }));
    } catch {
      return; // what is shown stays, marked as not live
    }
    if (prim !== this.prim) return;
    this.element.hidden = targets.length === 0;
    const shown = targets.slice(0, MOST);
    for (const path of [...this.cards.keys()]) {
      if (!shown.some((target) => target.path === path)) {
        this.cards.get(path).element.remove();
        this.cards.delete(path);
      }
    }
    for (const target of shown) {
      let card = this.cards.get(target.path);
      if (!card) {
        card = new TargetCard(this.place, target, target.prim === prim ? "" : target.prim.slice(prim.length + 1));
        this.cards.set(target.path, card);
        (target.prim === prim ? this.list : this.belowList).append(card.element);
      }
      card.show(target);
    }
    const count = this.belowList.children.length;
    this.below.hidden = count === 0;
    say(this.belowCount, `${count} command${count === 1 ? "" : "s"} below`);
    if (this.place.openCommands().some((row) => this.cards.get(row.target)?.element.parentNode === this.belowList)) this.below.open = true;
    this.note.hidden = targets.length <= MOST;
    say(this.note, `${targets.length - MOST} more below; select something smaller to see them.`);
  }

  refreshAll() {
    for (const card of this.cards.values()) card.refresh();
  }
}

class TargetCard {
  constructor(place, target, below) {
    this.place = place;
    this.target = target;
    this.now = h("span.number");
    this.status = h("span.chip");
    this.others = h("div.stack");
    this.work = h("div.target-work", { hidden: true });
    this.follow = h("div", { hidden: true });
    this.edit = button("Draft…", () => this.openDraft(), { icon: "bolt", kind: "small" });
    this.element = h(
      "div.target",
      { data: { target: target.path } },
      h(
        "div.row",
        {},
        h("div.grow", {}, h("strong.clip", { title: target.path }, target.label || target.command, below ? h("span.muted", {}, ` ${below}`) : null), h("div", {}, this.now)),
        this.edit,
      ),
      this.others,
      this.work,
      this.follow,
    );
    const open = [...place.session.commands.values()].filter((row) => row.target === target.path && !row.ended).at(-1);
    if (open) this.showCommand(open);
    if (place.drafts.get(target.path)) this.openDraft({ focus: false });
  }

  show(target) {
    this.target = target;
    this.refresh();
  }

  refresh() {
    const { target, place } = this;
    const unit = target.unit;
    const reported = target.readback ? withUnit(target.reported, unit) : "no read-back";
    say(this.now, `desired ${withUnit(target.desired, unit)} · reported ${reported}`);
    mark(this.now, "class", place.isLive ? "number muted" : "number not-current");
    const drafts = place.drafts.others(target.path);
    const why = this.whyNot();
    fill(
      this.others,
      drafts.map((draft) =>
        h("p.other-draft", {}, icon("ghost"), h("span.grow", {}, `${draft.user} considers ${withUnit(draft.value, unit)}`), why ? null : button("Take over", () => this.take(draft.value), { kind: "small quiet" })),
      ),
    );
    this.edit.disabled = Boolean(why) && !place.drafts.get(target.path);
    mark(this.edit, "title", why || "Consider a value; nothing moves");
    if (!this.work.hidden) this.refreshWork();
  }

  whyNot() {
    const { target, place } = this;
    if (!place.session.welcome?.commands) return "This service takes no commands.";
    if (target.level !== "twin") return `It is of level ${target.level}; only a twin is commanded.`;
    if (target.realm === "replay") return "It is a replay: there is nothing to move.";
    if (!place.may("command", target.prim)) return `You may not command ${target.prim}.`;
    return "";
  }

  take(value) {
    this.openDraft();
    this.place.drafts.set(this.target, value);
    this.editor.set(value);
    this.refreshWork();
  }

  openDraft({ focus = true } = {}) {
    const { target, place } = this;
    this.edit.hidden = true;
    this.work.hidden = false;
    const known = place.drafts.get(target.path);
    this.value = known ? known.value : target.desired ?? rounded(target.reported) ?? undefined;
    this.editor = valueEditor(target, this.value, (value) => {
      this.value = value;
      if (value !== undefined && !faultOf(this.target, value)) place.drafts.set(this.target, value);
      this.refreshWork();
    });
    this.diff = h("tbody");
    this.fault = h("p.fault", { role: "alert" });
    this.reason = h("input", { type: "text", maxlength: "1000", placeholder: "Reason, for the record", "aria-label": "Reason", autocomplete: "off" });
    this.guards = h("ul.verdicts");
    this.send = button("Publish", () => this.publish(), { icon: "send", kind: "primary" });
    fill(
      this.work,
      this.editor.element,
      h("table.diff", {}, h("caption.unseen", {}, "What a draft would change"), this.diff),
      this.fault,
      h("details.guards", {}, h("summary", {}, "What it will be asked"), this.guards),
      this.reason,
      h("div.row.end", {}, button("Withdraw", () => this.withdraw(), { kind: "quiet" }), this.send),
    );
    this.refreshWork();
    if (focus) this.editor.element.querySelector("input, select")?.focus();
  }

  refreshWork() {
    const { target, place, value } = this;
    const fault = faultOf(target, value);
    const draft = place.drafts.get(target.path);
    const stale = draft && draft.revision !== target.revision;
    const row = (name, each, note = "") => h("tr", {}, h("th", { scope: "row" }, name), h("td.number", {}, each), h("td.muted", {}, note));
    fill(
      this.diff,
      row("Desired", withUnit(target.desired, target.unit), "what is in force"),
      row("Draft", value === undefined ? "–" : withUnit(value, target.unit), changeText(target, value)),
      row("Reported", target.readback ? withUnit(target.reported, target.unit) : "–", target.readback ? "what the machine says" : "it has no read-back: it ends UNVERIFIED"),
    );
    const refusal = !place.isLive ? "Not live: nothing can be published." : this.whyNot();
    const told = refusal || (value !== undefined || draft ? fault : "") || (stale ? "Somebody else was accepted since you began: look again, then withdraw or publish." : "");
    say(this.fault, told);
    this.fault.hidden = !told;
    this.send.disabled = Boolean(refusal || fault);
    const words = { none: "Publish", single: "Publish, then one approves", dual: "Publish, then two approve" };
    say(this.send.lastChild, words[target.approval] ?? words.dual);
    this.showGuards();
  }

  showGuards() {
    const { target } = this;
    const limits = target.min === null && target.max === null ? "none told" : `${withUnit(target.min, target.unit)} to ${withUnit(target.max, target.unit)}`;
    const items = [
      guard("more", "Hard limits", limits),
      guard(target.level === "twin" ? "check" : "bad", "Level", target.level),
      guard("user", "Approval", { none: "none is asked for", single: "one other person", dual: "two other people" }[target.approval] ?? target.approval),
      guard("lock", "Role", target.roles ? target.roles.join(" or ") || "names none: nobody may" : "not told"),
      guard("layers", "Realm", target.realm),
      target.rateLimit ? guard("gauge", "Rate", `${withUnit(target.rateLimit, target.unit)}/s`) : null,
      target.expiry ? guard("clock", "Time to live", durationText(target.expiry)) : null,
      target.remote ? permissive("On remote", target.remote) : null,
      ...(target.permissives ?? []).map((each) => permissive("Permissive", each)),
      target.permissives ? null : guard("none", "Permissives", "not told"),
    ];
    fill(this.guards, items, h("li.hint", {}, "As far as is known now; the service judges when it is published, and again before it is sent."));
  }

  withdraw() {
    this.place.drafts.withdraw(this.target.path);
    this.work.hidden = true;
    this.edit.hidden = false;
    this.edit.focus();
  }

  async publish() {
    const { target, place } = this;
    const draft = place.drafts.get(target.path);
    const revision = draft?.revision ?? target.revision;
    this.send.disabled = true;
    const wanted = { op: "publish", target: target.path, value: this.value, revision, reason: this.reason.value.trim() };
    const text = JSON.stringify(wanted);
    // An answer that was lost, and asked for again, is no second command: the same id is sent.
    if (this.published?.text !== text) this.published = { text, id: uuid7() };
    const request = { ...wanted, id: this.published.id };
    try {
      const { command } = await place.session.ask(request);
      this.published = null;
      place.drafts.withdraw(target.path);
      this.work.hidden = true;
      this.edit.hidden = false;
      const known = place.session.commands.get(command.id);
      this.showCommand(known ?? command);
      announce(`Published: ${command.state.toLowerCase()}`);
    } catch (error) {
      say(this.fault, `It was not published: ${error.message}`);
      this.fault.hidden = false;
      this.send.disabled = false;
    }
  }

  showCommand(row) {
    if (this.view && this.view.row.id !== row.id && this.view.row.created > row.created) return;
    if (this.view?.row.id === row.id) this.view.show(row);
    else {
      this.view = new CommandView(this.place, row);
      fill(this.follow, this.view.element);
    }
    this.follow.hidden = false;
    if (row.ended && this.told !== row.id) {
      this.told = row.id;
      announce(`${row.target}: ${row.state.toLowerCase()}. ${row.cause}`, row.state === "UNVERIFIED");
    }
  }

  tick() {
    this.view?.tick();
  }
}

/** What a machine reports has more digits than anybody would ask for. */
function rounded(value) {
  return typeof value === "number" ? Number(value.toPrecision(4)) : value;
}

function guard(name, label, text) {
  return h("li.verdict", {}, icon(name), h("span.grow", {}, label), h("span.wrap-any", {}, text));
}

function permissive(label, said) {
  const words = said.permits === true ? "permits" : said.permits === false ? "forbids" : "unknown, which does not permit";
  const name = said.permits === true ? "check" : said.permits === false ? "bad" : "uncertain";
  const quality = said.quality && said.quality !== "good" ? `, ${said.quality}` : "";
  const item = guard(name, `${label} ${said.path}`, `${words}${quality}`);
  mark(item, "data-verdict", said.permits === true ? "passed" : "failed");
  return item;
}

function changeText(target, value) {
  const from = target.desired ?? target.reported;
  if (value === undefined || typeof value !== "number" || typeof from !== "number") return "";
  const change = value - from;
  if (change === 0) return "no change";
  return `${change > 0 ? "+" : "−"}${withUnit(Math.abs(change), "")} ${unitText(target.unit)}`;
}
