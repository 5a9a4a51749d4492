/**
 * The viewer: puts session, picture and panels together.
 */

import { Session } from "./core/session.js";
import { Alarms } from "./panels/alarms.js";
import { Charts } from "./panels/charts.js";
import { Commands } from "./panels/commands.js";
import { announce, mountMessages } from "./panels/dialog.js";
import { h, loadIcons } from "./panels/dom.js";
import { openHalt } from "./panels/halt.js";
import { Header } from "./panels/header.js";
import { Hierarchy } from "./panels/hierarchy.js";
import { Inspector, copy } from "./panels/inspector.js";
import { Layout, isPhone } from "./panels/layout.js";
import { Outbox } from "./panels/outbox.js";
import { parseLink, viewLink } from "./panels/permalink.js";
import { Theme } from "./panels/preferences.js";
import { Reviews } from "./panels/reviews.js";
import { listenToKeys, openSheet } from "./panels/shortcuts.js";
import { watchSignIn } from "./panels/sign_in.js";
import { ViewTools } from "./panels/view_tools.js";
import { Workplace } from "./panels/workplace.js";

/** Make the picture; null where this browser cannot draw it. */
async function openView(canvas, theme) {
  try {
    const { View } = await import("./scene/view.js");
    return new View(canvas, { ...View.optionsFrom(location.search), theme: theme.dark ? "dark" : "light" });
  } catch (error) {
    console.warn("nothing can be drawn:", error);
    return null;
  }
}

/** Put all panels on the page. */
function build(place, stage) {
  let panels = null;
  const header = new Header(place, {
    find: () => open("tree", { focus: true }),
    help: openSheet,
    share: () => copy(viewLink(place)),
  });
  document.body.append(h("a.skip", { href: "#main" }, "To the stage"), header.element);
  const layout = new Layout(stage);
  const open = (name, how) => layout.open(name, how);
  const counted = (name) => (count, loud, words) => layout.panels.has(name) && layout.setCount(name, count, { loud, words });
  const outbox = new Outbox(place);
  const charts = new Charts(place, { opened: () => !isPhone() && open("charts") });
  const alarms = new Alarms(place, { counted: counted("alarms") });
  const commands = new Commands(place, { counted: counted("commands") });
  const reviews = new Reviews(place, outbox, { counted: counted("reviews"), opened: () => open("reviews"), linked: () => {} });
  const showAlarm = (id) => {
    open("alarms");
    alarms.reveal(id);
  };
  const inspector = new Inspector(place, {
    chart: (path) => charts.toggle(path),
    isCharted: (path) => charts.isPinned(path),
    newTopic: () => reviews.create(),
    openTopic: (id) => reviews.openTopic(id),
    openAlarms: showAlarm,
  });
  const hierarchy = new Hierarchy(place);
  layout.add("tree", { dock: "left", label: "Hierarchy", short: "Find", icon: "tree", element: hierarchy.element, onShow: () => hierarchy.list.layout() });
  layout.add("inspect", { dock: "right", label: "Details", icon: "gauge", element: inspector.element });
  layout.add("alarms", { dock: "bottom", label: "Alarms", icon: "bell", element: alarms.element, onShow: () => alarms.list.layout() });
  layout.add("commands", { dock: "bottom", label: "Commands", icon: "bolt", element: commands.element, onShow: () => commands.load() });
  layout.add("charts", { dock: "bottom", label: "Charts", icon: "chart", element: charts.element, onShow: () => charts.draw() });
  layout.add("reviews", { dock: "right", label: "Review", icon: "comment", element: reviews.element, onShow: () => reviews.list.layout() });
  layout.line.append(alarms.first);
  const tools = new ViewTools(place, stage, {
    openTopic: (id) => reviews.openTopic(id),
    openAlarm: (alarm) => {
      place.goTo(alarm.prim);
      showAlarm(alarm.id);
    },
  });
  place.hear("inspect", () => open("inspect"));
  place.hear("select", ({ from }) => {
    if (from === "view" && place.prim && !isPhone() && !layout.isShown("reviews")) open("inspect");
    if (place.prim) announce(`${place.labelOf(place.prim)} selected`);
  });
  panels = { header, layout, outbox, charts, alarms, commands, reviews, inspector, hierarchy, tools };
  return panels;
}

/** Give every key its meaning. */
function bindKeys(place, panels) {
  const { layout, alarms, charts, reviews } = panels;
  const order = ["tree", "inspect", "alarms", "commands", "charts", "reviews"];
  const actions = {
    "/": () => layout.open("tree", { focus: true }),
    "?": openSheet,
    G: () => alarms.goToFirst(),
    N: () => reviews.create(),
    C: () => chartSelection(place, charts),
    F: () => place.view?.fit(place.selection.length ? place.selection : null),
    Home: () => place.view?.fit(null),
    "Shift+S": () => openHalt(place),
    Escape: () => {
      if (layout.sheet) layout.closeSheet();
      else place.select([], { from: "key" });
    },
  };
  order.forEach((name, index) => (actions[`Alt+${index + 1}`] = () => layout.open(name, { focus: true })));
  listenToKeys(actions);
}

function chartSelection(place, charts) {
  const rows = [...place.session.values.at(place.prim)];
  const paths = rows.map((row) => place.session.channels[row]).filter(isCharted).map((channel) => channel.path);
  for (const path of paths.slice(0, 6)) if (!charts.isPinned(path)) charts.toggle(path);
}

function isCharted(channel) {
  return channel.element < 0 && /^(bool|double|float|half|u?int(64)?|uchar)$/.test(channel.type);
}

/** Go to what the address asks for, once it is there. */
function followLink(place, panels) {
  const asked = parseLink(location.search);
  let topic = asked.topic;
  place.hear("scene", () => {
    if (asked.prim) {
      place.select([asked.prim], { from: "link", fit: !asked.camera });
      if (!isPhone()) panels.layout.open("inspect");
    }
    if (asked.camera) place.view.setCamera(asked.camera);
    asked.prim = "";
    asked.camera = null;
  });
  const tryTopic = () => {
    if (!topic || !place.session.topics.has(topic) || (place.view && !place.view.ready)) return;
    panels.reviews.openTopic(topic);
    topic = "";
  };
  place.session.on("topic", tryTopic);
  place.hear("scene", tryTopic);
}

async function start() {
  // Words stand beside nearly all icons: without them the page still works.
  loadIcons().catch((error) => console.warn("no icons:", error));
  const theme = new Theme();
  const canvas = h("canvas.scene", { tabindex: "0", role: "application", "aria-label": "The stage in 3D. Arrow keys turn, plus and minus zoom; the hierarchy lists the same prims." });
  const stage = h("main.stage#main", { "aria-label": "Stage" }, canvas);
  const session = new Session({ client: "stagetwin.web" });
  document.body.append(stage);
  const view = await openView(canvas, theme);
  const place = new Workplace(session, view, theme);
  mountMessages();
  const panels = build(place, stage);
  bindKeys(place, panels);
  followLink(place, panels);
  watchSignIn(place);
  view?.follow(session);
  if (view && new URLSearchParams(location.search).get("test") === "1") view.expose(session);
  session.connect();
}

start();
