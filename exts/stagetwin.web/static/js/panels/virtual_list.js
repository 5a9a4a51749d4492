/**
 * A long list of which only the visible rows are elements.
 *
 * Focus roves: one row is in the tab order, and stays an element wherever the list is scrolled.
 */

import { h, mark } from "./dom.js";

const SPARE = 6;

export class VirtualList {
  /**
   * @param {{label: string, role?: string, rowRole?: string, rowHeight: function(): number,
   *   keyOf: function(*): string, make: function(*): HTMLElement,
   *   update: function(HTMLElement, *, number): void,
   *   onMove?: function(*): void, onPick?: function(*, Event): void,
   *   onKey?: function(KeyboardEvent, *, number): boolean, empty?: string}} options - `make`
   *   returns a row without its texts; `update` fills it in; `onKey` returns whether it took the key
   */
  constructor(options) {
    this.options = options;
    this.items = [];
    this.active = 0;
    this.rows = new Map();
    this.positions = new Map();
    this.space = h("div.virtual-space", { role: "presentation" });
    this.none = h("p.empty", { hidden: true }, options.empty ?? "Nothing here.");
    this.scroller = h(
      "div.virtual",
      {
        role: options.role ?? "listbox",
        "aria-label": options.label,
        on: {
          scroll: () => this.layout(),
          keydown: (event) => this.keydown(event),
          click: (event) => this.click(event),
          focusin: (event) => this.focused(event),
        },
      },
      this.space,
    );
    this.element = h("div.virtual-frame", {}, this.scroller, this.none);
    this.observer = new ResizeObserver(() => this.layout());
    this.observer.observe(this.scroller);
  }

  /** @param {Array} items - shown from now on; the active row stays if it is still among them */
  setItems(items) {
    const held = this.items[this.active];
    this.items = items;
    this.positions = new Map(items.map((item, index) => [this.options.keyOf(item), index]));
    const kept = held === undefined ? undefined : this.positions.get(this.options.keyOf(held));
    this.active = kept ?? Math.min(this.active, Math.max(items.length - 1, 0));
    this.none.hidden = items.length > 0;
    this.scroller.hidden = items.length === 0;
    this.layout();
  }

  /** @param {string} text - what is said where there is nothing */
  setEmpty(text) {
    this.none.textContent = text;
  }

  /** Bring what is visible up to date. */
  refresh() {
    for (const [key, row] of this.rows) {
      const index = this.positions.get(key);
      if (index !== undefined) this.options.update(row, this.items[index], index);
    }
  }

  /** @returns {number} elements in use */
  get drawn() {
    return this.rows.size;
  }

  /** Make, place and drop rows for where the list is scrolled to. */
  layout() {
    const height = this.options.rowHeight();
    this.space.style.setProperty("height", `${this.items.length * height}px`);
    const top = this.scroller.scrollTop;
    const seen = this.scroller.clientHeight;
    const first = Math.max(0, Math.floor(top / height) - SPARE);
    const last = Math.min(this.items.length - 1, Math.ceil((top + seen) / height) + SPARE);
    const wanted = new Set();
    for (let index = first; index <= last; index++) wanted.add(index);
    if (this.items.length) wanted.add(this.active);
    const held = document.activeElement;
    const hadFocus = this.space.contains(held);
    for (const [key, row] of this.rows) {
      const index = this.positions.get(key);
      if (index === undefined || !wanted.has(index)) {
        row.remove();
        this.rows.delete(key);
      }
    }
    let before = null;
    for (const index of [...wanted].sort((a, b) => b - a)) {
      before = this.place(index, height, before);
    }
    if (hadFocus && !this.space.contains(document.activeElement)) this.focusActive();
  }

  place(index, height, before) {
    const item = this.items[index];
    const key = this.options.keyOf(item);
    let row = this.rows.get(key);
    if (!row) {
      row = this.options.make(item);
      row.classList.add("virtual-row");
      row.setAttribute("role", this.options.rowRole ?? "option");
      row.dataset.key = key;
      this.rows.set(key, row);
      this.space.insertBefore(row, before);
    } else if (row.nextSibling !== before) {
      const focused = row.contains(document.activeElement) ? document.activeElement : null;
      this.space.insertBefore(row, before);
      focused?.focus({ preventScroll: true });
    }
    row.style.setProperty("transform", `translateY(${index * height}px)`);
    row.style.setProperty("height", `${height}px`);
    mark(row, "aria-setsize", String(this.items.length));
    mark(row, "aria-posinset", String(index + 1));
    mark(row, "tabindex", index === this.active ? "0" : "-1");
    this.options.update(row, item, index);
    return row;
  }

  /**
   * Make a row the active one and scroll to it.
   *
   * @param {number} index
   * @param {{focus?: boolean, tell?: boolean}} [how] - tell: whether `onMove` is called
   */
  move(index, { focus = true, tell = true } = {}) {
    if (!this.items.length) return;
    this.active = Math.max(0, Math.min(index, this.items.length - 1));
    const height = this.options.rowHeight();
    const top = this.active * height;
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    else if (top + height > this.scroller.scrollTop + this.scroller.clientHeight) {
      this.scroller.scrollTop = top + height - this.scroller.clientHeight;
    }
    this.layout();
    if (focus) this.focusActive();
    if (tell) this.options.onMove?.(this.items[this.active]);
  }

  /** Make the row of a key the active one, where it is listed. */
  reveal(key) {
    const index = this.positions.get(key);
    if (index !== undefined) this.move(index, { focus: false, tell: false });
    return index !== undefined;
  }

  focusActive() {
    const item = this.items[this.active];
    if (item === undefined) return;
    this.rows.get(this.options.keyOf(item))?.focus({ preventScroll: true });
  }

  keydown(event) {
    if (event.target.closest("button, input, select, textarea")) return;
    const item = this.items[this.active];
    if (item === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.options.onKey?.(event, item, this.active)) {
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / this.options.rowHeight()) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
    if (event.key in steps) this.move(this.active + steps[event.key]);
    else if (event.key === "Home") this.move(0);
    else if (event.key === "End") this.move(this.items.length - 1);
    else if (event.key === "Enter" || event.key === " ") this.options.onPick?.(item, event);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  click(event) {
    const row = event.target.closest(".virtual-row");
    if (!row || event.target.closest("button, a, input, select")) return;
    const index = this.positions.get(row.dataset.key);
    if (index === undefined) return;
    this.move(index, { tell: false });
    this.options.onPick?.(this.items[index], event);
  }

  focused(event) {
    const row = event.target.closest?.(".virtual-row");
    const index = row ? this.positions.get(row.dataset.key) : undefined;
    if (index !== undefined && index !== this.active) {
      this.active = index;
      for (const [key, each] of this.rows) {
        mark(each, "tabindex", this.positions.get(key) === index ? "0" : "-1");
      }
    }
  }
}

const coarse = matchMedia("(pointer: coarse), (max-width: 720px)");

/**
 * Return a row height that a finger can hit where fingers are used [px].
 *
 * @param {number} fine - height with a mouse
 * @param {number} [narrow] - height on a phone
 * @returns {number}
 */
export function rowHeight(fine, narrow = 44) {
  return coarse.matches ? Math.max(narrow, fine) : fine;
}
