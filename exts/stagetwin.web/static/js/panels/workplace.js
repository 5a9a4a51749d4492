/**
 * What all panels share: the session, the picture, the selection, and what may be done.
 */

import { Drafts } from "./drafts.js";
import { isBelow, nameOf, primOf } from "./format.js";
import { Pulse } from "./pulse.js";

const RANKS = { critical: 4, high: 3, medium: 2, low: 1 };
const ACTIVE = new Set(["UNACK", "ACKED", "RTN_UNACK"]);

/** Seconds without a sign of the service after which nothing shown counts as live. */
export const SILENT = 3.5;

/**
 * Return how grave a priority is.
 *
 * @param {string|undefined} priority
 * @returns {number} 0 for none
 */
export function rankOf(priority) {
  return RANKS[priority] ?? 0;
}

/**
 * Tell whether an alarm stands on the list.
 *
 * @param {{state: string}} alarm
 * @returns {boolean}
 */
export function isActive(alarm) {
  return ACTIVE.has(alarm.state);
}

/**
 * Return the prim of an element of a PointInstancer.
 *
 * @param {string} path - may end in `[n]`
 * @returns {string}
 */
export function bare(path) {
  return path.replace(/\[\d+\]$/, "");
}

export class Workplace extends EventTarget {
  /**
   * @param {Session} session
   * @param {View|null} view - null where nothing can be drawn
   * @param {Theme} theme
   */
  constructor(session, view, theme) {
    super();
    this.session = session;
    this.view = view;
    this.theme = theme;
    this.pulse = new Pulse();
    this.selection = [];
    this.manifest = null;
    this.prims = new Map();
    this.livePrims = new Set();
    this.alarmRanks = new Map();
    this.deadlines = new Map();
    this.drafts = new Drafts(this);
    this.listen();
  }

  listen() {
    const { session, view } = this;
    session.on("channels", () => this.noteChannels());
    session.on("alarm", () => (this.alarmsChanged = true));
    session.on("welcome", () => {
      this.alarmsChanged = true;
      this.tell("topics");
    });
    session.on("command", (row) => {
      const left = row.ended ? null : row.expires_in;
      if (left === null || left === undefined) this.deadlines.delete(row.id);
      else this.deadlines.set(row.id, performance.now() / 1000 + left);
    });
    session.on("reset", () => {
      this.noteChannels();
      this.noteAlarms();
      this.tell("reset");
    });
    session.on("state", (state) => {
      this.tell("live");
      if (state === "live") this.tell("connected");
    });
    if (view) view.on("load", (manifest) => this.take(manifest));
    else session.on("scene", () => this.fetchScene());
    view?.on("pick", (hit) => this.select(hit ? [this.meantBy(hit)] : [], { from: "view" }));
    view?.on("open", (hit) => hit && view.fit(hit.element ?? hit.path));
    let was = false;
    this.pulse.add(() => {
      if (this.alarmsChanged) this.noteAlarms();
      if (was !== this.isLive) {
        was = this.isLive;
        this.tell("live");
      }
    });
  }

  take(manifest) {
    this.manifest = manifest;
    this.prims = new Map(manifest.prims.map((prim) => [prim.path, prim]));
    this.tell("scene");
  }

  /** Read the hierarchy where nothing draws it. */
  async fetchScene() {
    const answer = await fetch("scene/manifest.json", { credentials: "same-origin" });
    if (answer.ok) this.take(await answer.json());
  }

  /** Say that something changed to whoever listens. */
  tell(name, detail = null) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /**
   * Have a function called at some events.
   *
   * @param {string} names - separated by spaces
   * @param {function(*): void} listener - is given the detail
   */
  hear(names, listener) {
    for (const name of names.split(" ")) {
      this.addEventListener(name, (event) => listener(event.detail));
    }
  }

  /** @returns {boolean} whether what is shown is of now */
  get isLive() {
    return this.session.state === "live" && this.session.lag < SILENT;
  }

  /** @returns {string} name of the person, empty before it is known */
  get user() {
    return this.session.welcome?.user ?? "";
  }

  /** @returns {number} the service's clock [s, Unix] */
  now() {
    const known = this.session.serverNow?.();
    return Number.isFinite(known) ? known : Date.now() / 1000;
  }

  /**
   * Tell whether the person holds a right at a prim, as far as the service has said. It judges
   * again whatever is asked.
   *
   * @param {string} right - review, command, approve, acknowledge, halt or engineer
   * @param {string} [path] - `/` asks whether it is held anywhere
   * @returns {boolean}
   */
  may(right, path = "/") {
    const rows = this.session.welcome?.rights;
    if (!Array.isArray(rows)) return false;
    return rows.some((row) => {
      const held = row.rights.includes(right) || row.named.includes(right);
      return held && (path === "/" || isBelow(bare(path), row.below));
    });
  }

  // -- selection

  /**
   * Select prims everywhere.
   *
   * @param {string[]} paths
   * @param {{from?: string, fit?: boolean}} [how]
   */
  select(paths, { from = "", fit = false } = {}) {
    const same = paths.length === this.selection.length && paths.every((path, index) => path === this.selection[index]);
    this.selection = [...paths];
    this.view?.select(this.selection);
    if (fit && paths.length) this.view?.fit(paths);
    if (!same) this.tell("select", { from });
  }

  /**
   * Return what a click means: an element of an instancer, else the machine, and what is part of the
   * machine once that is selected. A line or a hall is no machine, even where it is an asset.
   *
   * @param {object} hit
   * @returns {string}
   */
  meantBy(hit) {
    const exact = hit.element ?? hit.path;
    if (hit.instance >= 0) return exact;
    let machine = hit.path;
    while (machine && !isMachine(this.prims.get(machine))) machine = machine.slice(0, machine.lastIndexOf("/"));
    return machine && !this.selection.some((path) => isBelow(bare(path), machine)) ? machine : exact;
  }

  /** Select a prim, show it, and open its values. */
  goTo(path) {
    const prim = primOf(path);
    this.select([prim], { from: "link", fit: true });
    this.tell("inspect");
  }

  /** @returns {string} the selected prim, or empty */
  get prim() {
    return this.selection.length ? bare(this.selection.at(-1)) : "";
  }

  /**
   * Return what a prim is called.
   *
   * @param {string} path
   * @returns {string}
   */
  labelOf(path) {
    return this.prims.get(bare(path))?.label || nameOf(path);
  }

  // -- what prims carry

  noteChannels() {
    this.livePrims = new Set();
    for (const channel of this.session.channels) {
      if (channel.expected) continue;
      let path = channel.prim;
      while (path && !this.livePrims.has(path)) {
        this.livePrims.add(path);
        path = path.slice(0, path.lastIndexOf("/"));
      }
    }
    this.tell("channels");
  }

  noteAlarms() {
    this.alarmsChanged = false;
    const ranks = new Map();
    for (const alarm of this.session.alarms.values()) {
      if (!isActive(alarm)) continue;
      const rank = rankOf(alarm.priority);
      let path = alarm.prim;
      while (path && (ranks.get(path) ?? 0) < rank) {
        ranks.set(path, rank);
        path = path.slice(0, path.lastIndexOf("/"));
      }
    }
    this.alarmRanks = ranks;
    this.tell("alarms");
  }

  /**
   * Return what is left of a command's time to live.
   *
   * @param {object} row
   * @returns {number|null} [s]; null where it ended or has no limit
   */
  timeLeft(row) {
    const end = this.deadlines.get(row.id);
    if (end !== undefined) return Math.max(0, end - performance.now() / 1000);
    return row.ended ? null : row.expires_in ?? null;
  }

  /** @returns {object[]} active alarms, worst first, then newest */
  activeAlarms() {
    return [...this.session.alarms.values()].filter(isActive).sort(byUrgency);
  }

  /** @returns {object[]} commands that have not ended, newest first */
  openCommands() {
    return [...this.session.commands.values()]
      .filter((command) => !command.ended)
      .sort((a, b) => b.created - a.created);
  }
}

function isMachine(prim) {
  return prim?.kind === "component" || (prim?.asset === true && prim.kind !== "group" && prim.kind !== "assembly");
}

function byUrgency(a, b) {
  return (
    rankOf(b.priority) - rankOf(a.priority) ||
    Number(a.state === "ACKED") - Number(b.state === "ACKED") ||
    (b.raised ?? 0) - (a.raised ?? 0)
  );
}
