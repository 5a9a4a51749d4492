/**
 * Commands of everybody: what is under way, what became of the rest, and each in full.
 */

import { report } from "./dialog.js";
import { fill, h, icon, mark, say, setIcon } from "./dom.js";
import { CommandView } from "./command_view.js";
import { ageText, primOf, withUnit } from "./format.js";
import { awaitsApproval, stateOf } from "./verdicts.js";
import { VirtualList, rowHeight } from "./virtual_list.js";

export class Commands {
  /**
   * @param {Workplace} place
   * @param {{counted: function(number, boolean, string): void}} actions
   */
  constructor(place, actions) {
    this.place = place;
    this.actions = actions;
    this.rows = new Map();
    this.which = h(
      "select",
      { "aria-label": "Which commands", on: { change: () => this.load() } },
      h("option", { value: "recent" }, "Newest of all"),
      h("option", { value: "open" }, "Under way"),
      h("option", { value: "approve" }, "Wait for approval"),
      h("option", { value: "here" }, "At the selection"),
    );
    this.sum = h("span.muted.grow.clip", { role: "status" });
    this.list = new VirtualList({
      label: "Commands, newest first",
      role: "listbox",
      rowRole: "option",
      rowHeight: () => rowHeight(34),
      keyOf: (row) => row.id,
      make: () => makeRow(),
      update: (element, row) => this.update(element, this.rows.get(row.id) ?? row),
      onMove: (row) => this.choose(row.id),
      onPick: (row) => this.choose(row.id, true),
      empty: "No command is on record here.",
    });
    this.detail = h("div.scroll.command-detail", { tabindex: "0", role: "region", "aria-label": "The command in full" }, h("p.empty", {}, "Choose a command to see what every guard said."));
    this.element = h("div.column", {}, h("div.panel-tools", {}, this.which, this.sum), h("div.split", {}, this.list.element, this.detail));
    place.session.on("command", (row) => {
      this.rows.set(row.id, row);
      this.dirty = true;
    });
    place.hear("connected commands-wanted", () => this.load());
    place.hear("reset", () => this.rows.clear());
    place.hear("select", () => this.which.value === "here" && this.load());
    place.pulse.add(() => {
      if (this.dirty) {
        this.dirty = false;
        this.show();
      } else if (this.list.element.offsetParent) this.list.refresh();
      this.view?.tick();
    });
  }

  async load() {
    const prim = this.which.value === "here" ? this.place.prim || "/" : "/";
    try {
      const { commands } = await this.place.session.ask({ op: "commands", prim, limit: 200 });
      for (const row of commands) {
        const known = this.rows.get(row.id);
        if (known?.history && known.state === row.state) continue;
        this.rows.set(row.id, row);
      }
    } catch (error) {
      if (this.place.isLive) report(error, "The list of commands did not come");
    }
    this.show();
  }

  show() {
    const all = [...this.rows.values()].sort((a, b) => b.created - a.created);
    const open = all.filter((row) => !row.ended);
    const waiting = open.filter(awaitsApproval);
    const mine = waiting.filter((row) => row.author !== this.place.user && this.place.may("approve", primOf(row.target)));
    const prim = this.place.prim;
    const which = { recent: all, open, approve: waiting, here: all.filter((row) => !prim || row.target.startsWith(prim)) };
    this.list.setItems(which[this.which.value]);
    const words = `${open.length} under way, ${waiting.length} wait for approval${mine.length ? `, ${mine.length} for yours` : ""}`;
    say(this.sum, all.length ? words : "");
    this.actions.counted(open.length, mine.length > 0, words);
    if (this.view) {
      const row = this.rows.get(this.view.row.id);
      if (row && row !== this.view.row && row.history) this.view.show(row);
    }
  }

  update(element, row) {
    const [sign, what, value, author, state, age] = element.children;
    const { icon: name, tone, words } = stateOf(row);
    const chosen = this.chosen === row.id;
    element.classList.toggle("selected", chosen);
    mark(element, "aria-selected", String(chosen));
    setIcon(sign, name);
    mark(sign, "class", `icon tone-text-${tone}`);
    // The end of a long path is kept; the mark keeps its slash in front.
    say(what, `\u200e${row.target}`);
    mark(what, "title", row.target);
    say(value, withUnit(row.value, row.unit));
    say(author, row.author);
    const left = this.place.timeLeft(row);
    say(state, left === null ? words : `${words}, ${Math.round(left)} s left`);
    mark(state, "title", row.cause || null);
    say(age, ageText(this.place.now() - row.created));
  }

  /**
   * Show one command in full.
   *
   * @param {string} id
   * @param {boolean} [focus] - whether the keyboard goes there
   */
  async choose(id, focus = false) {
    this.chosen = id;
    this.list.refresh();
    let row = this.rows.get(id);
    if (!row?.history) {
      try {
        row = (await this.place.session.ask({ op: "command", id })).command;
        this.rows.set(id, row);
      } catch (error) {
        report(error);
        return;
      }
    }
    if (this.chosen !== id) return;
    this.view = new CommandView(this.place, row);
    const prim = primOf(row.target);
    fill(
      this.detail,
      h("button.path.link", { type: "button", title: "Go there", on: { click: () => this.place.goTo(prim) } }, icon("fit"), ` ${row.target}`),
      this.view.element,
    );
    if (focus) this.detail.focus();
  }
}

function makeRow() {
  return h(
    "div.command-row",
    {},
    icon("clock"),
    h("span.command-what.clip", {}),
    h("span.command-value.number.clip", {}),
    h("span.command-author.clip", {}),
    h("span.command-state.clip", {}),
    h("span.command-age.number", {}),
  );
}
