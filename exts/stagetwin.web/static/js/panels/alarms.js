/**
 * Alarms: what stands, worst first; one key takes you there, another says that you know.
 */

import { alarmLine, alarmWords } from "./alarm_words.js";
import { openForm, report, toast } from "./dialog.js";
import { button, field, fill, h, icon, mark, say, setIcon } from "./dom.js";
import { ageText, durationText, timeText, withUnit } from "./format.js";
import { VirtualList, rowHeight } from "./virtual_list.js";
import { isActive, rankOf } from "./workplace.js";

const SHELVES = [[300, "5 minutes"], [900, "15 minutes"], [1800, "30 minutes"], [3600, "1 hour"], [14400, "4 hours"], [28800, "8 hours"]];

export class Alarms {
  /**
   * @param {Workplace} place
   * @param {{counted: function(number, boolean, string): void}} actions
   */
  constructor(place, actions) {
    this.place = place;
    this.actions = actions;
    this.all = [];
    this.which = h(
      "select",
      { "aria-label": "Which alarms", on: { change: () => this.load() } },
      h("option", { value: "active" }, "Active"),
      h("option", { value: "here" }, "At the selection"),
      h("option", { value: "all" }, "Put aside, and normal"),
    );
    this.sum = h("span.muted.grow.clip", { role: "status" });
    this.list = new VirtualList({
      label: "Alarms, worst first",
      role: "list",
      rowRole: "listitem",
      rowHeight: () => rowHeight(34, 64),
      keyOf: (alarm) => alarm.id,
      make: (alarm) => this.make(alarm),
      update: (element, alarm) => this.update(element, this.place.session.alarms.get(alarm.id) ?? alarm),
      onPick: (alarm) => this.goTo(alarm),
      onKey: (event, alarm) => this.key(event, alarm),
      empty: "No alarm stands.",
    });
    this.element = h("div.column", {}, h("div.panel-tools", {}, this.which, this.sum), this.list.element);
    this.first = h("button.first-alarm", { type: "button", on: { click: () => this.goToFirst() } });
    place.hear("alarms", () => (this.dirty = true));
    place.hear("select", () => this.which.value === "here" && this.show());
    place.pulse.add(() => {
      if (this.dirty || this.wasLive !== this.place.isLive) {
        this.dirty = false;
        this.wasLive = this.place.isLive;
        this.show();
      } else if (this.list.element.offsetParent) this.list.refresh();
    });
  }

  async load() {
    if (this.which.value === "all") {
      try {
        this.all = (await this.place.session.ask({ op: "alarms", show: "all" })).alarms;
      } catch (error) {
        report(error, "The list did not come");
      }
    }
    this.show();
  }

  show() {
    const active = this.place.activeAlarms();
    const prim = this.place.prim;
    let rows = active;
    if (this.which.value === "here") rows = active.filter((alarm) => alarm.prim === prim || alarm.prim.startsWith(`${prim}/`));
    if (this.which.value === "all") rows = this.all.map((alarm) => this.place.session.alarms.get(alarm.id) ?? alarm).filter((alarm) => !isActive(alarm));
    this.list.setItems(rows);
    const open = active.filter((alarm) => alarm.state !== "ACKED").length;
    say(this.sum, active.length ? `${active.length} active, ${open} not acknowledged` : "");
    this.actions.counted(active.length, open > 0, `${active.length} active, ${open} not acknowledged`);
    this.showFirst(active);
  }

  showFirst(active) {
    const alarm = active[0];
    mark(this.first, "class", alarm ? `first-alarm priority-${alarm.priority}` : "first-alarm");
    if (!alarm) {
      // Silence is no all-clear.
      const known = this.place.isLive;
      fill(this.first, icon(known ? "good" : "uncertain"), h("span.clip", {}, known ? "No alarm stands" : "Not live: alarms unknown"));
      this.first.disabled = true;
      return;
    }
    this.first.disabled = false;
    fill(this.first, icon(alarm.priority), h("span.clip", {}, h("strong", {}, this.place.labelOf(alarm.prim)), ` ${alarmLine(alarm)} · ${alarmWords(alarm.state)}`));
    mark(this.first, "title", "Go to the most urgent alarm");
  }

  make() {
    return h(
      "div.alarm",
      {},
      icon("low"),
      h("span.alarm-priority", {}),
      h("span.alarm-where.clip", {}),
      h("span.alarm-what.clip", {}),
      h("span.alarm-value.number.clip", {}),
      h("span.alarm-state.clip", {}),
      h("span.alarm-age.number", {}),
      h(
        "span.alarm-acts",
        {},
        button("Acknowledge", (event) => this.acknowledge(rowId(event)), { icon: "check", kind: "small", iconOnly: true, title: "Acknowledge (A)" }),
        button("Shelve", (event) => this.shelve(rowId(event)), { icon: "clock", kind: "small", iconOnly: true, title: "Shelve (S)" }),
      ),
    );
  }

  update(element, alarm) {
    const [sign, priority, where, what, value, state, age, acts] = element.children;
    mark(element, "class", `alarm virtual-row priority-${alarm.priority} state-${alarm.state.toLowerCase()}`);
    setIcon(sign, rankOf(alarm.priority) ? alarm.priority : "low");
    say(priority, alarm.priority);
    say(where, this.place.labelOf(alarm.prim));
    mark(where, "title", alarm.prim);
    say(what, alarmLine(alarm));
    mark(what, "title", [alarm.cause, alarm.advice && `What to do: ${alarm.advice}`].filter(Boolean).join("\n") || null);
    say(value, alarm.value === null || alarm.value === undefined ? "" : withUnit(alarm.value, alarm.unit));
    say(state, stateText(alarm));
    say(age, alarm.raised ? ageText(this.place.now() - alarm.raised) : "");
    mark(age, "title", alarm.raised ? `Raised ${timeText(alarm.raised)}, ${alarm.count} times in all` : null);
    const may = this.place.isLive && this.place.may("acknowledge", alarm.prim);
    const [ack, shelve] = acts.children;
    ack.disabled = !may || alarm.state === "ACKED" || !isActive(alarm);
    const shelved = alarm.state === "SHELVED";
    shelve.disabled = !may || !(isActive(alarm) || shelved);
    mark(shelve, "aria-label", `${shelved ? "Take off the shelf" : "Shelve"}: ${alarm.name}`);
    mark(shelve, "title", shelved ? "Take off the shelf" : "Shelve (S)");
    mark(ack, "aria-label", `Acknowledge: ${alarm.name}`);
  }

  key(event, alarm) {
    const key = event.key.toLowerCase();
    if (key === "a" && !event.shiftKey) this.acknowledge(alarm.id);
    else if (key === "s" && !event.shiftKey) this.shelve(alarm.id);
    else return false;
    return true;
  }

  find(id) {
    return this.place.session.alarms.get(id) ?? this.all.find((alarm) => alarm.id === id);
  }

  goTo(alarm) {
    this.place.goTo(alarm.prim);
  }

  goToFirst() {
    const alarm = this.place.activeAlarms()[0];
    if (alarm) this.goTo(alarm);
  }

  /** Make an alarm the active row. */
  reveal(id) {
    this.which.value = "active";
    this.show();
    if (id) this.list.reveal(id);
  }

  acknowledge(id) {
    const alarm = this.find(id);
    if (!alarm || alarm.state === "ACKED" || !isActive(alarm) || !this.place.may("acknowledge", alarm.prim)) return;
    const comment = h("textarea", { maxlength: "1000", placeholder: "optional: what is being done" });
    openForm({
      title: "Acknowledge",
      icon: "check",
      body: [...this.summary(alarm), field("Comment", comment)],
      submit: "Acknowledge",
      act: async () => {
        await this.place.session.ask({ op: "acknowledge_alarm", id, comment: comment.value.trim() });
        toast("Acknowledged.");
      },
    });
  }

  async shelve(id) {
    const alarm = this.find(id);
    if (!alarm || !this.place.may("acknowledge", alarm.prim)) return;
    if (alarm.state === "SHELVED") {
      try {
        await this.place.session.ask({ op: "unshelve_alarm", id });
        toast("Taken off the shelf.");
        await this.load();
      } catch (error) {
        report(error);
      }
      return;
    }
    const seconds = h("select", {}, SHELVES.map(([value, text]) => h("option", { value: String(value), selected: value === 1800 }, text)));
    const reason = h("textarea", { required: true, maxlength: "1000" });
    openForm({
      title: "Shelve",
      icon: "clock",
      body: [
        ...this.summary(alarm),
        h("p.hint", {}, "It is put aside in silence until then, for everybody. It comes back by itself."),
        field("For", seconds),
        field("Reason", reason),
      ],
      submit: "Shelve",
      act: async () => {
        if (!reason.value.trim()) throw new Error("A shelf needs a reason.");
        await this.place.session.ask({ op: "shelve_alarm", id, seconds: Number(seconds.value), reason: reason.value.trim() });
        toast(`Shelved for ${durationText(Number(seconds.value))}.`);
      },
    });
  }

  summary(alarm) {
    return [
      h("p.row.wrap", {}, h("span.chip", { class: `priority-${alarm.priority}` }, icon(alarm.priority), alarm.priority), h("strong", {}, this.place.labelOf(alarm.prim)), alarmLine(alarm)),
      h("p.path", {}, alarm.id),
      alarm.cause ? h("p", {}, alarm.cause) : null,
      alarm.advice ? h("div.notice", {}, icon("uncertain"), h("span", {}, h("strong", {}, "What to do: "), alarm.advice)) : null,
    ];
  }
}

function rowId(event) {
  return event.currentTarget.closest(".virtual-row").dataset.key;
}

function stateText(alarm) {
  const words = alarmWords(alarm.state);
  if (alarm.state === "ACKED" && alarm.acknowledged) return `${words} by ${alarm.acknowledged.by}`;
  if (alarm.state === "SHELVED" && alarm.shelved) return `${words} by ${alarm.shelved.by} until ${timeText(alarm.shelved.until)}`;
  if (alarm.state === "SUPPRESSED" && alarm.suppressed) return `${words} by ${alarm.suppressed}`;
  return words;
}
