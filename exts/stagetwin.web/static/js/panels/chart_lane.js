/**
 * One lane of a chart: signals of one unit over the last minutes, drawn on a canvas.
 */

import { h } from "./dom.js";
import { numberText, unitText } from "./format.js";

/** Colour, dash and name of each line; dashes tell them apart without colour. */
export const LINES = [
  ["--line-1", []],
  ["--line-2", [7, 3]],
  ["--line-3", [2, 3]],
  ["--line-4", [9, 3, 2, 3]],
  ["--line-5", [4, 2]],
  ["--line-6", [12, 4]],
];

const LEFT = 52;
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 18;

/** Time between two samples beyond which a value is drawn as held, not as on its way [s]. */
const HELD = 2.5;

export class ChartLane {
  /** @param {string} unit - UCUM unit that its signals share */
  constructor(unit) {
    this.unit = unit;
    this.lines = [];
    this.canvas = h("canvas.chart-canvas", { "aria-hidden": "true" });
    this.element = h("div.chart-lane", {}, this.canvas);
    this.paint = this.canvas.getContext("2d");
  }

  /** @param {Array<{trace: object, channel: object, line: number, isExpected: boolean}>} lines - what models expect of a signal before the signal itself */
  setLines(lines) {
    this.lines = lines;
  }

  /** Read colours from the style sheet; call after the theme changed. */
  readColours() {
    // A canvas knows no custom properties; what they come to is asked for as a colour.
    const probe = h("span", { hidden: true });
    this.element.append(probe);
    const read = (name) => {
      probe.style.color = `var(${name})`;
      return getComputedStyle(probe).color;
    };
    this.colours = {
      text: read("--chart-text"),
      grid: read("--chart-grid"),
      limit: read("--chart-limit"),
      soft: read("--chart-soft"),
      cursor: read("--chart-cursor"),
      lines: LINES.map(([name]) => read(name)),
    };
    probe.remove();
  }

  /**
   * Draw.
   *
   * @param {number} from - left end [s]
   * @param {number} to - right end [s]
   * @param {number|null} cursor - time of the readout [s]
   * @param {Array<{from: number, to: number}>} outages - when nothing was heard [s]
   */
  draw(from, to, cursor, outages = []) {
    const width = this.canvas.clientWidth;
    const height = this.canvas.clientHeight;
    if (!width || !height) return;
    const scale = Math.min(devicePixelRatio || 1, 2);
    if (this.canvas.width !== Math.round(width * scale) || this.canvas.height !== Math.round(height * scale)) {
      this.canvas.width = Math.round(width * scale);
      this.canvas.height = Math.round(height * scale);
    }
    if (!this.colours) this.readColours();
    const { paint } = this;
    paint.setTransform(scale, 0, 0, scale, 0, 0);
    paint.clearRect(0, 0, width, height);
    paint.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const [low, high] = this.range(from);
    const x = (time) => LEFT + ((time - from) / (to - from)) * (width - LEFT - RIGHT);
    const y = (value) => height - BOTTOM - ((value - low) / (high - low)) * (height - TOP - BOTTOM);
    this.axes(width, height, low, high, from, to, x, y);
    paint.save();
    paint.beginPath();
    paint.rect(LEFT, TOP - 2, width - LEFT - RIGHT, height - TOP - BOTTOM + 4);
    paint.clip();
    this.limits(width, low, high, y);
    for (const line of this.lines) this.curve(line, from, to, outages, x, y);
    if (cursor !== null) {
      paint.strokeStyle = this.colours.cursor;
      paint.lineWidth = 1;
      paint.setLineDash([]);
      stroke(paint, x(cursor), TOP, x(cursor), height - BOTTOM);
    }
    paint.restore();
  }

  range(from) {
    let low = Infinity;
    let high = -Infinity;
    for (const { trace } of this.lines) {
      const { times, values } = trace;
      for (let index = times.length - 1; index >= 0; index--) {
        const value = values[index];
        if (value === value) {
          if (value < low) low = value;
          if (value > high) high = value;
        }
        if (times[index] < from) break;
      }
    }
    if (low > high) return [0, 1];
    const span = high - low;
    const pad = span > 0 ? span * 0.12 : Math.max(Math.abs(high) * 0.05, 0.5);
    return [low - pad, high + pad];
  }

  axes(width, height, low, high, from, to, x, y) {
    const { paint, colours } = this;
    paint.lineWidth = 1;
    paint.strokeStyle = colours.grid;
    paint.fillStyle = colours.text;
    paint.setLineDash([]);
    paint.textAlign = "right";
    paint.textBaseline = "middle";
    for (const value of ticks(low, high, Math.max(2, Math.floor((height - TOP - BOTTOM) / 28)))) {
      const at = Math.round(y(value)) + 0.5;
      stroke(paint, LEFT, at, width - RIGHT, at);
      paint.fillText(numberText(Number(value.toPrecision(10))), LEFT - 6, at);
    }
    const unit = unitText(this.unit);
    paint.textBaseline = "alphabetic";
    for (const ago of timeTicks(to - from, width - LEFT)) {
      const at = Math.round(x(to - ago)) + 0.5;
      stroke(paint, at, TOP, at, height - BOTTOM);
      paint.textAlign = ago === 0 ? "right" : "center";
      paint.fillText(ago === 0 ? "now" : agoText(ago), at, height - 4);
    }
    paint.textAlign = "left";
    if (unit) paint.fillText(unit, LEFT + 6, TOP + 10);
  }

  limits(width, low, high, y) {
    const { paint, colours } = this;
    const drawn = new Set();
    for (const { channel } of this.lines) {
      for (const [name, colour, dash] of [["min", colours.limit, []], ["max", colours.limit, []], ["softMin", colours.soft, [6, 4]], ["softMax", colours.soft, [6, 4]]]) {
        const value = channel[name];
        if (typeof value !== "number" || value < low || value > high || drawn.has(`${name} ${value}`)) continue;
        drawn.add(`${name} ${value}`);
        paint.strokeStyle = colour;
        paint.setLineDash(dash);
        paint.lineWidth = 1;
        stroke(paint, LEFT, y(value), width, y(value));
        paint.fillStyle = colour;
        paint.textAlign = "right";
        paint.textBaseline = "bottom";
        paint.fillText(name.startsWith("soft") ? "soft limit" : "hard limit", width - RIGHT - 4, y(value) - 1);
      }
    }
  }

  curve({ trace, channel, line, isExpected }, from, to, outages, x, y) {
    const { paint } = this;
    const { times, values, qualities } = trace;
    const isStep = channel.type === "bool";
    paint.strokeStyle = this.colours.lines[line % LINES.length];
    // What is expected is a thin dashed line in its signal's colour, beneath it.
    paint.setLineDash(isExpected ? [3, 5] : LINES[line % LINES.length][1]);
    paint.lineWidth = isExpected ? 1.1 : 1.7;
    paint.lineJoin = "round";
    paint.beginPath();
    let first = times.length - 1;
    while (first > 0 && times[first] >= from) first--;
    let pen = false;
    for (let index = Math.max(0, first); index < times.length; index++) {
      const [time, value] = [times[index], values[index]];
      const usable = value === value && qualities[index] < 2;
      const before = times[index - 1];
      const cut = pen ? outages.find((outage) => outage.from < time && outage.to > before) : undefined;
      if (pen && (!usable || cut)) {
        // A value stands until something else is known; what is not known is a gap.
        paint.lineTo(x(Math.max(before, Math.min(time, cut?.from ?? time))), y(values[index - 1]));
        pen = false;
      }
      if (!usable) continue;
      if (pen) {
        if (isStep || time - before > HELD) paint.lineTo(x(time), y(values[index - 1]));
        paint.lineTo(x(time), y(value));
      } else paint.moveTo(x(time), y(value));
      pen = true;
    }
    const last = times.length - 1;
    if (!pen || last < 0) {
      paint.stroke();
      return;
    }
    const end = Math.max(times[last], Math.min(to, outages.find((outage) => outage.to > times[last])?.from ?? to));
    paint.lineTo(x(end), y(values[last]));
    paint.stroke();
    paint.setLineDash([]);
    if (isExpected) return;
    paint.fillStyle = paint.strokeStyle;
    paint.beginPath();
    paint.arc(x(end), y(values[last]), 2.5, 0, 7);
    paint.fill();
  }

  /**
   * Return the time under a place of the canvas.
   *
   * @param {number} place - CSS pixels from its left
   * @param {number} from
   * @param {number} to
   * @returns {number} [s]
   */
  timeAt(place, from, to) {
    const width = this.canvas.clientWidth - LEFT - RIGHT;
    return from + Math.max(0, Math.min(1, (place - LEFT) / width)) * (to - from);
  }
}

function stroke(paint, x0, y0, x1, y1) {
  paint.beginPath();
  paint.moveTo(x0, y0);
  paint.lineTo(x1, y1);
  paint.stroke();
}

function ticks(low, high, most) {
  const raw = (high - low) / most;
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((each) => each * size).find((each) => each >= raw) ?? size * 10;
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) found.push(value);
  return found;
}

function timeTicks(span, width) {
  const step = [5, 10, 15, 30, 60, 120, 300, 600].find((each) => (span / each) * 84 <= width) ?? 600;
  const found = [];
  for (let ago = 0; ago <= span; ago += step) found.push(ago);
  return found;
}

function agoText(seconds) {
  return seconds < 60 ? `−${seconds} s` : `−${seconds / 60} min`.replace(".5", "½");
}
