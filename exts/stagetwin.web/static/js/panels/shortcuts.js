/**
 * Keys for everything, and the sheet that lists them.
 */

import { openDialog } from "./dialog.js";
import { h } from "./dom.js";

const SHEET = [
  ["Everywhere", [["/", "find in the hierarchy"], ["1 … 6", "hierarchy, details, alarms, commands, charts, review (with Alt)"], ["G", "go to the most urgent alarm"], ["N", "new topic about the selection"], ["C", "chart the values of the selection"], ["Shift S", "stop request"], ["?", "this sheet"], ["Esc", "close, or select nothing"]]],
  ["Hierarchy", [["↑ ↓", "move"], ["→ ←", "open, close, to the parent"], ["Enter", "select, show, and read its values"], ["Space", "select"], ["F", "show it"], ["H", "hide or show it, for you"]]],
  ["Alarms", [["Enter", "go there"], ["A", "acknowledge"], ["S", "shelve"]]],
  ["Stage", [["F", "fit the selection"], ["Home", "fit everything"], ["arrows", "turn; with Shift: pan"], ["+ −", "nearer, farther"], ["1 3 7", "front, right, top"], ["W A S D Q E", "fly"], ["[ ]", "move the section plane"]]],
  ["Charts", [["← →", "move the readout"], ["Home End", "oldest, newest"], ["Esc", "end it"]]],
];

/** Show which keys do what. */
export function openSheet() {
  openDialog({
    title: "Keyboard",
    icon: "keyboard",
    wide: true,
    body: [
      h(
        "div.keys",
        {},
        SHEET.map(([title, rows]) =>
          h("section", {}, h("h3", {}, title), h("dl", {}, rows.map(([keys, words]) => h("div", {}, h("dt", {}, keys.split(" ").map((key) => (key === "…" ? " … " : h("kbd", {}, key)))), h("dd", {}, words))))),
        ),
      ),
    ],
  });
}

/**
 * Listen to keys that belong to no field.
 *
 * @param {Object<string, function(): void>} actions - by key, `Shift+S`, `Alt+1`
 */
export function listenToKeys(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) return;
    const inField = event.target.closest?.("input:not([type=checkbox], [type=radio], [type=range]), textarea, select");
    if (inField && !event.altKey) {
      if (event.key === "Escape") inField.blur();
      return;
    }
    const onStage = event.target.closest?.("canvas");
    const key = event.key.length === 1 ? event.key.toUpperCase() : event.key;
    const isSign = event.key.length === 1 && event.key.toLowerCase() === event.key.toUpperCase();
    const digit = /^Digit(\d)$/.exec(event.code)?.[1];
    const name = event.altKey ? `Alt+${digit ?? key}` : event.shiftKey && !isSign ? `Shift+${key}` : key;
    const act = actions[name];
    // On the stage letters move the camera.
    if (!act || (onStage && !["/", "?", "N", "G", "C", "Shift+S"].includes(name) && !event.altKey)) return;
    event.preventDefault();
    act();
  });
}
