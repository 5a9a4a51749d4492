/**
 * A control for one value, made for its type and its limits.
 */

import { h, newId } from "./dom.js";
import { unitText, valueText } from "./format.js";

const WHOLE = /^u?(int|char)(64)?$/;
const REAL = /^(double|float|half)$/;
const VECTOR = /^(?:(?:double|float|half|int)|(?:point|vector|normal))([234])[dfh]?$/;
const AXES = ["x", "y", "z", "w"];

/**
 * Make a control for the value of a command.
 *
 * @param {object} row - of `targets`: type, min, max, unit, allowed
 * @param {*} value - what it shows at first
 * @param {function(*): void} change - is called with each new value, undefined where it is none
 * @returns {{element: HTMLElement, set: function(*): void}}
 */
export function valueEditor(row, value, change) {
  if (row.type === "bool") return toggle(row, value, change);
  if (REAL.test(row.type) || WHOLE.test(row.type)) return number(row, value, change);
  if (row.allowed?.length) return choice(row, value, change);
  if (row.type === "string" || row.type === "token" || row.type === "asset") return text(row, value, change);
  const width = Number(VECTOR.exec(row.type)?.[1] ?? 0);
  return width ? vector(row, width, value, change) : plain(row, value, change);
}

/**
 * Return why a value cannot be asked for, or nothing.
 *
 * @param {object} row - of `targets`
 * @param {*} value
 * @returns {string}
 */
export function faultOf(row, value) {
  if (value === undefined || value === null) return "Give a value.";
  if (REAL.test(row.type) || WHOLE.test(row.type)) {
    if (typeof value !== "number" || !Number.isFinite(value)) return "Give a number.";
    if (WHOLE.test(row.type) && !Number.isInteger(value)) return "Give a whole number.";
    if (row.min !== null && value < row.min) return `At least ${valueText(row.min)} is allowed.`;
    if (row.max !== null && value > row.max) return `At most ${valueText(row.max)} is allowed.`;
  }
  return "";
}

function labelFor(row) {
  return `Draft of ${row.label || row.command}${unitText(row.unit) ? ` in ${unitText(row.unit)}` : ""}`;
}

function number(row, value, change) {
  const bounded = row.min !== null && row.max !== null;
  const step = WHOLE.test(row.type) ? 1 : bounded ? niceStep(row.max - row.min) : "any";
  const box = h("input.number", {
    type: "number",
    inputmode: "decimal",
    step: "any",
    min: row.min,
    max: row.max,
    "aria-label": labelFor(row),
    on: {
      input: () => {
        const asked = box.value === "" ? undefined : Number(box.value);
        if (slider && asked !== undefined) slider.value = String(asked);
        change(asked);
      },
    },
  });
  const slider = bounded
    ? h("input", {
        type: "range",
        min: String(row.min),
        max: String(row.max),
        step: String(step),
        "aria-label": `${labelFor(row)}, slider`,
        on: {
          input: () => {
            box.value = slider.value;
            change(Number(slider.value));
          },
        },
      })
    : null;
  const set = (wanted) => {
    box.value = wanted === undefined || wanted === null ? "" : String(wanted);
    if (slider && typeof wanted === "number") slider.value = String(wanted);
  };
  set(value);
  const ends = slider
    ? h("div.row.spread.hint.number", { "aria-hidden": "true" }, h("span", {}, valueText(row.min)), h("span", {}, valueText(row.max)))
    : null;
  return {
    element: h("div.editor", {}, h("div.editor-number", {}, slider ? h("div.grow", {}, slider, ends) : null, box, h("span.unit", {}, unitText(row.unit)))),
    set,
  };
}

function niceStep(span) {
  return 10 ** Math.floor(Math.log10(span / 200));
}

function toggle(row, value, change) {
  const name = newId("toggle");
  const make = (wanted, words) =>
    h("label.check", {}, h("input", { type: "radio", name, value: String(wanted), on: { change: () => change(wanted) } }), words);
  const element = h("div.row.editor", { role: "radiogroup", "aria-label": labelFor(row) }, make(true, "yes"), make(false, "no"));
  const set = (wanted) => {
    for (const input of element.querySelectorAll("input")) input.checked = input.value === String(wanted);
  };
  set(value);
  return { element, set };
}

function choice(row, value, change) {
  const select = h(
    "select",
    { "aria-label": labelFor(row), on: { change: () => change(select.value || undefined) } },
    h("option", { value: "" }, "choose"),
    row.allowed.map((each) => h("option", { value: each }, each)),
  );
  const set = (wanted) => (select.value = wanted ?? "");
  set(value);
  return { element: select, set };
}

function text(row, value, change) {
  const box = h("input", { type: "text", "aria-label": labelFor(row), autocomplete: "off", on: { input: () => change(box.value) } });
  const set = (wanted) => (box.value = wanted ?? "");
  set(value);
  return { element: box, set };
}

function vector(row, width, value, change) {
  const boxes = AXES.slice(0, width).map((axis) =>
    h("input.number", { type: "number", inputmode: "decimal", step: "any", "aria-label": `${labelFor(row)}, ${axis}`, on: { input: () => tell() } }),
  );
  const tell = () => {
    const asked = boxes.map((box) => (box.value === "" ? NaN : Number(box.value)));
    change(asked.every(Number.isFinite) ? asked : undefined);
  };
  const set = (wanted) => boxes.forEach((box, index) => (box.value = wanted?.[index] ?? ""));
  set(value);
  const fields = boxes.map((box, index) => h("label.editor-axis", {}, h("span.muted", { "aria-hidden": "true" }, AXES[index]), box));
  return { element: h("div.editor.editor-vector", { role: "group", "aria-label": labelFor(row) }, fields, h("span.unit", {}, unitText(row.unit))), set };
}

function plain(row, value, change) {
  const box = h("input.path", {
    type: "text",
    "aria-label": `${labelFor(row)}, as JSON`,
    placeholder: row.type,
    autocomplete: "off",
    on: {
      input: () => {
        try {
          change(JSON.parse(box.value));
          box.removeAttribute("aria-invalid");
        } catch {
          box.setAttribute("aria-invalid", "true");
          change(undefined);
        }
      },
    },
  });
  const set = (wanted) => (box.value = wanted === undefined || wanted === null ? "" : JSON.stringify(wanted));
  set(value);
  return { element: h("div.editor", {}, box, h("p.hint", {}, `${row.type}, as JSON`)), set };
}
