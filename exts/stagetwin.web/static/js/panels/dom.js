/**
 * Elements without markup: every text is a text node, so no value, comment or name can become HTML.
 */

const SVG = "http://www.w3.org/2000/svg";
const ICONS = new URL("../../icons/icons.svg", import.meta.url).href;
const SIGN = "icon-";
const TURNS = /[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g;
const TURN_SHOWN = "\u2370";

/**
 * Make an element.
 *
 * @param {string} tag - name, with classes and id as in a selector: `button.primary#send`
 * @param {Object<string, *>} [attributes] - `on` holds listeners by event, `data` the data set,
 *   `style` style properties by name; null and false leave an attribute out
 * @param {...(Node|string|number|null|undefined|Array)} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  const [, name, rest] = /^([a-z0-9-]+)(.*)$/.exec(tag);
  const element = document.createElement(name);
  for (const part of rest.match(/[.#][^.#]+/g) ?? []) {
    if (part[0] === ".") element.classList.add(part.slice(1));
    else element.id = part.slice(1);
  }
  setAttributes(element, attributes);
  append(element, children);
  return element;
}

/**
 * Set attributes as `h` does.
 *
 * @param {Element} element
 * @param {Object<string, *>} attributes
 */
export function setAttributes(element, attributes) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") {
      for (const [event, listener] of Object.entries(value)) {
        element.addEventListener(event, listener);
      }
    } else if (key === "data") {
      for (const [entry, text] of Object.entries(value)) element.dataset[entry] = String(text);
    } else if (key === "style") {
      for (const [property, text] of Object.entries(value)) {
        element.style.setProperty(property, String(text));
      }
    } else if (key === "class") {
      element.classList.add(...value.split(" ").filter(Boolean));
    } else if (value === false || value === null || value === undefined) {
      element.removeAttribute(key);
    } else if (key in element && typeof value !== "string" && !key.startsWith("aria")) {
      element[key] = value;
    } else {
      element.setAttribute(key, value === true ? "" : String(value));
    }
  }
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : shown(child));
  }
}

/**
 * A text as people may see it: what turns the direction of writing could make a name or a reason
 * read as another, so it is shown as a sign.
 *
 * @param {*} text
 * @returns {string}
 */
export function shown(text) {
  return String(text).replace(TURNS, TURN_SHOWN);
}

/**
 * Replace what an element holds.
 *
 * @param {Element} element
 * @param {...*} children - as for `h`
 * @returns {Element} the element
 */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/**
 * Set a text, and touch the page only where it differs.
 *
 * @param {Element} element
 * @param {string} text
 */
export function say(element, text) {
  const seen = shown(text);
  if (element.textContent !== seen) element.textContent = seen;
}

/**
 * Set an attribute, and touch the page only where it differs.
 *
 * @param {Element} element
 * @param {string} name
 * @param {string|null} value - null removes it
 */
export function mark(element, name, value) {
  if (value === null) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== value) {
    element.setAttribute(name, value);
  }
}

/**
 * Read all icons into the page: where the service is gone, the signs that say so must still be there.
 *
 * @returns {Promise<void>}
 */
export async function loadIcons() {
  const answer = await fetch(ICONS);
  if (!answer.ok) throw new Error(`icons: HTTP ${answer.status}`);
  const read = new DOMParser().parseFromString(await answer.text(), "image/svg+xml");
  const icons = document.importNode(read.documentElement, true);
  for (const symbol of icons.children) symbol.id = SIGN + symbol.id;
  icons.setAttribute("class", "icons");
  icons.setAttribute("aria-hidden", "true");
  document.body.append(icons);
}

/**
 * Make an icon; it is decoration, and what it stands beside has the words.
 *
 * @param {string} name - of a symbol in icons.svg
 * @param {string} [label] - words, where nothing beside it says them
 * @returns {SVGElement}
 */
export function icon(name, label = "") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  if (label) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
  } else {
    svg.setAttribute("aria-hidden", "true");
  }
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#${SIGN}${name}`);
  svg.append(use);
  return svg;
}

/**
 * Show another icon in the same place.
 *
 * @param {SVGElement} svg
 * @param {string} name
 */
export function setIcon(svg, name) {
  mark(svg.firstElementChild, "href", `#${SIGN}${name}`);
}

/**
 * Make a button.
 *
 * @param {string} label - what it says, or, with `iconOnly`, what it is called
 * @param {function(Event): void} press
 * @param {{icon?: string, iconOnly?: boolean, kind?: string, keys?: string,
 *   title?: string, data?: Object<string, string>, disabled?: boolean}} [options]
 * @returns {HTMLButtonElement}
 */
export function button(label, press, options = {}) {
  const made = h("button", {
    type: "button",
    class: `button ${options.kind ?? ""} ${options.iconOnly ? "icon-only" : ""}`,
    title: options.title ?? (options.iconOnly ? label : null),
    "aria-label": options.iconOnly ? label : null,
    "aria-keyshortcuts": options.keys ?? null,
    disabled: options.disabled ?? false,
    data: options.data ?? {},
    on: { click: press },
  });
  if (options.icon) made.append(icon(options.icon));
  if (!options.iconOnly) made.append(h("span", {}, label));
  return made;
}

let fields = 0;

/**
 * Make a labelled field.
 *
 * @param {string} label
 * @param {HTMLElement} control - input, select or textarea
 * @param {string} [hint] - said beside it, and to screen readers
 * @returns {HTMLElement}
 */
export function field(label, control, hint = "") {
  control.id ||= `field-${++fields}`;
  const parts = [h("label", { for: control.id }, label), control];
  if (hint) {
    const id = `${control.id}-hint`;
    control.setAttribute("aria-describedby", id);
    parts.push(h("p.hint", { id }, hint));
  }
  return h("div.field", {}, ...parts);
}

/**
 * Return an id that no other element has.
 *
 * @param {string} stem
 * @returns {string}
 */
export function newId(stem) {
  return `${stem}-${++fields}`;
}
