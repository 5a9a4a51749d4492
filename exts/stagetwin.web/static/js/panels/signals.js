/**
 * Values of a prim: each with unit, quality, age, and where it stands between its limits.
 */

import { button, fill, h, icon, mark, say, setIcon } from "./dom.js";
import { ageText, fixedText, statusText, timeText, unitText, valueText, withUnit } from "./format.js";
import { VirtualList } from "./virtual_list.js";
import { SILENT } from "./workplace.js";

const WORDS = { good: "good", uncertain: "uncertain", bad: "bad", stale: "stale", "": "no value yet" };
const LONG = 60;

/** Standard deviations beyond which a residual is no noise. */
const FAR = 3;

export class SignalList {
  /**
   * @param {Workplace} place
   * @param {{chart: function(string): void, isCharted: function(string): boolean}} actions
   */
  constructor(place, actions) {
    this.place = place;
    this.actions = actions;
    this.rows = [];
    this.channels = [];
    this.heading = h("h3.section", {}, "Values");
    this.short = h("ul.signals", { "aria-label": "Values" });
    this.long = new VirtualList({
      label: "Values",
      role: "list",
      rowRole: "listitem",
      rowHeight: () => (this.isModelled ? 82 : 62),
      keyOf: (channel) => channel.path,
      make: (channel) => this.make(channel),
      update: (element, channel) => this.update(element, channel),
    });
    this.long.element.classList.add("signals-long");
    this.element = h("section", { "aria-label": "Values" }, this.heading, this.short, this.long.element);
  }

  /**
   * Show the values of a prim and of what lies below it.
   *
   * @param {string} prim - empty for none
   * @param {string} [element] - path with `[n]`: only that element's
   */
  show(prim, element = prim) {
    const { session } = this.place;
    const found = prim ? [...session.values.below(prim)].map((row) => session.channels[row]) : [];
    const index = /\[(\d+)\]$/.exec(element)?.[1];
    this.prim = prim;
    this.channels = index === undefined ? found : found.filter((channel) => channel.element === Number(index));
    if (index !== undefined && !this.channels.length) this.channels = found;
    this.channels.sort((a, b) => Number(a.prim !== prim) - Number(b.prim !== prim) || (a.path < b.path ? -1 : 1));
    const many = this.channels.length > LONG;
    this.isModelled = this.channels.some((channel) => session.values.expected(channel) !== null);
    this.element.hidden = !prim;
    fill(this.heading, "Values", h("span.muted", {}, this.channels.length ? ` (${this.channels.length})` : " none here"));
    this.short.hidden = many;
    this.long.element.hidden = !many;
    this.rows = many ? [] : this.channels.map((channel) => [this.make(channel, "li"), channel]);
    fill(this.short, this.rows.map(([row]) => row));
    this.long.setItems(many ? this.channels : []);
    this.refresh();
  }

  make(channel, tag = "div") {
    const name = channel.label || channel.signal;
    const below = channel.prim === this.prim ? "" : channel.prim.slice(this.prim.length + 1);
    const chart = button("Chart", () => this.actions.chart(channel.path), {
      icon: "chart",
      iconOnly: true,
      kind: "small quiet",
      title: `Chart ${name}`,
    });
    mark(chart, "aria-label", `Chart ${name}`);
    return h(
      `${tag}.signal`,
      { data: { signal: channel.path } },
      h(
        "div.signal-line",
        {},
        h("span.signal-name.clip", { title: channel.path }, name, channel.element >= 0 ? `[${channel.element}]` : "", below ? h("span.muted", {}, ` ${below}`) : null),
        h("span.signal-value.number", {}, h("span", {}, "–"), h("span.unit", {})),
        chart,
      ),
      h("div.signal-model", { hidden: true }, h("span.number", {}), h("span.off.number", {}, icon("uncertain"), h("span", {}))),
      hasBounds(channel) ? limitBar() : null,
      h("div.signal-foot", {}, h("span.quality", {}, icon("none"), h("span", {})), h("span.age.number", {}), h("span.clip.raw", {})),
    );
  }

  /** Bring all visible values up to date. */
  refresh() {
    for (const [row, channel] of this.rows) this.update(row, channel);
    this.long.refresh();
  }

  /** Say what a model expects beside what is measured. */
  updateModel(line, channel) {
    const { place } = this;
    const expected = place.session.values.expected(channel);
    line.hidden = expected === null;
    if (expected === null) return;
    const [said, off] = line.children;
    const unit = unitText(channel.unit);
    const value = channel.type === "bool" ? valueText(expected.value !== 0) : `${fixedText(expected.value)}${unit ? `\u00a0${unit}` : ""}`;
    say(said, `expected ${expected.value === null ? "value not known" : value}`);
    say(off.lastChild, offText(expected));
    mark(off, "title", expected.sigmas === null ? null : "Measured minus expected, in standard deviations of what is noise");
    mark(line, "data-far", String(expected.sigmas !== null && Math.abs(expected.sigmas) > FAR));
    mark(line, "data-live", String(place.isLive));
  }

  update(row, channel) {
    const { place } = this;
    const reading = place.session.values.get(channel.path);
    const value = reading?.value;
    const [line, model, ...rest] = row.children;
    const [, shown, chart] = line.children;
    const text = typeof value === "number" ? fixedText(value) : valueText(value);
    say(shown.firstChild, text);
    say(shown.lastChild, text === "–" ? "" : unitText(channel.unit));
    if (text.length > 24) mark(shown, "title", text);
    mark(chart, "aria-pressed", String(this.actions.isCharted(channel.path)));
    chart.hidden = typeof value !== "number" && typeof value !== "boolean";
    this.updateModel(model, channel);
    const quality = reading?.quality ?? "";
    const foot = rest.at(-1);
    const [word, age, raw] = foot.children;
    setIcon(word.firstChild, quality || "none");
    say(word.lastChild, place.isLive ? WORDS[quality] : `${WORDS[quality]}, not live`);
    mark(row, "data-quality", quality || "none");
    mark(row, "data-live", String(place.isLive));
    const time = reading?.time ?? NaN;
    const seconds = place.now() - time + (place.isLive ? 0 : silence(place));
    say(age, quality === "" ? "" : Number.isFinite(time) ? ageText(seconds) : "source gave no time");
    if (Number.isFinite(time)) mark(age, "title", `Source time ${timeText(time)}`);
    const status = statusText(reading?.status ?? 0);
    say(raw, status);
    mark(raw, "title", status || null);
    if (rest.length === 2) updateBar(rest[0], channel, value);
  }
}

/** How far a value is from what a model expects. */
function offText({ residual, sigma, sigmas }) {
  if (residual === null) return "";
  const off = signed(fixedText(residual));
  if (sigmas === null) return off;
  return `${off} = ${signed(sigmas.toFixed(Math.abs(sigmas) < 99.95 ? 1 : 0))}\u00a0σ of ${fixedText(sigma)}`;
}

function signed(text) {
  if (Number(text) === 0) return "0";
  return text.startsWith("-") ? `−${text.slice(1)}` : `+${text}`;
}

/** How long nothing was heard, where the service's clock stands still meanwhile [s]. */
function silence(place) {
  return Number.isFinite(place.session.lag) && place.session.lag > SILENT ? place.session.lag : 0;
}

function hasBounds(channel) {
  return isNumber(channel.min ?? channel.softMin) && isNumber(channel.max ?? channel.softMax);
}

function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

function limitBar() {
  return h("div.limits", { role: "img" }, h("div.limits-soft"), h("div.limits-mark"));
}

function updateBar(bar, channel, value) {
  const low = channel.min ?? channel.softMin;
  const high = channel.max ?? channel.softMax;
  const span = high - low || 1;
  const part = (number) => `${Math.max(0, Math.min(1, (number - low) / span)) * 100}%`;
  const [soft, needle] = bar.children;
  soft.style.setProperty("left", part(channel.softMin ?? low));
  soft.style.setProperty("right", `calc(100% - ${part(channel.softMax ?? high)})`);
  const known = isNumber(value);
  needle.hidden = !known;
  if (known) needle.style.setProperty("left", part(value));
  const outside = known && (value < (channel.softMin ?? low) || value > (channel.softMax ?? high));
  bar.classList.toggle("outside", outside);
  const softs = isNumber(channel.softMin ?? channel.softMax)
    ? `, normally ${withUnit(channel.softMin ?? low, channel.unit)} to ${withUnit(channel.softMax ?? high, channel.unit)}`
    : "";
  const text = `Allowed ${withUnit(low, channel.unit)} to ${withUnit(high, channel.unit)}${softs}${outside ? "; outside of it now" : ""}`;
  mark(bar, "aria-label", text);
  mark(bar, "title", text);
}
