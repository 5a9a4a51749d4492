/**
 * The bar above everything: which stage, whether it is live, who is here, and the stop request.
 */

import { openDialog } from "./dialog.js";
import { button, fill, h, icon, mark, say, setIcon } from "./dom.js";
import { ageText, durationText } from "./format.js";
import { openHalt } from "./halt.js";
import { Presence } from "./presence.js";

const STATES = {
  live: ["live", "Live"],
  connecting: ["online", "Connecting"],
  waiting: ["offline", "Not live, trying again"],
  refused: ["lock", "Sign in again"],
  closed: ["offline", "Closed"],
};

const THEMES = { auto: ["auto", "Look: as the system"], light: ["sun", "Look: light"], dark: ["moon", "Look: dark"] };
const NEXT = { auto: "light", light: "dark", dark: "auto" };

export class Header {
  /**
   * @param {Workplace} place
   * @param {{find: function(): void, help: function(): void, share: function(): void}} actions
   */
  constructor(place, actions) {
    this.place = place;
    this.name = h("h1.clip", {}, "stagetwin");
    this.state = h("span", {}, "Connecting");
    this.stateIcon = icon("online");
    this.connection = h(
      "button.connection",
      { type: "button", "aria-haspopup": "dialog", on: { click: () => this.openConnection() } },
      this.stateIcon,
      this.state,
    );
    this.presence = new Presence(place);
    this.who = h("span.clip", {}, "");
    this.themeIcon = icon("auto");
    this.themeButton = button("Look", () => place.theme.choose(NEXT[place.theme.choice]), {
      iconOnly: true,
      kind: "quiet",
    });
    fill(this.themeButton, this.themeIcon);
    place.theme.addEventListener("change", () => this.showTheme());
    this.showTheme();
    this.commands = h("span.chip.wide-only", { hidden: true }, icon("lock"), "read-only");
    this.element = h(
      "header.head-bar",
      {},
      h("div.brand.grow", {}, h("img", { src: "icons/favicon.svg", alt: "" }), this.name, this.connection, this.commands),
      this.presence.element,
      button("Find", actions.find, { icon: "search", kind: "quiet wide-only", keys: "/", iconOnly: true, title: "Find in the hierarchy (/)" }),
      button("Copy a link to what is shown", actions.share, { icon: "link", kind: "quiet wide-only", iconOnly: true }),
      button("Keyboard shortcuts", actions.help, { icon: "keyboard", kind: "quiet wide-only", iconOnly: true, keys: "?" }),
      this.themeButton,
      h("span.me.wide-only", {}, icon("user"), this.who),
      button("Sign out", () => this.signOut(), { icon: "out", kind: "quiet wide-only", iconOnly: true }),
      button("Stop…", () => openHalt(place), { icon: "stop", kind: "danger", title: "Stop request (Shift+S)", keys: "Shift+S", data: { halt: "" } }),
    );
    place.session.on("welcome", (welcome) => this.showWelcome(welcome));
    place.pulse.add(() => this.refresh());
  }

  showWelcome(welcome) {
    say(this.name, (welcome.stage || "stagetwin").replace(/\.usd[acz]?$/, ""));
    document.title = `${welcome.stage || "stage"} – stagetwin`;
    say(this.who, welcome.user);
    mark(this.who, "title", `Signed in as ${welcome.user}`);
    this.commands.hidden = Boolean(welcome.commands);
    this.commands.title = "This service takes no commands";
  }

  showTheme() {
    const [name, label] = THEMES[this.place.theme.choice];
    setIcon(this.themeIcon, name);
    mark(this.themeButton, "aria-label", label);
    mark(this.themeButton, "title", label);
    this.place.view?.setTheme(this.place.theme.dark ? "dark" : "light");
  }

  refresh() {
    const { session, isLive } = this.place;
    const state = session.state === "live" && !isLive ? "waiting" : session.state;
    const [name, words] = STATES[state] ?? STATES.closed;
    const silent = Number.isFinite(session.lag) && state !== "live";
    setIcon(this.stateIcon, name);
    const quiet = session.state === "live" && !isLive ? "Not live, silent" : words;
    say(this.state, silent ? `${quiet}, heard ${ageText(session.lag)}` : quiet);
    mark(this.connection, "data-state", state);
    document.body.classList.toggle("not-live", !isLive && session.welcome !== null);
  }

  openConnection() {
    const { session } = this.place;
    const rows = h("tbody");
    const update = () => {
      const welcome = session.welcome ?? {};
      const links = Object.entries(session.connections ?? {});
      fill(
        rows,
        row("Signed in as", welcome.user ?? "–"),
        row("Service", this.state.textContent),
        row("Heard", ageText(session.lag)),
        row("Stage", welcome.stage ?? "–"),
        row("Scene", `epoch ${welcome.epoch ?? "–"}`),
        row("Tick rate", welcome.tick_rate ? `${welcome.tick_rate} Hz` : "–"),
        row("Values", `${session.channels.filter((channel) => !channel.expected).length} signals, ${session.values.changes} changes seen`),
        row("Commands", welcome.commands ? "allowed, each is judged" : "this service is read-only"),
        ...links.map(([name, link]) => row(name, this.place.isLive ? linkText(link) : "unknown, not live")),
      );
    };
    update();
    const off = this.place.pulse.add(update);
    openDialog({
      title: "Connection",
      icon: "online",
      body: [h("table.facts", {}, rows), button("Sign out", () => this.signOut(), { icon: "out", kind: "quiet" })],
      onClose: off,
    });
  }

  async signOut() {
    this.place.session.close();
    try {
      await fetch("logout", { method: "POST", credentials: "same-origin" });
    } finally {
      location.assign("login");
    }
  }
}

function row(name, text) {
  return h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, text));
}

function linkText(link) {
  const since = link.since ? `, for ${durationText(Date.now() / 1000 - link.since)}` : "";
  return `${link.state}${link.cause ? `: ${link.cause}` : ""}${since}`;
}
