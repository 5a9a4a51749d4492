/**
 * What stands over the stage: tools, section planes, tags of topics and alarms, and what is amiss.
 */

import { alarmLine } from "./alarm_words.js";
import { announce } from "./dialog.js";
import { button, fill, h, icon, mark, say } from "./dom.js";
import { inverseOf, pointThrough } from "./viewpoint.js";

const LOOKS = [["iso", "Oblique"], ["top", "Top"], ["front", "Front"], ["back", "Back"], ["left", "Left"], ["right", "Right"], ["bottom", "Bottom"]];
const MOST_TAGS = 60;

export class ViewTools {
  /**
   * @param {Workplace} place
   * @param {HTMLElement} stage - what holds the canvas
   * @param {{openTopic: function(string): void, openAlarm: function(string): void}} actions
   */
  constructor(place, stage, actions) {
    this.place = place;
    this.stage = stage;
    this.actions = actions;
    this.tags = new Map();
    this.tagBox = h("div.tags", { role: "group", "aria-label": "Marks on the stage" });
    this.note = h("div.view-note", { role: "status" });
    this.progress = h("div.progress", { hidden: true, role: "status" });
    if (!place.view) {
      stage.append(h("div.progress", {}, h("p", {}, "This browser draws no WebGL 2."), h("p.muted", {}, "Values, alarms, commands and the review work without it.")));
      return;
    }
    this.build();
    this.listen();
  }

  build() {
    const { view } = this.place;
    this.mode = button("Fly", () => this.setMode(view.mode === "fly" ? "orbit" : "fly"), { icon: "fly", iconOnly: true, title: "Fly instead of orbit (W A S D Q E)" });
    this.sectionButton = button("Section planes", () => this.toggleSections(), { icon: "section", iconOnly: true, kind: "toggle" });
    mark(this.sectionButton, "aria-expanded", "false");
    this.look = h(
      "select.look",
      { "aria-label": "Look from", on: { change: () => this.lookFrom() } },
      h("option", { value: "" }, "View"),
      LOOKS.map(([value, words]) => h("option", { value }, words)),
    );
    this.tools = h(
      "div.view-tools",
      { role: "toolbar", "aria-label": "View", "aria-orientation": "vertical" },
      button("Show everything", () => view.fit(null), { icon: "cube", iconOnly: true, keys: "Home" }),
      button("Fit the selection", () => view.fit(this.place.selection.length ? this.place.selection : null), { icon: "fit", iconOnly: true, keys: "F" }),
      this.mode,
      this.sectionButton,
    );
    this.sections = h("div.sections", { hidden: true, role: "group", "aria-label": "Section planes" });
    this.stage.append(this.tagBox, this.tools, h("div.look-box", {}, this.look), this.sections, this.progress, this.note);
  }

  listen() {
    const { place } = this;
    const { view } = place;
    view.on("load", () => this.showLooks());
    view.on("progress", ({ done, total }) => this.showProgress(done, total));
    view.on("error", (error) => this.showFault(error));
    view.pins.on("move", (pins) => this.movePins(pins));
    view.sections.on("change", () => this.showSections());
    place.hear("topics alarms scene reset", () => this.showTags());
    place.session.on("topic", () => this.showTags());
    place.hear("live reset", () => this.showNote());
    this.showSections();
    this.showNote();
  }

  setMode(mode) {
    const { view } = this.place;
    view.mode = mode;
    mark(this.mode, "aria-pressed", String(mode === "fly"));
    announce(mode === "fly" ? "Flying: W A S D, Q and E; Shift is faster" : "Orbiting");
  }

  showLooks() {
    const { view } = this.place;
    fill(
      this.look,
      h("option", { value: "" }, "View"),
      LOOKS.map(([value, words]) => h("option", { value }, words)),
      view.cameras.length ? h("optgroup", { label: "Cameras of the stage" }, view.cameras.map((camera) => h("option", { value: camera.path }, camera.name))) : null,
    );
  }

  lookFrom() {
    const { view } = this.place;
    const camera = view.cameras.find((each) => each.path === this.look.value);
    if (camera) view.setCamera(camera, { seconds: 0.4 });
    else if (this.look.value) view.look(this.look.value);
    this.look.value = "";
  }

  showProgress(done, total) {
    this.progress.hidden = done >= total;
    say(this.progress, `Loading the scene: ${done} of ${total} models`);
  }

  showFault(error) {
    this.fault = error.message;
    this.showNote();
  }

  showNote() {
    const { place } = this;
    const notes = [];
    if (place.session.welcome && !place.isLive) notes.push(h("span.chip.tone-warn", {}, icon("offline"), "Not live: what is shown is of before"));
    if (this.fault) notes.push(h("span.chip.tone-bad", { title: this.fault }, icon("bad"), "Part of the scene could not be drawn"));
    fill(this.note, notes);
  }

  // -- section planes

  toggleSections() {
    this.sections.hidden = !this.sections.hidden;
    mark(this.sectionButton, "aria-expanded", String(!this.sections.hidden));
    this.place.view.sections.showHandles = !this.sections.hidden;
    if (!this.sections.hidden) this.sections.querySelector("button")?.focus();
  }

  showSections() {
    const { sections } = this.place.view;
    const held = this.sections.contains(document.activeElement) ? document.activeElement.dataset.focus : "";
    fill(
      this.sections,
      h("div.row", {}, h("h3.grow", {}, "Section planes"), ["x", "y", "z"].map((axis) => button(`Cut ${axis}`, () => sections.add(axis), { kind: "small", data: { focus: `add ${axis}` } }))),
      sections.list.map((plane, index) => this.sectionRow(plane, index)),
      sections.list.length
        ? h("div.row.spread", {}, h("p.hint", {}, "Drag the handle, or press [ and ] on the stage."), button("Clear", () => sections.clear(), { kind: "small quiet", data: { focus: "clear" } }))
        : h("p.hint", {}, "Cut across the scene to see inside."),
    );
    if (held) this.sections.querySelector(`[data-focus="${CSS.escape(held)}"]`)?.focus();
    mark(this.sectionButton, "data-count", sections.list.length ? String(sections.list.length) : null);
  }

  sectionRow(plane, index) {
    const { view } = this.place;
    const { sections } = view;
    const step = (view.bounds("/")?.[1] ?? [1, 1, 1]).reduce((sum, each) => Math.max(sum, Math.abs(each)), 1) / 100;
    const name = `Plane ${index + 1}`;
    const act = (words, sign, run, more = {}) => button(`${words} ${name}`, run, { icon: sign, iconOnly: true, kind: "small quiet", data: { focus: `${plane.id} ${words}` }, ...more });
    return h(
      "div.row",
      {},
      h("label.check.grow", {}, h("input", { type: "checkbox", checked: plane.enabled !== false, data: { focus: `${plane.id} on` }, on: { change: (event) => sections.update(plane.id, { enabled: event.target.checked }) } }), name),
      act("Move back", "down", () => sections.move(plane.id, -step)),
      act("Move on", "plus", () => sections.move(plane.id, step)),
      act("Flip", "layers", () => sections.flip(plane.id)),
      act("Remove", "close", () => sections.remove(plane.id)),
    );
  }

  // -- tags: pins of topics, and of prims with alarms

  showTags() {
    const { place } = this;
    const { view, session } = place;
    const wanted = new Map();
    for (const topic of session.topics.values()) {
      if (topic.status === "closed" || topic.status === "resolved") continue;
      const anchor = topic.anchors.find((each) => !each.orphaned && each.prim !== "/");
      if (!anchor) continue;
      const path = anchor.prim + (anchor.instance >= 0 ? `[${anchor.instance}]` : "");
      wanted.set(`topic ${topic.id}`, { pin: { path, local: anchor.point }, sign: "comment", text: String(topic.comments.length || ""), label: `Topic: ${topic.title}`, open: () => this.actions.openTopic(topic.id), kind: "pin-tag" });
    }
    const worst = new Map();
    for (const alarm of place.activeAlarms()) if (!worst.has(alarm.prim)) worst.set(alarm.prim, alarm);
    for (const [prim, alarm] of worst) {
      if (!view.has(prim) || wanted.size >= MOST_TAGS) continue;
      wanted.set(`alarm ${prim}`, { pin: { path: prim, local: this.topOf(prim) }, sign: alarm.priority, text: place.labelOf(prim), label: `${alarm.priority} alarm at ${place.labelOf(prim)}: ${alarmLine(alarm)}`, open: () => this.actions.openAlarm(alarm), kind: `alarm-tag priority-${alarm.priority}` });
    }
    for (const [key, tag] of this.tags) {
      if (wanted.has(key)) continue;
      tag.remove();
      this.tags.delete(key);
      view.pins.remove(key);
    }
    for (const [key, each] of wanted) {
      let tag = this.tags.get(key);
      if (!tag) {
        tag = h("button.tag", { type: "button", hidden: true });
        this.tags.set(key, tag);
        this.tagBox.append(tag);
      }
      tag.onclick = each.open;
      mark(tag, "class", `tag ${each.kind}`);
      mark(tag, "aria-label", each.label);
      mark(tag, "title", each.label);
      const drawn = `${each.sign} ${each.text}`;
      if (tag.dataset.drawn !== drawn) {
        tag.dataset.drawn = drawn;
        fill(tag, icon(each.sign), each.text ? h("span.clip", {}, each.text) : null);
      }
      view.pins.set(key, each.pin);
    }
  }

  /** The top of a prim in its own space, where its tag does not hide it. */
  topOf(prim) {
    const { view, manifest } = this.place;
    const box = view.bounds(prim);
    const pose = view.poseOf(prim);
    if (!box || !pose) return [0, 0, 0];
    const up = manifest?.stage.up === "Y" ? 1 : 2;
    const point = box[0].map((low, axis) => (axis === up ? box[1][axis] : (low + box[1][axis]) / 2));
    const inverse = inverseOf(pose);
    return inverse ? pointThrough(point, inverse) : [0, 0, 0];
  }

  movePins(pins) {
    for (const [key, tag] of this.tags) {
      const at = pins.get(key);
      const shown = Boolean(at?.visible) && !at.lost;
      tag.hidden = !shown;
      if (!shown) continue;
      tag.style.transform = `translate(${Math.round(at.x)}px, ${Math.round(at.y)}px) translate(-50%, -120%)`;
      tag.classList.toggle("is-behind", Boolean(at.hidden));
    }
  }
}
