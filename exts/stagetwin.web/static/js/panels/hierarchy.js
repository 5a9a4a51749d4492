/**
 * The tree of prims: filtered, virtual, and walked by keyboard as trees are.
 */

import { h, icon, mark, say, setIcon } from "./dom.js";
import { VirtualList, rowHeight } from "./virtual_list.js";

const PRIORITIES = ["", "low", "medium", "high", "critical"];

export class Hierarchy {
  /** @param {Workplace} place */
  constructor(place) {
    this.place = place;
    this.children = new Map();
    this.roots = [];
    this.open = new Set();
    this.search = h("input", {
      type: "search",
      placeholder: "Filter prims",
      "aria-label": "Filter prims by name or path",
      "data-first": "",
      autocomplete: "off",
      spellcheck: "false",
      on: { input: () => this.filter(), keydown: (event) => this.searchKey(event) },
    });
    this.only = h(
      "select",
      { "aria-label": "Which prims", on: { change: () => this.filter() } },
      h("option", { value: "all" }, "All"),
      h("option", { value: "live" }, "Live"),
      h("option", { value: "alarm" }, "Alarmed"),
    );
    this.list = new VirtualList({
      label: "Prims",
      role: "tree",
      rowRole: "treeitem",
      rowHeight: () => rowHeight(26),
      keyOf: (row) => row.path,
      make: () => makeRow(),
      update: (element, row) => this.update(element, row),
      onPick: (row, event) => this.pick(row, event),
      onKey: (event, row, index) => this.key(event, row, index),
      empty: "No scene yet.",
    });
    this.note = h("p.hint.tree-note", { role: "status" });
    this.element = h(
      "div.column",
      {},
      h("div.panel-tools", { role: "search" }, this.search, this.only),
      this.list.element,
      this.note,
    );
    place.hear("scene", () => this.rebuild());
    place.hear("alarms channels", () => (this.dirty = true));
    place.hear("select", ({ from }) => this.follow(from));
    place.pulse.add(() => {
      if (!this.dirty) return;
      this.dirty = false;
      if (this.only.value === "all") this.list.refresh();
      else this.filter();
    });
  }

  rebuild() {
    this.children = new Map();
    this.roots = [];
    for (const prim of this.place.manifest.prims) {
      const parent = prim.path.slice(0, prim.path.lastIndexOf("/"));
      const under = this.place.prims.has(parent) ? parent : "";
      const list = under ? this.children.get(under) : this.roots;
      if (list) list.push(prim);
      else this.children.set(under, [prim]);
    }
    if (!this.open.size) {
      for (const root of this.roots) this.open.add(root.path);
      const below = this.roots.flatMap((root) => this.children.get(root.path) ?? []);
      if (below.length <= 12) for (const prim of below) if (prim.kind === "group" || prim.kind === "assembly") this.open.add(prim.path);
    }
    this.filter();
  }

  /** Work out the rows for what is asked for. */
  filter() {
    const words = this.search.value.trim().toLowerCase();
    const only = this.only.value;
    const rows = [];
    const narrowed = words !== "" || only !== "all";
    const wanted = narrowed ? this.matches(words, only) : null;
    const walk = (prims, level) => {
      for (const prim of prims) {
        if (wanted && !wanted.has(prim.path)) continue;
        const below = this.children.get(prim.path);
        const open = narrowed ? true : this.open.has(prim.path);
        rows.push({ path: prim.path, prim, level, open: below ? open : null });
        if (below && open) walk(below, level + 1);
      }
    };
    walk(this.roots, 1);
    this.list.setEmpty(narrowed ? "No prim fits." : "No scene yet.");
    this.list.setItems(rows);
    say(this.note, narrowed ? `${rows.length} of ${this.place.prims.size} prims` : `${this.place.prims.size} prims`);
  }

  matches(words, only) {
    const { place } = this;
    const kept = new Set();
    for (const prim of place.prims.values()) {
      if (only === "live" && !place.livePrims.has(prim.path)) continue;
      if (only === "alarm" && !place.alarmRanks.has(prim.path)) continue;
      if (words && !fits(prim, words.split(/\s+/))) continue;
      let path = prim.path;
      while (path && !kept.has(path)) {
        kept.add(path);
        path = path.slice(0, path.lastIndexOf("/"));
      }
    }
    return kept;
  }

  update(element, row) {
    const { place } = this;
    const { prim } = row;
    const selected = place.prim === row.path;
    element.classList.toggle("selected", selected);
    element.classList.toggle("faint", prim.visible === false);
    element.style.setProperty("--level", String(row.level));
    mark(element, "aria-level", String(row.level));
    mark(element, "aria-selected", String(selected));
    mark(element, "aria-expanded", row.open === null ? null : String(row.open));
    const [twist, kind, name, type, live, alarm] = element.children;
    twist.classList.toggle("open", row.open === true);
    twist.classList.toggle("leaf", row.open === null);
    setIcon(kind, prim.asset ? "gauge" : row.open === null ? "cube" : "layers");
    say(name, prim.label || row.path.slice(row.path.lastIndexOf("/") + 1));
    say(type, prim.instance ? `${prim.type} · instance` : prim.type);
    live.hidden = !place.livePrims.has(row.path);
    const rank = place.alarmRanks.get(row.path) ?? 0;
    alarm.hidden = rank === 0;
    if (rank) {
      setIcon(alarm.firstElementChild, PRIORITIES[rank]);
      mark(alarm, "class", `alarm-mark priority-${PRIORITIES[rank]}`);
      say(alarm.lastElementChild, `${PRIORITIES[rank]} alarm`);
    }
  }

  pick(row, event) {
    if (event.target?.closest?.(".twist") && row.open !== null) return this.setOpen(row, !row.open);
    this.place.select([row.path], { from: "tree" });
    if (event.key === "Enter" || event.detail === 2) {
      this.place.view?.fit(row.path);
      this.place.tell("inspect");
    }
    this.list.refresh();
    return undefined;
  }

  key(event, row, index) {
    if (event.key === "ArrowRight") {
      if (row.open === false) this.setOpen(row, true);
      else if (row.open) this.list.move(index + 1);
      return true;
    }
    if (event.key === "ArrowLeft") {
      if (row.open) this.setOpen(row, false);
      else {
        const parent = row.path.slice(0, row.path.lastIndexOf("/"));
        const at = this.list.positions.get(parent);
        if (at !== undefined) this.list.move(at);
      }
      return true;
    }
    if (event.key.toLowerCase() === "f" && !event.shiftKey) {
      this.place.select([row.path], { from: "tree", fit: true });
      return true;
    }
    if (event.key.toLowerCase() === "h" && !event.shiftKey) {
      const { view } = this.place;
      if (view?.hidden.includes(row.path)) view.show(row.path);
      else view?.hide(row.path);
      return true;
    }
    return false;
  }

  setOpen(row, open) {
    if (this.search.value || this.only.value !== "all") return;
    if (open) this.open.add(row.path);
    else this.open.delete(row.path);
    this.filter();
  }

  /** Show what was selected elsewhere. */
  follow(from) {
    const path = this.place.prim;
    if (path && from !== "tree") {
      let parent = path.slice(0, path.lastIndexOf("/"));
      let opened = false;
      while (parent) {
        if (!this.open.has(parent)) {
          this.open.add(parent);
          opened = true;
        }
        parent = parent.slice(0, parent.lastIndexOf("/"));
      }
      if (opened) this.filter();
      this.list.reveal(path);
    }
    this.list.refresh();
  }

  searchKey(event) {
    if (event.key === "ArrowDown" || event.key === "Enter") {
      this.list.move(0);
      event.preventDefault();
    } else if (event.key === "Escape" && this.search.value) {
      this.search.value = "";
      this.filter();
      event.stopPropagation();
    }
  }
}

/** Tell whether a prim is meant, and not just something below what is. */
function fits(prim, words) {
  const path = prim.path.toLowerCase();
  const name = path.lastIndexOf("/");
  const more = `${prim.label ?? ""} ${prim.type}`.toLowerCase();
  const own = (word) => more.includes(word) || path.lastIndexOf(word) + word.length > name + 1;
  return words.every((word) => path.includes(word) || more.includes(word)) && words.some(own);
}

function makeRow() {
  return h(
    "div.tree-row",
    {},
    h("span.twist", { "aria-hidden": "true" }, icon("chevron")),
    icon("cube"),
    h("span.name.clip", {}),
    h("span.type.clip", {}),
    h("span.live-mark", { title: "has live signals" }, icon("live"), h("span.unseen", {}, "live")),
    h("span.alarm-mark", { hidden: true }, icon("low"), h("span.unseen", {})),
  );
}
