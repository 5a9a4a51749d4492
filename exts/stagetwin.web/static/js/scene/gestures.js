import { vec } from "./matrices.js";

const HOVER_EVERY = 80; // ms
const NUDGE = 0.004; // of the scene's size, a stroke of a key

/**
 * Return what gestures over a view's canvas mean.
 *
 * @param {import("./view.js").View} view
 */
export function gesturesOf(view) {
  let hovered = -Infinity;
  return {
    changed: () => view.invalidate(),
    clicked: (x, y) => view.emit("pick", view.pick(x, y)),
    opened: (x, y) => view.emit("open", view.pick(x, y)),
    menu: (x, y) => view.emit("menu", { hit: view.pick(x, y), x, y }),
    hovered: (x, y) => {
      if (!view.heard("hover")) return;
      const now = performance.now();
      if (Number.isNaN(x)) view.emit("hover", null);
      else if (now - hovered > HOVER_EVERY) {
        hovered = now;
        view.emit("hover", view.pick(x, y));
      }
    },
    pivot: (x, y) => view.pick(x, y)?.point ?? null,
    grab: (x, y) => grabHandle(view, x, y),
    look: (side) => view.look(side),
    key: (event) => stroke(view, event.key),
  };
}

/** Begin to drag a section's handle, if one lies there. */
function grabHandle(view, x, y) {
  const { sections } = view;
  const { origin, direction } = view.ray(x, y);
  const found = sections.under(origin, direction);
  if (found === null) return null;
  const { id, at } = found;
  sections.active = id;
  const begin = sections.slide(id, at, origin, direction);
  const start = sections.list.find((section) => section.id === id);
  return {
    move: (toX, toY) => {
      const ray = view.ray(toX, toY);
      const along = sections.slide(id, at, ray.origin, ray.direction) - begin;
      sections.update(id, { point: vec.add(start.point, vec.scale(start.normal, along)) });
    },
    end: () => view.invalidate(),
  };
}

/** @returns {boolean} whether the key meant something */
function stroke(view, key) {
  const { active } = view.sections;
  const { selection } = view;
  if (key === "f" || key === "F") view.fit(selection.length > 0 ? selection : null);
  else if (key === "Home") view.fit(null);
  else if (key === "Escape") view.emit("pick", null);
  else if ((key === "[" || key === "]") && active !== null) {
    view.sections.move(active, view.eye.reach * (key === "[" ? -NUDGE : NUDGE));
  } else return false;
  return true;
}
