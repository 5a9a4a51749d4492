/**
 * The stop request: in two steps, always within reach, and honest about what it is.
 */

import { openForm, toast } from "./dialog.js";
import { field, h, icon } from "./dom.js";

/**
 * Ask where to stop, and whether that is meant.
 *
 * @param {Workplace} place
 */
export function openHalt(place) {
  const scopes = [...ancestors(place.prim), "/"];
  const where = h("select", { name: "prim" }, scopes.map((path) => h("option", { value: path }, path === "/" ? "The whole stage ( / )" : path)));
  const reason = h("input", { type: "text", maxlength: "1000", placeholder: "optional, for the record", autocomplete: "off" });
  const sure = h("input", { type: "checkbox", required: true, id: "halt-sure" });
  const offline = place.isLive
    ? null
    : h("div.notice.error", {}, icon("offline"), h("span", {}, "The service cannot be reached from here at the moment: a stop request will not arrive. Use the machine's own stop."));
  openForm({
    title: "Stop request",
    icon: "stop",
    body: [
      h("div.notice.warn", {}, icon("uncertain"), h("span", {}, h("strong", {}, "This is no safety function and no emergency stop."), " It sends every machine below that has a safe value to that value, over the same networks as everything else. It can be too late, or not arrive. It does not latch.")),
      offline,
      field("Stop everything at and below", where),
      field("Reason", reason),
      h("label.check", { for: "halt-sure" }, sure, "Yes, send the stop request now"),
    ],
    submit: "Stop now",
    kind: "danger filled",
    act: async () => {
      if (!sure.checked) throw new Error("Confirm that the stop is meant.");
      const answer = await place.session.ask({ op: "halt", prim: where.value, reason: reason.value });
      const count = answer.commands.length;
      toast(
        count
          ? `The stop request made ${count} command${count === 1 ? "" : "s"}. Watch their read-back under Commands.`
          : "Nothing here has a safe value: what waited was ended, and nothing was sent.",
        { seconds: 12 },
      );
      place.tell("commands-wanted");
    },
  });
}

function ancestors(path) {
  const found = [];
  while (path) {
    found.push(path);
    path = path.slice(0, path.lastIndexOf("/"));
  }
  return found;
}
