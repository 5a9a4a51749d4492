/**
 * What this browser remembers of its person: theme, sizes of panels, pinned charts.
 */

const PREFIX = "stagetwin.";

/**
 * Return what is remembered under a name.
 *
 * @param {string} name
 * @param {*} fallback - where nothing is, or storage is closed
 * @returns {*}
 */
export function recall(name, fallback) {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? fallback : JSON.parse(text);
  } catch {
    return fallback;
  }
}

/**
 * Remember something; a browser that forbids it forgets it with the page.
 *
 * @param {string} name
 * @param {*} value - plain data
 * @returns {boolean} whether it is kept
 */
export function remember(name, value) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

const THEMES = ["auto", "light", "dark"];
const system = matchMedia("(prefers-color-scheme: dark)");

/** The look: as the system says, or as the person chose. */
export class Theme extends EventTarget {
  constructor() {
    super();
    const kept = recall("theme", "auto");
    this.choice = THEMES.includes(kept) ? kept : "auto";
    system.addEventListener("change", () => this.apply());
    this.apply();
  }

  /** @returns {boolean} */
  get dark() {
    return this.choice === "auto" ? system.matches : this.choice === "dark";
  }

  /** @param {string} choice - auto, light or dark */
  choose(choice) {
    this.choice = choice;
    remember("theme", choice);
    this.apply();
  }

  apply() {
    document.documentElement.dataset.theme = this.dark ? "dark" : "light";
    this.dispatchEvent(new Event("change"));
  }
}
