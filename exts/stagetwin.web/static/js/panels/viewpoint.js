/**
 * What a topic keeps of a view: camera, planes and anchors in the space of the prims they belong to.
 */

import { isBelow } from "./format.js";
import { bare } from "./workplace.js";

/**
 * Return the inverse of a matrix: 16 numbers in rows, row vectors, affine.
 *
 * @param {number[]} m
 * @returns {number[]|null} null where it has none
 */
export function inverseOf(m) {
  const [a, b, c, , d, e, f, , g, h, i, , x, y, z] = m;
  const det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  if (!Number.isFinite(1 / det)) return null;
  const r = [e * i - f * h, c * h - b * i, b * f - c * e, f * g - d * i, a * i - c * g, c * d - a * f, d * h - e * g, b * g - a * h, a * e - b * d].map((each) => each / det);
  return [
    r[0], r[1], r[2], 0, r[3], r[4], r[5], 0, r[6], r[7], r[8], 0,
    -(x * r[0] + y * r[3] + z * r[6]), -(x * r[1] + y * r[4] + z * r[7]), -(x * r[2] + y * r[5] + z * r[8]), 1,
  ];
}

/** @returns {number[]} a point through a matrix */
export function pointThrough([x, y, z], m) {
  return [0, 1, 2].map((k) => x * m[k] + y * m[4 + k] + z * m[8 + k] + m[12 + k]);
}

/** @returns {number[]} a normal through a matrix, given that matrix' inverse */
export function normalThrough([x, y, z], inverse) {
  const n = [0, 1, 2].map((k) => x * inverse[4 * k] + y * inverse[4 * k + 1] + z * inverse[4 * k + 2]);
  const size = Math.hypot(...n) || 1;
  return n.map((each) => each / size);
}

/**
 * Return the view as a topic keeps it.
 *
 * @param {View} view
 * @returns {object} `viewpoint` of docs/reviews.md, in stage space
 */
export function viewpointOf(view) {
  const { position, target, up, fov } = view.camera;
  return { position: [...position], target: [...target], up: [...up], fov: fov ?? 45, orthographic: null, in: "/" };
}

/**
 * Return the section planes in force, anchored at a prim so that they move with it.
 *
 * @param {View} view
 * @param {string} prim - empty for the stage
 * @returns {object[]}
 */
export function sectionsOf(view, prim) {
  const pose = prim ? view.poseOf(prim) : null;
  const inverse = pose && inverseOf(pose);
  return view.sections.list
    .filter((plane) => plane.enabled !== false)
    .map((plane) => ({
      prim: inverse ? bare(prim) : "/",
      point: inverse ? pointThrough(plane.point, inverse) : [...plane.point],
      normal: inverse ? normalThrough(plane.normal, pose) : [...plane.normal],
    }));
}

/**
 * Go back to how somebody looked at a topic.
 *
 * @param {View} view
 * @param {object} topic
 */
export function restore(view, topic) {
  const planes = (topic.sections ?? []).map((plane) => {
    const pose = plane.prim === "/" ? null : view.poseOf(plane.prim);
    const inverse = pose && inverseOf(pose);
    if (!inverse) return { point: plane.point, normal: plane.normal, enabled: plane.prim === "/" };
    return { point: pointThrough(plane.point, pose), normal: normalThrough(plane.normal, inverse), enabled: true };
  });
  view.sections.set(planes.filter((plane) => plane.enabled));
  const saved = topic.viewpoint;
  if (!saved) {
    const prims = topic.anchors.filter((anchor) => !anchor.orphaned).map((anchor) => anchor.prim);
    if (prims.length) view.fit(prims);
    return;
  }
  const pose = saved.in && saved.in !== "/" ? view.poseOf(saved.in) : null;
  const place = (point) => (pose ? pointThrough(point, pose) : point);
  const origin = pose ? pointThrough([0, 0, 0], pose) : [0, 0, 0];
  const up = pose ? pointThrough(saved.up, pose).map((each, k) => each - origin[k]) : saved.up;
  view.setCamera({ position: place(saved.position), target: place(saved.target), up, fov: saved.fov }, { seconds: 0.4 });
}

/**
 * Return where a topic is pinned: where somebody pointed, or the middle of what is selected.
 *
 * @param {Workplace} place
 * @param {object|null} hit - what was pointed at last
 * @returns {object[]} anchors of docs/reviews.md
 */
export function anchorsOf(place, hit) {
  return place.selection.slice(0, 64).map((path) => {
    const instance = Number(/\[(\d+)\]$/.exec(path)?.[1] ?? -1);
    const prim = bare(path);
    const shape = hit && (hit.element ?? hit.path);
    if (shape === path) return { prim, point: [...hit.local], normal: null, instance };
    const box = place.view?.bounds(path);
    const inverse = box && inverseOf(place.view.poseOf(path) ?? []);
    // Who clicked on a machine meant the place on its surface.
    const pose = shape && isBelow(shape, path) ? place.view?.poseOf(shape) : null;
    const middle = box ? box[0].map((low, k) => (low + box[1][k]) / 2) : null;
    const at = pose ? pointThrough(hit.local, pose) : middle;
    return { prim, point: at && inverse ? pointThrough(at, inverse) : [0, 0, 0], normal: null, instance };
  });
}

/**
 * Return a picture of what is shown, small enough for a topic.
 *
 * @param {View} view
 * @returns {Promise<string>} base64 of a PNG; empty where none can be made
 */
export async function snapshotOf(view) {
  const blob = await view.screenshot({ width: 960, height: 540, type: "image/png" });
  if (blob.size > 1024 * 1024) return "";
  return base64Of(await blob.arrayBuffer());
}

/**
 * Return bytes as base64.
 *
 * @param {ArrayBuffer} buffer
 * @returns {string}
 */
export function base64Of(buffer) {
  const bytes = new Uint8Array(buffer);
  let text = "";
  for (let index = 0; index < bytes.length; index += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(index, index + 0x8000));
  }
  return btoa(text);
}

/**
 * Return base64 as bytes.
 *
 * @param {string} text
 * @returns {Uint8Array}
 */
export function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}
