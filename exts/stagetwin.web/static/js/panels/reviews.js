/**
 * The review: topics, pinned to what they are about; proposals; what waits to be sent.
 */

import { openForm, report, toast } from "./dialog.js";
import { button, field, fill, h, icon, mark, say } from "./dom.js";
import { ageText } from "./format.js";
import { Proposals } from "./proposals.js";
import { TopicView } from "./topic.js";
import { PRIORITIES, STATUSES, isOrphaned, topicChips } from "./topic_words.js";
import { anchorsOf, base64Of, bytesOf, sectionsOf, snapshotOf, viewpointOf } from "./viewpoint.js";
import { VirtualList, rowHeight } from "./virtual_list.js";

const MOST_VALUES = 40;

export class Reviews {
  /**
   * @param {Workplace} place
   * @param {Outbox} outbox
   * @param {{counted: function(number, boolean, string): void, opened: function(): void,
   *   linked: function(): void}} actions
   */
  constructor(place, outbox, actions) {
    this.place = place;
    this.outbox = outbox;
    this.actions = actions;
    this.hit = null;
    this.open = "";
    this.which = h(
      "select.grow",
      { "aria-label": "Which topics", on: { change: () => this.showList() } },
      h("option", { value: "unresolved" }, "Open and in progress"),
      h("option", { value: "all" }, "All topics"),
      Object.entries(STATUSES).map(([value, text]) => h("option", { value }, `Only ${text}`)),
      h("option", { value: "approval" }, "Approval asked for"),
      h("option", { value: "here" }, "At the selection"),
      h("option", { value: "orphaned" }, "Orphaned"),
    );
    this.make = button("New topic", () => this.create(), { icon: "plus", kind: "primary", keys: "N" });
    this.list = new VirtualList({
      label: "Topics, newest change first",
      role: "list",
      rowRole: "listitem",
      rowHeight: () => rowHeight(60, 68),
      keyOf: (topic) => topic.id,
      make: () => h("div.topic-row", {}, h("div.row", {}, h("strong.grow.clip", {}), h("span.muted.number", {})), h("div.row.topic-chips", {})),
      update: (element, topic) => this.updateRow(element, topic),
      onPick: (topic) => this.openTopic(topic.id),
      empty: "No topic.",
    });
    this.waits = h("div.stack.outbox", { role: "status" });
    this.proposals = new Proposals(place);
    this.shelf = h("div.column", {}, h("div.panel-tools", {}, this.which, this.make), this.waits, this.list.element, this.proposals.element, this.footer());
    this.detail = h("div.column", { hidden: true });
    this.element = h("div.column", {}, this.shelf, this.detail);
    place.session.on("topic", (row) => {
      this.dirty = true;
      if (row.id === this.open) this.view?.show(place.session.topics.get(row.id));
    });
    place.hear("reset connected", () => (this.dirty = true));
    place.hear("select", () => this.which.value === "here" && this.showList());
    place.hear("live", () => this.showMay());
    place.view?.on("pick", (hit) => (this.hit = hit));
    outbox.addEventListener("change", () => {
      this.showWaiting();
      this.view?.showThread(this.view.topic);
    });
    place.session.on("welcome", () => this.showWaiting());
    place.pulse.add(() => {
      if (!this.dirty) return;
      this.dirty = false;
      this.showList();
      place.tell("topics");
    });
    this.showList();
  }

  footer() {
    const file = h("input", { type: "file", accept: ".bcfzip,.bcf,application/zip", hidden: true, "aria-label": "BCF file", on: { change: () => this.importBcf(file) } });
    return h(
      "div.panel-foot.row",
      {},
      button("Export BCF", () => this.exportBcf(), { icon: "download", kind: "small quiet" }),
      button("Import BCF", () => file.click(), { icon: "upload", kind: "small quiet" }),
      file,
    );
  }

  topics() {
    return [...this.place.session.topics.values()].sort((a, b) => b.changed - a.changed);
  }

  showList() {
    const prim = this.place.prim;
    const which = this.which.value;
    const fits = {
      unresolved: (topic) => topic.status === "open" || topic.status === "in_progress",
      all: () => true,
      approval: (topic) => topic.approval === "requested",
      here: (topic) => topic.anchors.some((anchor) => prim && (anchor.prim === prim || anchor.prim.startsWith(`${prim}/`))),
      orphaned: isOrphaned,
    };
    const all = this.topics();
    const shown = all.filter(fits[which] ?? ((topic) => topic.status === which));
    this.list.setEmpty(all.length ? "No topic fits." : "Nobody has opened a topic yet. Select something and press New topic.");
    this.list.setItems(shown);
    const open = all.filter(fits.unresolved).length;
    this.actions.counted(open, false, `${open} topics are open`);
    this.showMay();
  }

  showMay() {
    const prims = this.place.selection.length ? this.place.selection : ["/"];
    const may = prims.every((prim) => this.place.may("review", prim));
    this.make.disabled = !may;
    mark(this.make, "title", may ? "Open a topic about the selection (N)" : "You may not review here");
  }

  updateRow(element, topic) {
    const [top, chips] = element.children;
    say(top.children[0], topic.title);
    say(top.children[1], ageText(this.place.now() - topic.changed));
    const drawn = `${topic.revision} ${topic.comments.length} ${topic.status} ${topic.approval} ${topic.priority} ${isOrphaned(topic)}`;
    if (element.dataset.drawn === drawn) return;
    element.dataset.drawn = drawn;
    const count = topic.comments.length;
    fill(
      chips,
      topicChips(topic),
      count ? h("span.chip", {}, icon("comment"), `${count}`, h("span.unseen", {}, " comments")) : null,
      h("span.muted.clip", {}, topic.author),
    );
  }

  showWaiting() {
    const waiting = this.outbox.mine;
    fill(
      this.waits,
      waiting.map((each) =>
        h(
          "div.notice",
          { class: each.refused ? "error" : "warn" },
          icon(each.refused ? "bad" : "clock"),
          h(
            "span.grow",
            {},
            each.refused ? `Not taken (${each.refused}): ` : "Waits to be sent: ",
            h("strong", {}, wordsOf(each.operation)),
          ),
          button("Give up", () => this.outbox.drop(each.operation.id), { kind: "small quiet", data: { drop: each.operation.id } }),
        ),
      ),
    );
  }

  /** Show one topic. */
  openTopic(id, { restoreView = true } = {}) {
    const topic = this.place.session.topics.get(id);
    if (!topic) return toast("That topic is not there, or you may not see it.", { error: true });
    this.open = id;
    this.view = new TopicView(this.place, this.outbox, topic, { back: () => this.closeTopic(), hit: () => this.hit });
    fill(this.detail, this.view.element);
    this.detail.hidden = false;
    this.shelf.hidden = true;
    this.actions.opened();
    this.view.focus();
    if (restoreView) this.view.look();
    this.actions.linked();
    return undefined;
  }

  closeTopic() {
    const id = this.open;
    this.open = "";
    this.view = null;
    this.detail.hidden = true;
    this.shelf.hidden = false;
    this.showList();
    if (this.list.reveal(id)) this.list.focusActive();
    this.actions.linked();
  }

  /** Open the form for a new topic about the selection. */
  create() {
    const { place } = this;
    if (this.make.disabled) return;
    const anchors = place.view ? anchorsOf(place, this.hit) : place.selection.map((prim) => ({ prim, point: [0, 0, 0], normal: null, instance: -1 }));
    const title = h("input", { type: "text", required: true, maxlength: "200", autocomplete: "off" });
    const text = h("textarea", { maxlength: "8000" });
    const type = h("select", {}, ["comment", "issue", "request", "fault", "clash"].map((each) => h("option", {}, each)));
    const priority = h("select", {}, Object.entries(PRIORITIES).map(([value, words]) => h("option", { value, selected: value === "normal" }, words)));
    const asks = h("input", { type: "checkbox", id: "asks-approval" });
    const keepsView = h("input", { type: "checkbox", id: "keeps-view", checked: true });
    const keepsValues = h("input", { type: "checkbox", id: "keeps-values", checked: true });
    const signals = this.signalsHere(anchors);
    openForm({
      title: "New topic",
      icon: "comment",
      body: [
        h("p.hint.wrap-any", {}, anchors.length ? `Pinned to ${anchors.map((anchor) => anchor.prim + (anchor.instance >= 0 ? `[${anchor.instance}]` : "")).join(", ")}` : "About the whole stage: nothing is selected."),
        field("Title", title),
        field("What is it about", text),
        h("div.row", {}, h("div.grow", {}, field("Kind", type)), h("div.grow", {}, field("Priority", priority))),
        h("label.check", { for: "keeps-view" }, keepsView, "Keep what I see: camera, section planes, picture"),
        signals.length ? h("label.check", { for: "keeps-values" }, keepsValues, `Freeze ${signals.length} live value${signals.length === 1 ? "" : "s"}`) : null,
        h("label.check", { for: "asks-approval" }, asks, "Ask for approval"),
      ],
      submit: "Open topic",
      act: async () => {
        const operation = {
          kind: "create",
          title: title.value.trim(),
          description: text.value.trim(),
          type: type.value,
          priority: priority.value,
          approval: asks.checked ? "requested" : "none",
          anchors,
          values: keepsValues.checked ? signals : [],
        };
        if (!operation.title) throw new Error("Give it a title.");
        if (keepsView.checked && place.view?.ready) {
          operation.viewpoint = viewpointOf(place.view);
          operation.sections = sectionsOf(place.view, anchors[0]?.prim ?? "");
          operation.snapshot = await snapshotOf(place.view).catch(() => "");
        }
        if (!operation.snapshot) delete operation.snapshot;
        const answer = await this.outbox.send(operation);
        if (answer.later) return toast("Not live: it is kept here and sent when the service is back.");
        toast("Topic opened.");
        place.session.topics.set(answer.topic.id, answer.topic);
        this.openTopic(answer.topic.id, { restoreView: false });
        return undefined;
      },
    });
    title.focus();
  }

  signalsHere(anchors) {
    const { session } = this.place;
    const rows = new Set(anchors.flatMap((anchor) => [...session.values.below(anchor.prim)]));
    return [...rows].slice(0, MOST_VALUES).map((row) => session.channels[row].path);
  }

  async exportBcf() {
    try {
      const answer = await this.place.session.ask({ op: "bcf_export" });
      const link = h("a", { href: URL.createObjectURL(new Blob([bytesOf(answer.bcf)], { type: "application/zip" })), download: "review.bcfzip" });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
      toast(`${answer.topics} topics exported.`);
    } catch (error) {
      report(error, "No BCF file was made");
    }
  }

  async importBcf(input) {
    const file = input.files[0];
    input.value = "";
    if (!file) return;
    try {
      const answer = await this.place.session.ask({ op: "bcf_import", bcf: base64Of(await file.arrayBuffer()) });
      const problems = answer.problems.length ? ` ${answer.problems.length} problems: ${answer.problems.slice(0, 3).join("; ")}` : "";
      toast(`${answer.created} topics and ${answer.commented} comments taken over, ${answer.unchanged} known.${problems}`, { seconds: 12 });
    } catch (error) {
      report(error, "The file was not imported");
    }
  }
}

function wordsOf(operation) {
  const text = operation.title ?? operation.text ?? operation.status ?? "";
  return `${operation.kind}${text ? ` “${text.slice(0, 60)}”` : ""}`;
}
