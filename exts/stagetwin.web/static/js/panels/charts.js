/**
 * Live charts: pinned signals over the last minutes, a lane for each unit, read by mouse or keys.
 */

import { announce } from "./dialog.js";
import { button, fill, h, mark, newId, say } from "./dom.js";
import { ageText, withUnit } from "./format.js";
import { ChartLane, LINES } from "./chart_lane.js";
import { recall, remember } from "./preferences.js";

const MOST = 12;
const KEPT = 1800;
const SPANS = [[60, "1 min"], [300, "5 min"], [900, "15 min"], [1800, "30 min"]];

export class Charts {
  /**
   * @param {Workplace} place
   * @param {{opened: function(): void}} actions
   */
  constructor(place, actions) {
    this.place = place;
    this.actions = actions;
    this.pinned = recall("charts", []).filter((path) => typeof path === "string").slice(0, MOST);
    this.traces = new Map();
    this.lanes = new Map();
    this.cursor = null;
    this.span = h(
      "select",
      { "aria-label": "How far back", on: { change: () => this.draw() } },
      SPANS.map(([value, text]) => h("option", { value: String(value), selected: value === 300 }, text)),
    );
    const help = newId("chart-help");
    this.legend = h("ul.legend", { "aria-label": "Pinned signals" });
    this.readout = h("output.hint.number.clip", { "aria-live": "polite" });
    this.plots = h("div.plots", {
      tabindex: "0",
      role: "group",
      "aria-label": "Charts",
      "aria-describedby": help,
      on: {
        pointermove: (event) => this.point(event),
        pointerleave: () => this.setCursor(null),
        keydown: (event) => this.key(event),
        blur: () => this.setCursor(null),
      },
    });
    this.none = h("p.empty", {}, "No signal is pinned. Press the chart sign beside a value.");
    this.element = h(
      "div.column",
      {},
      h("div.panel-tools.charts-head", {}, this.span, this.legend, this.readout, h("span.unseen", { id: help }, "Left and right arrows move the readout, Escape ends it.")),
      this.plots,
      this.none,
    );
    place.hear("channels", () => this.rebuild());
    place.hear("reset", () => this.rebuild());
    this.outages = [];
    place.hear("live", () => this.noteOutage());
    place.theme.addEventListener("change", () => this.lanes.forEach((lane) => (lane.colours = null)));
    place.pulse.add(() => this.element.offsetParent && this.draw());
  }

  /** Remember when nothing was heard: a chart shows that as a gap. */
  noteOutage() {
    const now = this.place.now();
    const open = this.outages.at(-1);
    if (!this.place.isLive && (!open || open.to !== Infinity)) {
      this.outages.push({ from: now - Math.min(this.place.session.lag || 0, 60), to: Infinity });
    } else if (this.place.isLive && open?.to === Infinity) open.to = now;
    while (this.outages.length > 100) this.outages.shift();
  }

  /** @param {string} path - of a channel */
  isPinned(path) {
    return this.pinned.includes(path);
  }

  /** Pin a signal, or take it off. */
  toggle(path) {
    if (this.isPinned(path)) {
      this.pinned = this.pinned.filter((each) => each !== path);
      announce("Taken off the chart");
    } else {
      this.pinned = [...this.pinned, path].slice(-MOST);
      announce("Pinned to the chart");
      this.actions.opened();
    }
    remember("charts", this.pinned);
    this.rebuild();
  }

  rebuild() {
    const { session } = this.place;
    const kept = new Set(this.pinned);
    const byUnit = new Map();
    this.shown = [];
    this.pinned.forEach((path, line) => {
      const row = session.values.row(path);
      const channel = row >= 0 ? session.channels[row] : null;
      if (!this.traces.has(path)) this.traces.set(path, session.values.trace(path, KEPT));
      const expected = channel ? session.values.expected(channel) : null;
      if (expected) kept.add(expected.path);
      if (expected && !this.traces.has(expected.path)) this.traces.set(expected.path, session.values.trace(expected.path, KEPT));
      this.shown.push({ path, channel, line, expected: expected?.path });
      if (!channel) return;
      const unit = channel.type === "bool" ? "yes/no" : channel.unit ?? "";
      const drawn = [{ trace: this.traces.get(path), channel, line }];
      if (expected) drawn.unshift({ trace: this.traces.get(expected.path), channel, line, isExpected: true });
      byUnit.set(unit, [...(byUnit.get(unit) ?? []), ...drawn]);
    });
    for (const [path, trace] of this.traces) {
      if (kept.has(path)) continue;
      trace.stop();
      this.traces.delete(path);
    }
    for (const unit of [...this.lanes.keys()]) if (!byUnit.has(unit)) this.lanes.delete(unit);
    for (const [unit, lines] of byUnit) {
      if (!this.lanes.has(unit)) this.lanes.set(unit, new ChartLane(unit));
      this.lanes.get(unit).setLines(lines);
    }
    fill(this.plots, [...this.lanes.values()].map((lane) => lane.element));
    this.none.hidden = this.pinned.length > 0;
    this.plots.hidden = this.pinned.length === 0;
    this.buildLegend();
    this.draw();
  }

  buildLegend() {
    this.legend.hidden = !this.shown.length;
    fill(
      this.legend,
      this.shown.map(({ path, channel, line, expected }) => {
        const name = channel ? `${this.place.labelOf(channel.prim)} ${channel.label || channel.signal}` : path;
        const off = button("Take off", () => this.toggle(path), { icon: "close", iconOnly: true, kind: "quiet small" });
        mark(off, "aria-label", `Take ${name} off the chart`);
        return h(
          "li",
          { data: { path, expected: expected ?? "" } },
          sample(line),
          h("button.link.clip", { type: "button", title: path, on: { click: () => this.place.goTo(path) } }, name),
          h("strong.number", {}),
          h("span.muted.number", { hidden: !expected }),
          off,
        );
      }),
    );
  }

  draw() {
    const to = this.place.now();
    const span = Number(this.span.value);
    this.from = to - span;
    this.to = to;
    for (const lane of this.lanes.values()) lane.draw(this.from, to, this.cursor === null ? null : to - this.cursor, this.outages);
    for (const item of this.legend.children) {
      const { path, expected } = item.dataset;
      const reading = this.place.session.values.get(path);
      const at = this.cursor === null ? null : valueAt(this.traces.get(path), to - this.cursor);
      const value = this.cursor === null ? reading?.value : at;
      const quality = reading?.quality && reading.quality !== "good" && this.cursor === null ? ` (${reading.quality})` : "";
      say(item.children[2], `${withUnit(value, reading?.channel.unit)}${quality}`);
      if (!expected) continue;
      const told = this.cursor === null ? this.place.session.values.expected(reading.channel)?.value : valueAt(this.traces.get(expected), to - this.cursor);
      say(item.children[3], `expected (dashed) ${withUnit(told ?? null, reading?.channel.unit)}`);
    }
    say(this.readout, this.cursor === null ? "" : ageText(this.cursor));
  }

  point(event) {
    const lane = [...this.lanes.values()].find((each) => each.element.contains(event.target));
    if (!lane) return;
    const box = lane.canvas.getBoundingClientRect();
    this.setCursor(this.to - lane.timeAt(event.clientX - box.left, this.from, this.to));
  }

  key(event) {
    const span = Number(this.span.value);
    const step = { ArrowLeft: span / 60, ArrowRight: -span / 60, PageUp: span / 10, PageDown: -span / 10 }[event.key];
    if (event.key === "Escape" && this.cursor !== null) this.setCursor(null);
    else if (event.key === "Home") this.setCursor(span);
    else if (event.key === "End") this.setCursor(0);
    else if (step) this.setCursor(Math.max(0, Math.min(span, (this.cursor ?? 0) + step)), true);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  setCursor(ago, tell = false) {
    this.cursor = ago;
    this.draw();
    if (!tell) return;
    const parts = [...this.legend.children].map((item) => `${item.children[1].textContent} ${item.children[2].textContent} ${item.children[3].textContent}`);
    announce(`${ageText(ago)}: ${parts.join(", ")}`);
  }
}

function valueAt(trace, time) {
  const { times, values, qualities } = trace;
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= time) low = middle + 1;
    else high = middle;
  }
  if (!low || qualities[low - 1] >= 2) return null;
  return values[low - 1];
}

function sample(line) {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("class", "sample");
  svg.setAttribute("viewBox", "0 0 28 8");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(ns, "path");
  path.setAttribute("d", "M0 4h28");
  path.setAttribute("stroke-dasharray", LINES[line % LINES.length][1].join(" ") || "none");
  path.setAttribute("class", `stroke-${(line % LINES.length) + 1}`);
  svg.append(path);
  return svg;
}
