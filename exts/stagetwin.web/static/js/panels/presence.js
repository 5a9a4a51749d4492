/**
 * Who is here: what they select is outlined in their colour, and one can look with them.
 */

import { announce } from "./dialog.js";
import { fill, h } from "./dom.js";
import { nameOf } from "./format.js";

const MOST = 6;
const COLOURS = ["#8a3ffc", "#0b6e8f", "#9b4d00", "#1f6f3d", "#a2296b", "#4a5bbf", "#7a5c00", "#00695f"];

export class Presence {
  /** @param {Workplace} place */
  constructor(place) {
    this.place = place;
    this.following = "";
    this.outlined = new Set();
    this.drawn = "";
    this.element = h("div.people", { role: "group", "aria-label": "Who is here" });
    place.session.on("presence", () => this.show());
    place.hear("select", () => this.send());
    place.view?.on("camera", () => this.send());
    place.view?.on("pick", () => this.stopFollowing());
    place.session.on("welcome", () => this.send());
  }

  send() {
    const { view, session, selection } = this.place;
    if (session.state !== "live") return;
    const camera = view?.ready ? view.camera : undefined;
    session.sendPresence({ camera, selection: selection.slice(0, 16) });
  }

  others() {
    const own = this.place.session.welcome?.session;
    return (this.place.session.people ?? []).filter((person) => person.session !== own);
  }

  show() {
    const others = this.others();
    const { view } = this.place;
    const seen = new Set();
    for (const person of others) {
      const key = `person ${person.session}`;
      seen.add(key);
      view?.highlight(key, person.selection?.length ? person.selection : null, colourOf(person));
      if (person.session === this.following && person.camera) {
        view?.setCamera(person.camera, { seconds: 0.2 });
      }
    }
    for (const key of this.outlined) if (!seen.has(key)) view?.highlight(key, null);
    this.outlined = seen;
    if (this.following && !others.some((person) => person.session === this.following)) {
      this.stopFollowing("They have left.");
    }
    const drawn = JSON.stringify([others.map((p) => [p.session, p.user, p.colour, p.selection]), this.following]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const held = this.element.contains(document.activeElement) ? document.activeElement.dataset.session : "";
    fill(
      this.element,
      others.slice(0, MOST).map((person) => this.avatar(person)),
      others.length > MOST ? h("span.chip", { title: `${others.length} people` }, `+${others.length - MOST}`) : null,
    );
    if (held) this.element.querySelector(`[data-session="${CSS.escape(held)}"]`)?.focus();
  }

  avatar(person) {
    const on = person.session === this.following;
    const looks = person.selection?.length ? `, selects ${nameOf(person.selection.at(-1))}` : "";
    const label = `${person.user}${looks}. ${on ? "Stop following" : "Follow"}`;
    return h(
      "button.avatar",
      {
        type: "button",
        title: label,
        "aria-label": label,
        "aria-pressed": String(on),
        data: { session: person.session },
        style: { "background-color": colourOf(person) },
        on: { click: () => this.follow(on ? null : person) },
      },
      initials(person.user),
    );
  }

  follow(person) {
    if (!person) return this.stopFollowing("No longer following.");
    this.following = person.session;
    announce(`Following ${person.user}`);
    this.show();
    return undefined;
  }

  stopFollowing(words = "") {
    if (!this.following) return;
    this.following = "";
    if (words) announce(words);
    this.show();
  }
}

/** A colour that white letters can be read on, the same for everybody. */
function colourOf(person) {
  let sum = 2166136261;
  for (const letter of `${person.user}`) sum = Math.imul(sum ^ letter.codePointAt(0), 16777619) >>> 0;
  return COLOURS[(sum >>> 8) % COLOURS.length];
}

function initials(name) {
  const parts = name.split(/[\s._:-]+/).filter(Boolean);
  return ((parts[0]?.[0] ?? "?") + (parts[1]?.[0] ?? parts[0]?.[1] ?? "")).toUpperCase();
}
