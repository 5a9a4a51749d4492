/**
 * A camera's lens, as USD has it.
 *
 * @typedef {object} Lens
 * @property {boolean} orthographic
 * @property {[number, number, number, number]} window left, right, bottom and top: at one unit from
 *   the camera, or of the whole view [stage units] where it is orthographic. Off centre by an
 *   aperture offset
 * @property {number} near clipping [stage units]
 * @property {number} far clipping [stage units]
 * @property {number[]} up direction; with roll
 */

/** Widen a lens' window about its centre, so that all of it is in a picture of another shape. */
export function conformed(lens, aspect) {
  const [left, right, bottom, top] = lens.window;
  const width = right - left;
  const height = top - bottom;
  const wide = Math.max(width, height * aspect) / 2;
  const tall = Math.max(height, width / aspect) / 2;
  const x = (left + right) / 2;
  const y = (bottom + top) / 2;
  return { ...lens, window: [x - wide, x + wide, y - tall, y + tall] };
}

/** @returns {{x: number, y: number}} place of a point in the picture, -1 to 1 */
export function onWindow({ orthographic, window }, right, above, depth) {
  const [l, r, b, t] = window;
  const scale = orthographic ? 1 : 1 / (Math.abs(depth) || 1e-12);
  return {
    x: (2 * right * scale - l - r) / (r - l),
    y: (2 * above * scale - b - t) / (t - b),
  };
}

/**
 * Have a camera of the drawing project as a lens does.
 *
 * @param {import("three").PerspectiveCamera} camera whose `near` and `far` fit the scene
 * @param {Lens} lens
 * @param {number} unit metres of a stage unit
 */
export function projectThrough(camera, lens, unit) {
  const far = Math.min(camera.far, lens.far * unit);
  const near = Math.min(Math.max(lens.near * unit, camera.near), far * 0.99);
  const [l, r, b, t] = lens.window.map((side) => side * (lens.orthographic ? unit : near));
  const { projectionMatrix: matrix, coordinateSystem } = camera;
  if (lens.orthographic) matrix.makeOrthographic(l, r, t, b, near, far, coordinateSystem);
  else matrix.makePerspective(l, r, t, b, near, far, coordinateSystem);
  camera.projectionMatrixInverse.copy(matrix).invert();
}
