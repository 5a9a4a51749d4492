/**
 * Where panels are: three docks around the stage, or one sheet on a phone.
 */

import { announce } from "./dialog.js";
import { button, h, icon, mark, newId, say } from "./dom.js";
import { recall, remember } from "./preferences.js";

const phone = matchMedia("(max-width: 720px)");
const HEIGHTS = ["32%", "58%", "calc(100% - 8px)"];

/** @returns {boolean} whether panels share one sheet */
export function isPhone() {
  return phone.matches;
}

export class Layout {
  /** @param {HTMLElement} main - what is between header and docks */
  constructor(main) {
    this.docks = new Map();
    this.panels = new Map();
    this.nav = h("nav.phone-nav", { "aria-label": "Panels" });
    this.height = 1;
    this.sheet = "";
    for (const [side, label] of [["left", "Hierarchy"], ["right", "Details"], ["bottom", "Activity"]]) {
      this.addDock(side, label);
    }
    document.body.append(this.docks.get("left").element, main, this.docks.get("right").element);
    document.body.append(this.docks.get("bottom").element, this.nav);
    phone.addEventListener("change", () => this.apply());
  }

  addDock(side, label) {
    const tabs = h("div.tabs", { role: "tablist", "aria-label": label });
    const title = h("h2", {});
    const head = h(
      "div.sheet-head",
      {},
      title,
      button("Taller or lower", () => this.stretch(), { icon: "sheet", iconOnly: true, kind: "quiet" }),
      button("Close", () => this.closeSheet(), { icon: "close", iconOnly: true, kind: "quiet" }),
    );
    const tag = side === "bottom" ? "section" : "aside";
    const element = h(`${tag}.dock.${side}`, { "aria-label": label }, head, tabs);
    const dock = { side, element, tabs, title, shown: "", folded: recall(`folded.${side}`, side === "bottom") };
    element.append(this.grip(side));
    this.dragSheet(head);
    tabs.addEventListener("keydown", (event) => this.moveTab(event, dock));
    this.docks.set(side, dock);
    if (side === "bottom") this.foldTools(dock);
  }

  foldTools(dock) {
    this.fold = button("Open or close this drawer", () => this.toggle("bottom"), {
      icon: "sheet",
      iconOnly: true,
      kind: "quiet small",
    });
    this.line = h("div.grow.row.alarm-line");
    this.tail = h("div.row", {}, this.fold);
    this.strip = h("div.row.strip");
    dock.element.insertBefore(this.strip, dock.tabs);
    this.strip.append(dock.tabs, this.line, this.tail);
    this.strip.classList.add("tabs-row");
  }

  /**
   * Add a panel.
   *
   * @param {string} name
   * @param {{dock: string, label: string, short?: string, icon: string, element: HTMLElement,
   *   onShow?: function(): void}} options
   */
  add(name, options) {
    const dock = this.docks.get(options.dock);
    const id = newId(`panel-${name}`);
    const count = h("span.count", { hidden: true });
    const tab = h(
      "button.tab",
      { type: "button", role: "tab", id: `${id}-tab`, title: options.label, "aria-controls": id, data: { panel: name }, on: { click: () => this.open(name, { toggle: true }) } },
      icon(options.icon),
      h("span", {}, options.label),
      count,
    );
    const navCount = h("span.count", { hidden: true });
    const navButton = h(
      "button",
      { type: "button", "aria-expanded": "false", data: { nav: name }, on: { click: () => this.open(name, { toggle: true }) } },
      icon(options.icon),
      h("span", {}, options.short ?? options.label),
      navCount,
    );
    const panel = h("div.panel", { id, role: "tabpanel", "aria-labelledby": tab.id }, options.element);
    dock.tabs.append(tab);
    dock.element.append(panel);
    this.nav.append(navButton);
    this.panels.set(name, { ...options, name, dock, tab, panel, count, navButton, navCount });
    dock.shown ||= recall(`shown.${dock.side}`, name);
    if (!this.panels.has(dock.shown)) dock.shown = name;
    this.apply();
  }

  /**
   * Say how much waits in a panel.
   *
   * @param {string} name
   * @param {number} count - 0 hides it
   * @param {{loud?: boolean, words?: string}} [how]
   */
  setCount(name, count, { loud = false, words = "" } = {}) {
    const panel = this.panels.get(name);
    for (const badge of [panel.count, panel.navCount]) {
      badge.hidden = !count;
      say(badge, count > 999 ? "999+" : String(count));
      badge.classList.toggle("loud", loud);
      mark(badge, "title", words || null);
    }
    panel.navCount.hidden = !count || !loud;
  }

  /**
   * Show a panel.
   *
   * @param {string} name
   * @param {{toggle?: boolean, focus?: boolean}} [how] - toggle: a second time closes it
   */
  open(name, { toggle = false, focus = false } = {}) {
    const panel = this.panels.get(name);
    const { dock } = panel;
    if (isPhone()) {
      if (toggle && this.sheet === name) return this.closeSheet();
      this.sheet = name;
    } else if (toggle && dock.side === "bottom" && dock.shown === name && !dock.folded) {
      return this.toggle("bottom");
    }
    dock.shown = name;
    dock.folded = false;
    remember(`shown.${dock.side}`, name);
    remember(`folded.${dock.side}`, false);
    this.apply();
    if (focus) this.focus(name);
    return undefined;
  }

  /** @returns {boolean} whether a panel can be seen */
  isShown(name) {
    const { dock } = this.panels.get(name);
    if (isPhone()) return this.sheet === name;
    return dock.shown === name && !dock.folded;
  }

  /** Put the focus where a panel's work begins. */
  focus(name) {
    const { panel, tab } = this.panels.get(name);
    const first = panel.querySelector("[data-first], [tabindex='0'], input, select, textarea, button");
    (first ?? tab).focus();
  }

  toggle(side) {
    const dock = this.docks.get(side);
    dock.folded = !dock.folded;
    remember(`folded.${side}`, dock.folded);
    this.apply();
  }

  closeSheet() {
    const was = this.sheet;
    this.sheet = "";
    this.apply();
    if (was) this.panels.get(was).navButton.focus();
  }

  stretch() {
    this.height = (this.height + 1) % HEIGHTS.length;
    this.apply();
    announce(["Low", "Half", "Full"][this.height]);
  }

  apply() {
    for (const dock of this.docks.values()) {
      const inSheet = isPhone() && this.sheet && this.panels.get(this.sheet).dock === dock;
      dock.element.classList.toggle("in-sheet", Boolean(inSheet));
      dock.element.classList.toggle("folded", dock.folded);
      dock.element.style.setProperty("--sheet", HEIGHTS[this.height]);
    }
    // What is looked at stays above the sheet, unless that takes all of it.
    const covered = isPhone() && this.sheet && this.height < 2 ? HEIGHTS[this.height] : "0%";
    document.body.style.setProperty("--covered", covered);
    mark(this.fold, "aria-expanded", String(!this.docks.get("bottom").folded));
    this.fold.classList.toggle("turned", this.docks.get("bottom").folded);
    for (const panel of this.panels.values()) {
      const chosen = panel.dock.shown === panel.name;
      const was = panel.panel.classList.contains("shown");
      panel.panel.classList.toggle("shown", chosen);
      mark(panel.tab, "aria-selected", String(chosen && this.isShown(panel.name)));
      mark(panel.tab, "tabindex", chosen ? "0" : "-1");
      mark(panel.navButton, "aria-expanded", String(this.sheet === panel.name));
      if (chosen) say(panel.dock.title, panel.label);
      if (this.isShown(panel.name) && (!was || panel.wasHidden)) panel.onShow?.();
      panel.wasHidden = !this.isShown(panel.name);
    }
  }

  moveTab(event, dock) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const names = [...this.panels.values()].filter((each) => each.dock === dock).map((each) => each.name);
    const next = names[(names.indexOf(dock.shown) + step + names.length) % names.length];
    this.open(next);
    this.panels.get(next).tab.focus();
    event.preventDefault();
  }

  // -- sizes

  grip(side) {
    const property = `--${side}`;
    const root = document.documentElement;
    const [least, most] = side === "bottom" ? [110, 640] : [190, 640];
    const kept = recall(`size.${side}`, 0);
    let size = Number.isFinite(kept) && kept >= least && kept <= most ? kept : 0;
    if (size) root.style.setProperty(property, `${size}px`);
    const grip = h("div.grip", {
      role: "separator",
      tabindex: "0",
      "aria-orientation": side === "bottom" ? "horizontal" : "vertical",
      "aria-label": `Size of the ${side} panel`,
      "aria-valuemin": String(least),
      "aria-valuemax": String(most),
    });
    const set = (wanted) => {
      size = Math.round(Math.min(Math.max(wanted, least), most));
      root.style.setProperty(property, `${size}px`);
      mark(grip, "aria-valuenow", String(size));
    };
    const now = () => {
      const box = this.docks.get(side).element.getBoundingClientRect();
      return side === "bottom" ? box.height : box.width;
    };
    mark(grip, "aria-valuenow", String(size || parseInt(getComputedStyle(root).getPropertyValue(property), 10) || least));
    grip.addEventListener("keydown", (event) => {
      const grow = { left: "ArrowRight", right: "ArrowLeft", bottom: "ArrowUp" }[side];
      const shrink = { left: "ArrowLeft", right: "ArrowRight", bottom: "ArrowDown" }[side];
      if (event.key !== grow && event.key !== shrink) return;
      set(now() + (event.key === grow ? 24 : -24));
      remember(`size.${side}`, size);
      event.preventDefault();
    });
    grip.addEventListener("pointerdown", (event) => {
      grip.setPointerCapture(event.pointerId);
      grip.classList.add("held");
      const start = now();
      const [x, y] = [event.clientX, event.clientY];
      const move = (moved) => {
        const way = { left: moved.clientX - x, right: x - moved.clientX, bottom: y - moved.clientY }[side];
        set(start + way);
      };
      grip.addEventListener("pointermove", move);
      grip.addEventListener("lostpointercapture", () => {
        grip.removeEventListener("pointermove", move);
        grip.classList.remove("held");
        remember(`size.${side}`, size);
      }, { once: true });
    });
    return grip;
  }

  dragSheet(head) {
    head.addEventListener("pointerdown", (event) => {
      if (event.target.closest("button")) return;
      head.setPointerCapture(event.pointerId);
      const start = event.clientY;
      head.addEventListener("pointerup", (up) => {
        const way = up.clientY - start;
        if (way > 160 || (way > 40 && this.height === 0)) this.closeSheet();
        else if (Math.abs(way) > 24) {
          this.height = Math.max(0, Math.min(2, this.height + (way < 0 ? 1 : -1)));
          this.apply();
        }
      }, { once: true });
    });
  }
}
