/**
 * Models of a prim: how each stands, how far it may be trusted, and what it says that nobody measures.
 */

import { fill, h, icon, say } from "./dom.js";
import { fixedText } from "./format.js";

const MOST = 12;

/** Time between two questions while the section is seen [s]. */
const AGAIN = 3;

const SIGNS = { running: "good", waiting: "clock", starting: "clock", failed: "bad" };

export class ModelList {
  /** @param {Workplace} place */
  constructor(place) {
    this.place = place;
    this.prim = "";
    this.asked = -Infinity;
    this.isAnswered = false;
    this.shown = "";
    this.outputs = [];
    this.heading = h("h3.section", {}, "Models");
    this.list = h("ul.models", { "aria-label": "Models" });
    this.element = h("section", { "aria-label": "Models", hidden: true }, this.heading, this.list);
  }

  /** @param {string} prim - show what is bound to it and below it; empty for none */
  show(prim) {
    this.prim = prim;
    this.shown = "";
    this.element.hidden = true;
    this.asked = -Infinity;
    this.isAnswered = false;
    this.refresh();
  }

  /** Bring it up to date; asks the service now and then. */
  refresh() {
    const { place, prim } = this;
    const now = performance.now() / 1000;
    const isWanted = !this.isAnswered || !this.element.hidden;
    if (prim && place.isLive && isWanted && now - this.asked >= AGAIN) {
      this.asked = now;
      place.session.ask({ op: "models", prim, limit: MOST }).then(
        (reply) => this.take(prim, reply),
        () => {}, // it is asked again
      );
    }
    for (const [element, path] of this.outputs) {
      const reading = place.session.values.get(path);
      const isKnown = typeof reading?.value === "number" && reading.quality !== "stale";
      say(element, isKnown ? fixedText(reading.value) : "not known");
    }
  }

  take(prim, { models, total, fault }) {
    if (prim !== this.prim) return;
    this.isAnswered = true;
    const text = JSON.stringify([models.map(({ signals: _, ...row }) => row), total, fault]);
    if (text === this.shown) return;
    this.shown = text;
    this.element.hidden = !total;
    this.outputs = [];
    fill(this.heading, "Models", h("span.muted", {}, ` (${total})`));
    fill(
      this.list,
      fault ? h("li.model-cause", {}, fault) : null,
      models.map((model) => this.row(model)),
      total > models.length ? h("li.muted", {}, `and ${total - models.length} more`) : null,
    );
    this.refresh();
  }

  row(model) {
    const below = model.prim === this.prim ? "" : model.prim.slice(this.prim === "/" ? 1 : this.prim.length + 1);
    return h(
      "li.model",
      { data: { model: model.path, state: model.state } },
      h(
        "div.signal-line",
        {},
        h("span.signal-name.clip", { title: model.path }, model.name, below ? h("span.muted", {}, ` ${below}`) : null),
        h("span.model-state", {}, icon(SIGNS[model.state] ?? "none"), h("span", {}, model.state)),
      ),
      h("div.signal-foot", {}, h("span", {}, model.kind), h("span", {}, model.fidelity || "fidelity not said")),
      model.cause ? h("p.model-cause", {}, model.cause) : null,
      this.given(model),
    );
  }

  /** What it says that no signal measures. */
  given({ prim, name }) {
    const prefix = `${prim}.twin:model:${name}:out:`;
    const own = this.place.session.channels.filter((channel) => channel.expected === "output" && channel.path.startsWith(prefix));
    if (!own.length) return null;
    return h(
      "dl.model-outputs",
      {},
      own.map((channel) => {
        const value = h("dd.number", {});
        this.outputs.push([value, channel.path]);
        return [h("dt.clip", {}, channel.path.slice(prefix.length).replaceAll("_", " ")), value];
      }),
    );
  }
}
