import { Kind, NO_TIME, QUALITIES, rowAt } from "./frames.js";
import { Trace } from "./trace.js";

const NUMBER = 1;
const TRUTH = 2;
const VECTOR = 3;
const OTHER = 4;
const UNKNOWN = 255;

/**
 * @typedef {object} Reading
 * @property {object} channel the channel's row as the service sent it
 * @property {any} value number, boolean, text, list, BigInt beyond 2^53, or null before the first
 * @property {string} quality `good`, `uncertain`, `bad`, `stale`, or empty before the first
 * @property {number} time of the source [s, Unix]; NaN where it did not say
 * @property {number} status raw code, 0 where there is none
 */

/**
 * @typedef {object} Expected
 * @property {string} path of the expected value, to trace it by
 * @property {number|null} value null while it is not known
 * @property {number|null} residual measured minus expected
 * @property {number|null} sigma its standard deviation while model and machine agree
 * @property {number|null} sigmas the residual in standard deviations
 */

/**
 * The newest state of every channel, as columns.
 *
 * Applying a frame allocates nothing for numbers, truths and vectors.
 */
export class Values {
  #rows = new Map();
  #prims = new Map();
  #watches = new Set();
  #traces = new Map();
  #fresh = new Uint8Array(0);
  #changed = new Uint32Array(0);
  #count = 0;

  constructor() {
    /** How often any value changed. */
    this.changes = 0;
    this.bind([]);
  }

  /**
   * Take a new table of channels; channels that stay keep their state.
   *
   * @param {object[]} channels rows as in docs/sync.md
   */
  bind(channels) {
    const old = this.channels ? { ...this } : null;
    const oldRows = this.#rows;
    const size = channels.length;
    this.channels = channels;
    this.numbers = new Float64Array(size).fill(NaN);
    this.kinds = new Uint8Array(size);
    this.qualities = new Uint8Array(size).fill(UNKNOWN);
    this.times = new Float64Array(size).fill(NaN);
    this.statuses = new Uint32Array(size);
    this.others = new Array(size).fill(null);
    this.#fresh = new Uint8Array(size);
    this.#changed = new Uint32Array(size);
    this.#count = 0;
    this.#rows = new Map();
    this.#prims = new Map();
    for (let row = 0; row < size; row++) {
      const channel = channels[row];
      // A property that several channels drive answers with the first; a path is one channel's own.
      if (channel.target && !this.#rows.has(channel.target)) this.#rows.set(channel.target, row);
      if (channel.expected) continue; // no signal of the prim: found by its path
      const same = this.#prims.get(channel.prim);
      if (same === undefined) this.#prims.set(channel.prim, [row]);
      else same.push(row);
    }
    for (let row = 0; row < size; row++) this.#rows.set(channelKey(channels[row]), row);
    if (old !== null) this.#keep(old, oldRows);
    for (const watch of this.#watches) watch.bind(this);
  }

  #keep(old, oldRows) {
    for (let row = 0; row < this.channels.length; row++) {
      const channel = this.channels[row];
      const from = oldRows.get(channelKey(channel));
      if (from === undefined) continue;
      const before = old.channels[from];
      if (before.type !== channel.type || before.target !== channel.target) continue;
      this.numbers[row] = old.numbers[from];
      this.kinds[row] = old.kinds[from];
      this.qualities[row] = old.qualities[from];
      this.times[row] = old.times[from];
      this.statuses[row] = old.statuses[from];
      this.others[row] = old.others[from];
    }
  }

  /** @returns {number} the row of a channel's path or target property, or -1 */
  row(path) {
    return this.#rows.get(path) ?? -1;
  }

  /** @returns {number} NaN where it is no number */
  number(row) {
    return this.numbers[row];
  }

  /** @returns {number} 0 good, 1 uncertain, 2 bad, 3 stale, 255 before the first */
  qualityOf(row) {
    return this.qualities[row];
  }

  /** @returns {number} source time [s, Unix], NaN where unknown */
  timeOf(row) {
    return this.times[row];
  }

  /** @returns {number} raw status code */
  statusOf(row) {
    return this.statuses[row];
  }

  /** @returns {any} the value of a row as its type says, or null before the first */
  valueOf(row) {
    switch (this.kinds[row]) {
      case NUMBER:
        return this.numbers[row];
      case TRUTH:
        return this.numbers[row] !== 0;
      case VECTOR:
        return Array.from(this.others[row]);
      case OTHER:
        return this.others[row];
      default:
        return null;
    }
  }

  /**
   * @param {string} path a channel's path, or its target property
   * @returns {Reading|null}
   */
  get(path) {
    const row = this.row(path);
    return row < 0 ? null : this.reading(row);
  }

  /** @returns {Reading} */
  reading(row) {
    return {
      channel: this.channels[row],
      value: this.valueOf(row),
      quality: QUALITIES[this.qualities[row]] ?? "",
      time: this.times[row],
      status: this.statuses[row],
    };
  }

  /**
   * What a model expects of a signal.
   *
   * @param {object} channel
   * @returns {Expected|null} null where no model expects anything of it
   */
  expected(channel) {
    if (channel.element >= 0) return null;
    const stem = `${channel.prim}.twin:telemetry:${channel.signal}:`;
    const row = this.row(`${stem}predicted`);
    if (row < 0) return null;
    const said = (name) => this.#sure(this.row(stem + name));
    const [residual, sigma] = [said("residual"), said("residualSigma")];
    const sigmas = residual !== null && sigma > 0 ? residual / sigma : null;
    return { path: `${stem}predicted`, value: this.#sure(row), residual, sigma, sigmas };
  }

  /** A number that is known now; of what models say, what is stale is not. */
  #sure(row) {
    return row >= 0 && this.qualities[row] < 3 && this.numbers[row] === this.numbers[row] ? this.numbers[row] : null;
  }

  /** @returns {number[]} rows of the channels of exactly a prim; not of what models expect */
  at(prim) {
    return this.#prims.get(prim)?.slice() ?? [];
  }

  /** @returns {number[]} rows of the channels of a prim and of what lies below it */
  below(prim) {
    const inside = prim === "/" ? "/" : `${prim}/`;
    const rows = [];
    for (const [path, own] of this.#prims) {
      if (path === prim || path.startsWith(inside)) rows.push(...own);
    }
    return rows.sort((a, b) => a - b);
  }

  /**
   * Call with the rows that changed among some channels, and at once with those known.
   *
   * @param {string[]} paths
   * @param {(rows: number[]) => void} listener
   * @param {number} hertz how often at most
   * @returns {() => void} ends it
   */
  watch(paths, listener, hertz = 10) {
    const watch = new Watch(paths, listener, hertz);
    watch.bind(this);
    this.#watches.add(watch);
    return () => {
      this.#watches.delete(watch);
      watch.stop();
    };
  }

  /**
   * Begin to keep the past of a number.
   *
   * @param {string} path
   * @param {number} seconds how much of it
   * @returns {Trace}
   */
  trace(path, seconds = 300) {
    const trace = new Trace(path, seconds, () => {
      const traces = this.#traces.get(path);
      traces?.delete(trace);
      if (traces?.size === 0) this.#traces.delete(path);
    });
    if (!this.#traces.has(path)) this.#traces.set(path, new Set());
    this.#traces.get(path).add(trace);
    const row = this.row(path);
    if (row >= 0 && this.kinds[row] !== 0) {
      trace.add(this.times[row] || Date.now() / 1000, this.numbers[row], this.qualities[row]);
    }
    return trace;
  }

  /**
   * Take in what a frame says of channels.
   *
   * @param {import("./frames.js").Frame} frame
   */
  apply(frame) {
    for (const section of frame.sections) {
      if (section.kind < Kind.MOVER_POSE) this.#take(section, frame.time, frame.since === 0);
    }
    this.#tell(frame.time);
  }

  #take(section, now, snapshot) {
    const { kind, count, width, values, times, qualities, status } = section;
    const size = this.numbers.length;
    for (let i = 0; i < count; i++) {
      const row = rowAt(section, i);
      if (row >= size) continue;
      // In a snapshot a row without a value has none yet; in a delta its value is as it was.
      if (snapshot && kind === Kind.NONE) this.#set(row, 0, NaN, null);
      this.#takeValue(kind, width, row, i, values, section.quaternions);
      if (times !== null) {
        const time = times[i];
        this.times[row] = time === NO_TIME ? NaN : now + time / 1000;
        this.qualities[row] = qualities[i];
      } else if (kind !== Kind.NONE && this.qualities[row] === UNKNOWN) {
        this.qualities[row] = 0;
      }
      this.statuses[row] = status === null ? 0 : status[i];
      if (this.#fresh[row] === 0) {
        this.#fresh[row] = 1;
        this.#changed[this.#count++] = row;
      }
    }
  }

  #takeValue(kind, width, row, i, values, quaternions) {
    switch (kind) {
      case Kind.NONE:
        return;
      case Kind.FLOAT64:
      case Kind.FLOAT32:
        if (width === 1) this.#set(row, NUMBER, values[i], null);
        else copy(this.#vector(row, width), values, i * width, width);
        return;
      case Kind.INT64: {
        const whole = Number(values[i]);
        if (Number.isSafeInteger(whole)) this.#set(row, NUMBER, whole, null);
        else this.#set(row, OTHER, NaN, values[i]);
        return;
      }
      case Kind.BOOL:
        this.#set(row, TRUTH, values[i], null);
        return;
      case Kind.JSON:
        this.#set(row, OTHER, NaN, values[i]);
        return;
      case Kind.POSE: {
        const pose = this.#vector(row, 7);
        copy(pose, values, i * 3, 3);
        for (let k = 0; k < 4; k++) pose[3 + k] = quaternions[i * 4 + k];
        return;
      }
      case Kind.MATRIX:
        copy(this.#vector(row, 16), values, i * 16, 16);
    }
  }

  #set(row, kind, number, other) {
    this.kinds[row] = kind;
    this.numbers[row] = number;
    this.others[row] = other;
  }

  #vector(row, width) {
    this.kinds[row] = VECTOR;
    const old = this.others[row];
    if (old instanceof Float64Array && old.length === width) return old;
    return (this.others[row] = new Float64Array(width));
  }

  #tell(now) {
    if (this.#count === 0) return;
    this.changes++;
    const rows = this.#changed.subarray(0, this.#count);
    for (const [path, traces] of this.#traces) {
      const row = this.row(path);
      if (row < 0 || this.#fresh[row] === 0) continue;
      const time = Number.isNaN(this.times[row]) ? now : this.times[row];
      for (const trace of traces) trace.add(time, this.numbers[row], this.qualities[row]);
    }
    for (const watch of this.#watches) watch.look(this.#fresh);
    for (let i = 0; i < rows.length; i++) this.#fresh[rows[i]] = 0;
    this.#count = 0;
  }
}

/** A channel's name in the store: its path, with its element where it drives one of an array. */
function channelKey(channel) {
  return channel.element >= 0 && !channel.path.endsWith("]")
    ? `${channel.path}[${channel.element}]`
    : channel.path;
}

function copy(into, from, at, count) {
  for (let k = 0; k < count; k++) into[k] = from[at + k];
}

class Watch {
  #paths;
  #listener;
  #pause;
  #rows = [];
  #due = new Set();
  #timer = 0;
  #last = 0;

  constructor(paths, listener, hertz) {
    this.#paths = [...paths];
    this.#listener = listener;
    this.#pause = 1000 / hertz;
  }

  bind(values) {
    this.#rows = this.#paths.map((path) => values.row(path)).filter((row) => row >= 0);
    this.#due = new Set(this.#rows);
    this.#arm();
  }

  look(fresh) {
    for (const row of this.#rows) if (fresh[row] !== 0) this.#due.add(row);
    this.#arm();
  }

  #arm() {
    if (this.#due.size === 0 || this.#timer !== 0) return;
    const wait = Math.max(0, this.#last + this.#pause - performance.now());
    this.#timer = setTimeout(() => this.#run(), wait);
  }

  #run() {
    this.#timer = 0;
    this.#last = performance.now();
    const rows = [...this.#due];
    this.#due.clear();
    try {
      this.#listener(rows);
    } catch (error) {
      console.error("a listener of values failed", error);
    }
  }

  stop() {
    if (this.#timer !== 0) clearTimeout(this.#timer);
    this.#timer = 0;
  }
}
