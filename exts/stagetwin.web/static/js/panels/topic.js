/**
 * One topic: what it is about, what was said, and how it stands.
 */

import { openForm, report, toast } from "./dialog.js";
import { button, field, fill, h, icon, mark, say } from "./dom.js";
import { ageText, timeText, withUnit } from "./format.js";
import { copy } from "./inspector.js";
import { topicLink } from "./permalink.js";
import { PRIORITIES, STATUSES, topicChips } from "./topic_words.js";
import { anchorsOf, bytesOf, restore, viewpointOf } from "./viewpoint.js";

export class TopicView {
  /**
   * @param {Workplace} place
   * @param {Outbox} outbox
   * @param {object} topic
   * @param {{back: function(): void, hit: function(): object|null}} actions
   */
  constructor(place, outbox, topic, actions) {
    this.place = place;
    this.outbox = outbox;
    this.actions = actions;
    this.title = h("h2.wrap-any", { tabindex: "-1" });
    this.chips = h("div.row.wrap");
    this.text = h("p.topic-text.wrap-any");
    this.conflict = h("div.stack", { role: "alert" });
    this.anchors = h("ul.stack");
    this.picture = h("img.snapshot", { alt: "What its author saw", hidden: true });
    this.values = h("div");
    this.thread = h("ol.thread", { "aria-label": "Comments" });
    this.said = h("textarea", { "aria-label": "Comment", placeholder: "Comment (Ctrl+Enter sends)", maxlength: "8000", on: { keydown: (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && this.comment() } });
    this.keepsView = h("input", { type: "checkbox", id: "comment-view" });
    this.sendButton = button("Comment", () => this.comment(), { icon: "send", kind: "primary" });
    this.status = h("select", { "aria-label": "Status", on: { change: () => this.setStatus() } }, Object.entries(STATUSES).map(([value, words]) => h("option", { value }, words)));
    this.verdict = h("div.row.wrap");
    this.element = h(
      "article.column",
      { "aria-label": "Topic" },
      h(
        "div.panel-tools",
        {},
        button("Back to all topics", () => actions.back(), { icon: "chevron", iconOnly: true, kind: "quiet back" }),
        h("div.grow.row", {}, this.status),
        button("Look from where its author looked", () => this.look(), { icon: "eye", iconOnly: true, kind: "quiet" }),
        button("Copy a link to this topic", () => copy(topicLink(this.topic.id)), { icon: "link", iconOnly: true, kind: "quiet" }),
        button("Edit", () => this.edit(), { icon: "more", iconOnly: true, kind: "quiet" }),
      ),
      h("div.scroll.topic", { tabindex: "0", role: "region", "aria-label": "Topic" }, this.title, this.chips, this.text, this.conflict, this.anchors, this.picture, this.values, this.thread),
      h(
        "div.panel-foot.stack",
        {},
        this.verdict,
        this.said,
        h("div.row.spread", {}, h("label.check", { for: "comment-view" }, this.keepsView, "with my view"), this.sendButton),
      ),
    );
    this.show(topic);
    this.loadPicture(topic);
  }

  focus() {
    this.title.focus({ preventScroll: true });
  }

  /** @param {object} topic - as it is now */
  show(topic) {
    this.topic = topic;
    const { place } = this;
    say(this.title, topic.title);
    fill(this.chips, topicChips(topic), h("span.muted", {}, `${topic.type} by ${topic.author}, ${timeText(topic.created)}`), topic.assigned ? h("span.chip", {}, icon("user"), topic.assigned) : null, topic.labels.map((label) => h("span.chip", {}, label)));
    say(this.text, topic.description);
    this.text.hidden = !topic.description;
    if (this.status.value !== topic.status) this.status.value = topic.status;
    const may = this.mayReview();
    this.status.disabled = !may;
    this.said.disabled = !may;
    fill(this.anchors, topic.anchors.map((anchor, index) => this.anchorRow(anchor, index, may)));
    this.showValues(topic);
    this.showThread(topic);
    this.showVerdict(topic);
    mark(this.said, "placeholder", may ? (place.isLive ? "Comment (Ctrl+Enter sends)" : "Not live: kept here, and sent later") : "You may not comment here");
  }

  mayReview() {
    const prims = this.topic.anchors.map((anchor) => anchor.prim);
    return (prims.length ? prims : ["/"]).every((prim) => this.place.may("review", prim));
  }

  anchorRow(anchor, index, may) {
    const { place } = this;
    const path = anchor.prim + (anchor.instance >= 0 ? `[${anchor.instance}]` : "");
    if (!anchor.orphaned) {
      return h("li.row", {}, icon("pin"), h("button.path.link.clip", { type: "button", title: "Go there", on: { click: () => place.goTo(path) } }, path));
    }
    return h(
      "li.notice.warn",
      {},
      icon("offline"),
      h("div.grow", {}, h("strong", {}, "Orphaned: "), `nothing is at ${path} any more.`, anchor.moved_to ? h("div.row.wrap", {}, `It may be ${anchor.moved_to} now.`, may ? button("Pin it there", () => this.reanchor(index, anchor.moved_to), { kind: "small" }) : null) : null, may && place.selection.length ? button("Pin it to the selection", () => this.reanchor(index, ""), { kind: "small" }) : null),
    );
  }

  showValues(topic) {
    if (!topic.values.length) return fill(this.values);
    const now = (path) => {
      const reading = this.place.session.values.get(path);
      return reading ? withUnit(reading.value, reading.channel.unit) : "–";
    };
    return fill(
      this.values,
      h(
        "details",
        {},
        h("summary", {}, `${topic.values.length} values frozen ${timeText(topic.values[0].time)}`),
        h(
          "table.number",
          {},
          h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Signal"), h("th", { scope: "col" }, "Then"), h("th", { scope: "col" }, "Now"))),
          h("tbody", {}, topic.values.map((each) => h("tr", {}, h("td.wrap-any", { title: each.path }, each.path.slice(each.path.lastIndexOf("/") + 1)), h("td", {}, `${withUnit(each.value, each.unit)}${each.quality === "good" ? "" : ` (${each.quality})`}`), h("td", {}, now(each.path))))),
        ),
      ),
    );
  }

  showThread(topic) {
    const replaced = new Map(topic.comments.filter((each) => each.replaces).map((each) => [each.replaces, each]));
    fill(
      this.thread,
      topic.comments
        .filter((each) => !each.replaces)
        .map((first) => {
          let comment = first;
          while (replaced.has(comment.id)) comment = replaced.get(comment.id);
          return h(
            "li.comment",
            {},
            h("div.row", {}, h("strong.grow", {}, comment.author), h("time.muted.number", { title: timeText(comment.time) }, ageText(this.place.now() - first.time)), comment.viewpoint ? button("Look from there", () => restore(this.place.view, { ...this.topic, viewpoint: comment.viewpoint }), { icon: "eye", iconOnly: true, kind: "small quiet" }) : null),
            h("p.wrap-any.pre", {}, comment.text),
            comment === first ? null : h("span.hint", {}, "edited"),
          );
        }),
      this.outbox.mine.filter((each) => each.operation.topic === topic.id && each.operation.kind === "comment").map((each) => h("li.comment.waiting", {}, h("div.row", {}, icon("clock"), h("span.muted", {}, "not sent yet")), h("p.wrap-any.pre", {}, each.operation.text))),
    );
  }

  showVerdict(topic) {
    const { place } = this;
    const prims = topic.anchors.length ? topic.anchors.map((anchor) => anchor.prim) : ["/"];
    const mayApprove = prims.every((prim) => place.may("approve", prim)) && topic.author !== place.user;
    fill(
      this.verdict,
      topic.approval === "requested" && mayApprove
        ? [button("Approve", () => this.judge("approve"), { icon: "check" }), button("Reject…", () => this.judge("reject"), { icon: "close" })]
        : null,
      topic.approval === "requested" && !mayApprove ? h("span.hint", {}, topic.author === place.user ? "Somebody else must approve it." : "You may not approve it.") : null,
      (topic.approval === "none" || topic.approval === "rejected") && this.mayReview() && topic.status !== "closed"
        ? button("Ask for approval", () => this.change({ kind: "edit", approval: "requested" }), { kind: "small quiet", icon: "user" })
        : null,
    );
  }

  async loadPicture(topic) {
    if (!topic.snapshot) return;
    try {
      const { png } = await this.place.session.ask({ op: "topic_snapshot", id: topic.id });
      this.picture.src = URL.createObjectURL(new Blob([bytesOf(png)], { type: "image/png" }));
      this.picture.hidden = false;
    } catch {
      // A topic without its picture is still a topic.
    }
  }

  /** Go back to the camera and the planes of its author. */
  look() {
    if (this.place.view?.ready) restore(this.place.view, this.topic);
  }

  async comment() {
    const text = this.said.value.trim();
    if (!text || this.sendButton.disabled) return;
    const operation = { kind: "comment", topic: this.topic.id, text };
    if (this.keepsView.checked && this.place.view?.ready) operation.viewpoint = viewpointOf(this.place.view);
    this.sendButton.disabled = true;
    try {
      const answer = await this.outbox.send(operation);
      this.said.value = "";
      if (answer.topic) this.show(answer.topic);
      else this.showThread(this.topic);
    } catch (error) {
      report(error, "The comment was not taken");
    } finally {
      this.sendButton.disabled = false;
    }
  }

  /**
   * Ask for a change of the topic as it was seen; show what came in between where it is refused.
   *
   * @param {object} change - of an operation
   * @returns {Promise<boolean>} whether it was taken, or waits
   */
  async change(change) {
    try {
      const answer = await this.outbox.send({ topic: this.topic.id, revision: this.topic.revision, ...change });
      if (answer.later) {
        toast("Not live: it is kept here and sent when the service is back.");
        return true;
      }
      if (answer.topic) this.show(answer.topic);
      if (answer.conflict) this.showConflict(change, answer.conflict);
      return !answer.conflict;
    } catch (error) {
      report(error, "The topic was not changed");
      this.show(this.topic);
      return false;
    }
  }

  showConflict(change, why) {
    const again = button("Do it all the same", () => {
      fill(this.conflict);
      this.change(change);
    }, { kind: "small" });
    const typed = change.description ?? change.text ?? change.title ?? "";
    fill(
      this.conflict,
      h(
        "div.notice.warn",
        {},
        icon("uncertain"),
        h("div.grow.stack", {}, h("span", {}, `Somebody changed the topic meanwhile: ${why}. It is shown as it is now; yours was not applied.`), typed ? h("p.wrap-any.pre.kept", {}, typed) : null, h("div.row", {}, again, button("Give mine up", () => fill(this.conflict), { kind: "small quiet" }))),
      ),
    );
  }

  setStatus() {
    const { value } = this.status;
    if (value !== this.topic.status) this.change({ kind: "status", status: value });
  }

  judge(kind) {
    const text = h("textarea", { maxlength: "8000", required: kind === "reject" });
    openForm({
      title: kind === "approve" ? "Approve this topic" : "Reject this topic",
      icon: kind === "approve" ? "check" : "close",
      body: [h("p.wrap-any", {}, this.topic.title), h("p.hint", {}, `As it is now: revision ${this.topic.revision}.`), field("Comment", text)],
      submit: kind === "approve" ? "Approve" : "Reject",
      kind: kind === "approve" ? "primary" : "danger",
      act: async () => {
        if (!(await this.change({ kind, text: text.value.trim() }))) throw new Error("It was not taken: look at the topic again.");
      },
    });
  }

  edit() {
    const { topic } = this;
    const title = h("input", { type: "text", required: true, maxlength: "200", value: topic.title });
    const text = h("textarea", { maxlength: "8000" });
    text.value = topic.description;
    const priority = h("select", {}, Object.entries(PRIORITIES).map(([value, words]) => h("option", { value, selected: value === topic.priority }, words)));
    const assigned = h("input", { type: "text", value: topic.assigned, autocomplete: "off" });
    const labels = h("input", { type: "text", value: topic.labels.join(", "), autocomplete: "off" });
    const { revision } = topic;
    openForm({
      title: "Edit topic",
      icon: "comment",
      body: [field("Title", title), field("What is it about", text), field("Priority", priority), field("Assigned to", assigned), field("Labels", labels, "separated by commas")],
      submit: "Save",
      act: async () => {
        const change = { kind: "edit", revision, title: title.value.trim(), description: text.value.trim(), priority: priority.value, assigned: assigned.value.trim(), labels: labels.value.split(",").map((each) => each.trim()).filter(Boolean) };
        const answer = await this.outbox.send({ topic: topic.id, ...change });
        if (answer.topic) this.show(answer.topic);
        if (answer.conflict) {
          // Asked again, it is for what it is now.
          delete change.revision;
          this.showConflict(change, answer.conflict);
        }
      },
    });
  }

  reanchor(index, path) {
    const anchors = this.topic.anchors.map(({ prim, point, normal, instance }, position) => ({ prim, point, normal, instance, replaces: position }));
    const made = path ? { ...anchors[index], prim: path } : { ...anchorsOf(this.place, this.actions.hit())[0], replaces: index };
    anchors[index] = made;
    this.change({ kind: "anchor", anchors });
  }
}
