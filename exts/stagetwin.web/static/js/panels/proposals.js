/**
 * Layout proposals: what somebody would change, before and after, as a ghost on the stage.
 */

import { openForm, report, toast } from "./dialog.js";
import { button, field, fill, h, icon, mark } from "./dom.js";
import { uuid7 } from "./drafts.js";
import { ageText, timeText } from "./format.js";

const STATUSES = { draft: ["bolt", "accent"], submitted: ["user", "warn"], merged: ["check", "ok"], undone: ["close", "stale"], rejected: ["bad", "bad"], withdrawn: ["close", "stale"] };

export class Proposals {
  /** @param {Workplace} place */
  constructor(place) {
    this.place = place;
    this.rows = new Map();
    this.chosen = "";
    this.side = "";
    this.list = h("ul.stack");
    this.detail = h("div.stack");
    this.count = h("span.muted");
    this.element = h("details.proposals", { on: { toggle: () => this.element.open && this.load() } }, h("summary", {}, "Layout proposals ", this.count), h("div.proposals-body", {}, this.list, this.detail));
    place.session.on?.("proposal", (row) => {
      this.rows.set(row.id, row);
      this.show();
      if (row.id === this.chosen) this.open(row.id);
    });
    place.hear("reset", () => this.clear());
    place.hear("connected", () => this.load());
  }

  clear() {
    this.rows.clear();
    this.chosen = "";
    this.look("");
    fill(this.detail);
    this.show();
  }

  async load() {
    try {
      const { proposals } = await this.place.session.ask({ op: "proposals", prim: "/" });
      this.rows = new Map(proposals.map((row) => [row.id, row]));
      this.show();
    } catch (error) {
      if (this.element.open) report(error, "The proposals did not come");
    }
  }

  show() {
    const rows = [...this.rows.values()].sort((a, b) => b.changed - a.changed);
    fill(this.count, rows.length ? `(${rows.length})` : "(none)");
    fill(
      this.list,
      rows.map((row) =>
        h(
          "li",
          {},
          h(
            "button.line-button",
            { type: "button", "aria-expanded": String(row.id === this.chosen), on: { click: () => (row.id === this.chosen ? this.close() : this.open(row.id)) } },
            chip(row),
            h("strong.grow.clip", {}, row.title),
            h("span.muted.number", {}, `${row.author}, ${ageText(this.place.now() - row.changed)}`),
          ),
        ),
      ),
    );
  }

  close() {
    this.chosen = "";
    this.look("");
    fill(this.detail);
    this.show();
  }

  async open(id) {
    this.chosen = id;
    this.show();
    try {
      const { proposal, touched, edits, conflicts } = flat(await this.place.session.ask({ op: "proposal", id }));
      if (this.chosen !== id) return;
      this.proposal = proposal;
      this.touched = touched ?? [];
      this.showDetail(proposal, edits ?? [], conflicts ?? []);
      this.look(this.side || "after");
    } catch (error) {
      report(error, "The proposal did not come");
    }
  }

  showDetail(row, edits, conflicts) {
    const { place } = this;
    const own = row.author === place.user;
    const mayMerge = !own && row.prims.every((prim) => place.may("approve", prim));
    const sides = [["before", "Before"], ["after", "After"], ["", "Off"]].map(([side, words]) => button(words, () => this.look(side), { kind: "small", data: { side } }));
    fill(
      this.detail,
      h("div.proposal", {}, h("p.wrap-any.pre", {}, row.description || "No description."), h("p.hint", {}, `${chipText(row)}; ${row.prims.length} prims touched${row.merged_by ? `; merged by ${row.merged_by} ${timeText(row.merged)}` : ""}`)),
      row.reason ? h("p.hint", {}, row.reason) : null,
      h("div.row.sides", { role: "group", "aria-label": "Ghost on the stage" }, icon("ghost"), sides, button("Show it", () => place.view?.fit(row.prims), { icon: "fit", kind: "small quiet" })),
      row.guards?.length ? h("div.notice.warn", {}, icon("uncertain"), h("span", {}, `It may change guards of ${row.guards.join(", ")}: these run as shadow after a merge, until their guards are approved anew.`)) : null,
      conflicts.length
        ? h("div.notice.error", {}, icon("bad"), h("div", {}, `${conflicts.length} conflicts with the site as it is now; nothing would be merged:`, h("ul", {}, conflicts.slice(0, 20).map((each) => h("li.wrap-any", {}, `${each.path} ${each.field ?? ""}: site ${each.site}, proposed ${each.proposal}`)))))
        : null,
      edits.length
        ? h("details", {}, h("summary", {}, `${edits.length} changes`), h("table", {}, h("thead", {}, h("tr", {}, ["What", "Before", "After"].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, edits.slice(0, 200).map((each) => h("tr", {}, h("td.path.wrap-any", {}, `${each.path} ${each.field ?? ""}`), h("td.wrap-any", {}, short(each.before)), h("td.wrap-any", {}, short(each.after)))))))
        : null,
      h(
        "div.row.wrap",
        {},
        own && row.status === "draft" ? button("Submit", () => this.act("submit"), { kind: "primary small" }) : null,
        own && (row.status === "draft" || row.status === "submitted") ? button("Withdraw", () => this.act("withdraw"), { kind: "small" }) : null,
        mayMerge && row.status === "submitted" ? button("Merge…", () => this.merge(row), { kind: "primary small", icon: "check" }) : null,
        mayMerge && row.status === "submitted" ? button("Reject…", () => this.reject(row), { kind: "small" }) : null,
        mayMerge && row.status === "merged" ? button("Undo the merge…", () => this.merge(row, true), { kind: "danger small" }) : null,
        row.status === "submitted" && !mayMerge ? h("span.hint", {}, own ? "Somebody else must merge it." : "You may not merge it.") : null,
      ),
    );
  }

  /** Show one side as a ghost. */
  look(side) {
    this.side = side;
    for (const each of this.detail.querySelectorAll("[data-side]")) mark(each, "aria-pressed", String(each.dataset.side === side));
    const { view } = this.place;
    if (!view) return;
    const ghosts = side ? this.touchedGhosts(side) : [];
    if (ghosts.length) view.ghosts.set("proposal", ghosts, { colour: side === "after" ? "#66d19a" : "#ffab66" });
    else view.ghosts.remove("proposal");
  }

  touchedGhosts(side) {
    return (this.touched ?? []).flatMap((each) => {
      const pose = each[side];
      if (pose) return [{ path: each.prim, world: pose.world }];
      return side === "after" && each.change === "removed" ? [{ path: each.prim, removed: true }] : [];
    });
  }

  async act(kind, more = {}) {
    const row = this.proposal;
    const answer = flat(await this.place.session.ask({ op: "proposal", operation: { id: uuid7(), kind, proposal: row.id, revision: row.revision, ...more } }));
    if (answer.proposal) this.rows.set(row.id, answer.proposal);
    this.show();
    await this.open(row.id);
    if (answer.conflict) throw new Error(`It was changed meanwhile: ${answer.conflict}. It is shown as it is now.`);
  }

  merge(row, undo = false) {
    openForm({
      title: undo ? "Undo this merge" : "Merge into the site layer",
      icon: undo ? "close" : "check",
      body: [
        h("p.wrap-any", {}, h("strong", {}, row.title), ` by ${row.author}, revision ${row.revision}`),
        h("p.hint", {}, undo ? "Gives back exactly what the merge changed, if nobody has touched it since." : "Changes the plant's site layer, field by field; nothing is merged if anything conflicts. It publishes no command."),
      ],
      submit: undo ? "Undo" : "Merge",
      kind: undo ? "danger" : "primary",
      act: async () => {
        await this.act(undo ? "undo" : "merge");
        toast(undo ? "Undone." : "Merged.");
      },
    });
  }

  reject(row) {
    const reason = h("textarea", { required: true, maxlength: "8000" });
    openForm({
      title: "Reject this proposal",
      icon: "close",
      body: [h("p.wrap-any", {}, row.title), field("Why", reason)],
      submit: "Reject",
      kind: "danger",
      act: async () => {
        if (!reason.value.trim()) throw new Error("Say why.");
        await this.act("reject", { reason: reason.value.trim() });
      },
    });
  }
}

/** The answer's further parts, beside the row or in it. */
function flat(answer) {
  const { proposal = {} } = answer;
  return { touched: proposal.touched, edits: proposal.edits, conflicts: proposal.conflicts, ...answer };
}

function chip(row) {
  const [name, tone] = STATUSES[row.status] ?? STATUSES.draft;
  return h("span.chip", { class: `tone-${tone}` }, icon(name), row.status);
}

function chipText(row) {
  return `${row.status}, by ${row.author}`;
}

function short(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value) ?? "";
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
