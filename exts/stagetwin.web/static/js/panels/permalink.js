/**
 * Links to what is shown: `?topic=ID`, `?prim=/path`, `&camera=` (docs/reviews.md).
 */

const KEEP = ["aa", "smooth", "shadows", "dpr", "test"];

function bareUrl() {
  const url = new URL(location.href);
  const kept = new URLSearchParams();
  for (const name of KEEP) if (url.searchParams.has(name)) kept.set(name, url.searchParams.get(name));
  url.search = kept.toString();
  url.hash = "";
  return url;
}

/**
 * Return a link to a topic.
 *
 * @param {string} id
 * @returns {string}
 */
export function topicLink(id) {
  const url = bareUrl();
  url.searchParams.set("topic", id);
  return url.href;
}

/**
 * Return a link to the selection, as it is looked at.
 *
 * @param {Workplace} place
 * @returns {string}
 */
export function viewLink(place) {
  const url = bareUrl();
  const path = place.selection.at(-1);
  if (path) url.searchParams.set("prim", path);
  if (place.view?.ready) {
    const { position, target, up, fov } = place.view.camera;
    const numbers = [...position, ...target, ...up, fov ?? 45].map((each) => Number(each.toPrecision(8)));
    url.searchParams.set("camera", numbers.join(","));
  }
  return url.href;
}

/**
 * Return what a link asks for.
 *
 * @param {string} search - of an address
 * @returns {{topic: string, prim: string, camera: object|null}}
 */
export function parseLink(search) {
  const asked = new URLSearchParams(search);
  const prim = asked.get("prim") ?? "";
  const numbers = (asked.get("camera") ?? "").split(",").map(Number);
  const whole = numbers.length === 10 && numbers.every(Number.isFinite);
  return {
    topic: asked.get("topic") ?? "",
    prim: prim.startsWith("/") ? prim : "",
    camera: whole ? { position: numbers.slice(0, 3), target: numbers.slice(3, 6), up: numbers.slice(6, 9), fov: numbers[9] } : null,
  };
}
