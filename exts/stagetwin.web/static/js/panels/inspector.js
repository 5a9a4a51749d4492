/**
 * What is known of the selection: its values, its alarms, its commands, its topics.
 */

import { alarmWords } from "./alarm_words.js";
import { toast } from "./dialog.js";
import { button, fill, h, icon, say } from "./dom.js";
import { ageText } from "./format.js";
import { ModelList } from "./models.js";
import { SignalList } from "./signals.js";
import { TargetList } from "./targets.js";

export class Inspector {
  /**
   * @param {Workplace} place
   * @param {{chart: function(string): void, isCharted: function(string): boolean,
   *   newTopic: function(): void, openTopic: function(string): void,
   *   openAlarms: function(): void}} actions
   */
  constructor(place, actions) {
    this.place = place;
    this.actions = actions;
    this.title = h("h2.clip", {});
    this.path = h("p.path");
    this.chips = h("div.row.wrap.chips");
    this.tools = h("div.row.wrap");
    this.alarms = h("div.stack");
    this.topics = h("div.stack");
    this.signals = new SignalList(place, actions);
    this.targets = new TargetList(place);
    this.models = new ModelList(place);
    this.nothing = h("div.empty.stack", {}, h("p", {}, "Nothing is selected."), h("p", {}, "Click something on the stage, or choose it in the hierarchy (", h("kbd", {}, "/"), ")."));
    this.content = h(
      "div.inspect",
      { hidden: true },
      h("header.inspect-head", {}, this.title, this.path, this.chips, this.tools),
      this.alarms,
      this.targets.element,
      this.signals.element,
      this.models.element,
      this.topics,
    );
    this.element = h("div.scroll", { tabindex: "0", role: "region", "aria-label": "Details of the selection" }, this.nothing, this.content);
    place.hear("select scene reset", () => this.show());
    place.hear("channels", () => {
      this.signals.show(place.prim);
      this.models.show(place.prim);
    });
    place.hear("alarms", () => (this.stale = true));
    place.session.on("topic", () => (this.stale = true));
    place.pulse.add(() => {
      if (this.stale) {
        this.stale = false;
        this.showAlarms();
        this.showTopics();
      }
      if (!this.element.offsetParent) return;
      this.signals.refresh();
      this.models.refresh();
    });
  }

  show() {
    const { place } = this;
    const path = place.prim;
    this.nothing.hidden = Boolean(path);
    this.content.hidden = !path;
    if (!path) {
      this.signals.show("");
      this.models.show("");
      this.targets.show("");
      return;
    }
    const prim = place.prims.get(path);
    const element = place.selection.at(-1);
    say(this.title, element === path ? place.labelOf(path) : `${place.labelOf(path)} ${element.slice(path.length)}`);
    say(this.path, element);
    fill(
      this.chips,
      prim?.type ? chip("cube", prim.type) : null,
      prim?.kind ? chip("layers", prim.kind) : null,
      prim?.asset ? chip("gauge", "twin asset") : null,
      prim?.instance ? chip("layers", "instance") : null,
      place.view && !place.view.has(element) ? chip("eyeoff", "no shape") : null,
      place.selection.length > 1 ? chip("plus", `${place.selection.length} selected`) : null,
    );
    fill(this.tools, this.toolButtons(element));
    this.showAlarms();
    this.signals.show(path, element);
    this.targets.show(path);
    this.models.show(path);
    this.showTopics();
  }

  toolButtons(path) {
    const { view } = this.place;
    const isHidden = view?.hidden.includes(path);
    const isIsolated = this.isolated === path;
    return [
      button("Fit", () => view?.fit(path), { icon: "fit", kind: "small", keys: "F" }),
      button(isHidden ? "Show" : "Hide", () => {
        if (isHidden) view.show(path);
        else view?.hide(path);
        fill(this.tools, this.toolButtons(path));
      }, { icon: isHidden ? "eye" : "eyeoff", kind: "small", title: "For you alone (H)" }),
      button(isIsolated ? "Show all" : "Isolate", () => {
        this.isolated = isIsolated ? "" : path;
        view?.isolate(isIsolated ? null : [path]);
        fill(this.tools, this.toolButtons(path));
      }, { icon: "section", kind: "small" }),
      button("Copy path", () => copy(path), { icon: "link", kind: "small", iconOnly: true }),
      this.place.may("review", path)
        ? button("Topic", () => this.actions.newTopic(), { icon: "comment", kind: "small", keys: "N", title: "New topic about it (N)" })
        : null,
    ];
  }

  showAlarms() {
    const path = this.place.prim;
    if (!path) return;
    const found = this.place.activeAlarms().filter((alarm) => alarm.prim === path || alarm.prim.startsWith(`${path}/`));
    fill(
      this.alarms,
      found.slice(0, 4).map((alarm) =>
        h(
          "button.inspect-alarm",
          { type: "button", class: `priority-${alarm.priority}`, on: { click: () => this.actions.openAlarms(alarm.id) } },
          icon(alarm.priority),
          h("span.grow", {}, h("strong", {}, alarm.message || alarm.name), h("span.hint", {}, `${alarm.priority}, ${alarmWords(alarm.state)}, ${ageText(this.place.now() - alarm.raised)}`)),
        ),
      ),
      found.length > 4 ? button(`${found.length - 4} more alarms`, () => this.actions.openAlarms(), { kind: "small quiet" }) : null,
    );
  }

  showTopics() {
    const path = this.place.prim;
    if (!path) return;
    const found = [...this.place.session.topics.values()].filter((topic) => topic.anchors?.some((anchor) => anchor.prim === path || anchor.prim.startsWith(`${path}/`)));
    fill(
      this.topics,
      found.length ? h("h3.section", {}, `Topics (${found.length})`) : null,
      found.slice(0, 6).map((topic) =>
        button(topic.title, () => this.actions.openTopic(topic.id), { icon: "comment", kind: "quiet line" }),
      ),
    );
  }
}

function chip(name, text) {
  return h("span.chip", {}, icon(name), text);
}

/**
 * Put a text on the clipboard.
 *
 * @param {string} text
 */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied.");
  } catch {
    // Without TLS a browser may refuse: then it can be copied by hand.
    toast(text, { seconds: 20 });
  }
}
