/**
 * Affine 4 x 4 matrices in flat Float64Arrays, any number of them in one.
 *
 * Row vectors in rows, as in USD; the same memory is what three.js reads as columns. `at` is the index
 * of a matrix's first number. Nothing here allocates, except what says so.
 */

export const IDENTITY = Object.freeze([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);

/** @returns {Float64Array} a new matrix */
export function matrix(from = IDENTITY) {
  return Float64Array.from(from);
}

/** Copy a matrix. */
export function copyMatrix(out, at, from, fromAt) {
  for (let k = 0; k < 16; k++) out[at + k] = from[fromAt + k];
}

/** out = inner, then outer (USD: inner * outer). May write over either. */
export function multiply(out, at, outer, o, inner, i) {
  // Written out: this runs for each of thousands of bodies in each frame.
  const a0 = outer[o];
  const a1 = outer[o + 1];
  const a2 = outer[o + 2];
  const b0 = outer[o + 4];
  const b1 = outer[o + 5];
  const b2 = outer[o + 6];
  const c0 = outer[o + 8];
  const c1 = outer[o + 9];
  const c2 = outer[o + 10];
  const d0 = outer[o + 12];
  const d1 = outer[o + 13];
  const d2 = outer[o + 14];
  let x = 0;
  let y = 0;
  let z = 0;
  x = inner[i];
  y = inner[i + 1];
  z = inner[i + 2];
  out[at] = x * a0 + y * b0 + z * c0;
  out[at + 1] = x * a1 + y * b1 + z * c1;
  out[at + 2] = x * a2 + y * b2 + z * c2;
  out[at + 3] = 0;
  x = inner[i + 4];
  y = inner[i + 5];
  z = inner[i + 6];
  out[at + 4] = x * a0 + y * b0 + z * c0;
  out[at + 5] = x * a1 + y * b1 + z * c1;
  out[at + 6] = x * a2 + y * b2 + z * c2;
  out[at + 7] = 0;
  x = inner[i + 8];
  y = inner[i + 9];
  z = inner[i + 10];
  out[at + 8] = x * a0 + y * b0 + z * c0;
  out[at + 9] = x * a1 + y * b1 + z * c1;
  out[at + 10] = x * a2 + y * b2 + z * c2;
  out[at + 11] = 0;
  x = inner[i + 12];
  y = inner[i + 13];
  z = inner[i + 14];
  out[at + 12] = x * a0 + y * b0 + z * c0 + d0;
  out[at + 13] = x * a1 + y * b1 + z * c1 + d1;
  out[at + 14] = x * a2 + y * b2 + z * c2 + d2;
  out[at + 15] = 1;
}

/** out = a position, a quaternion (x, y, z, w) of any length but 0, and scales. */
export function compose(out, at, p, pAt, q, qAt, s, sAt) {
  let x = q[qAt];
  let y = q[qAt + 1];
  let z = q[qAt + 2];
  let w = q[qAt + 3];
  const length = Math.sqrt(x * x + y * y + z * z + w * w);
  if (length > 0) {
    x /= length;
    y /= length;
    z /= length;
    w /= length;
  } else w = 1;
  const sx = s[sAt];
  const sy = s[sAt + 1];
  const sz = s[sAt + 2];
  out[at] = (1 - 2 * (y * y + z * z)) * sx;
  out[at + 1] = 2 * (x * y + w * z) * sx;
  out[at + 2] = 2 * (x * z - w * y) * sx;
  out[at + 3] = 0;
  out[at + 4] = 2 * (x * y - w * z) * sy;
  out[at + 5] = (1 - 2 * (x * x + z * z)) * sy;
  out[at + 6] = 2 * (y * z + w * x) * sy;
  out[at + 7] = 0;
  out[at + 8] = 2 * (x * z + w * y) * sz;
  out[at + 9] = 2 * (y * z - w * x) * sz;
  out[at + 10] = (1 - 2 * (x * x + y * y)) * sz;
  out[at + 11] = 0;
  out[at + 12] = p[pAt];
  out[at + 13] = p[pAt + 1];
  out[at + 14] = p[pAt + 2];
  out[at + 15] = 1;
}

/** @returns {number} determinant of the upper 3 x 3 */
export function determinant(m, at = 0) {
  return (
    m[at] * (m[at + 5] * m[at + 10] - m[at + 6] * m[at + 9]) -
    m[at + 1] * (m[at + 4] * m[at + 10] - m[at + 6] * m[at + 8]) +
    m[at + 2] * (m[at + 4] * m[at + 9] - m[at + 5] * m[at + 8])
  );
}

/** out = the inverse. @returns {boolean} false where there is none; out is then the identity */
export function invert(out, at, m, i) {
  const det = determinant(m, i);
  if (det === 0 || !Number.isFinite(det)) {
    copyMatrix(out, at, IDENTITY, 0);
    return false;
  }
  const [a, b, c] = [m[i], m[i + 1], m[i + 2]];
  const [d, e, f] = [m[i + 4], m[i + 5], m[i + 6]];
  const [g, h, k] = [m[i + 8], m[i + 9], m[i + 10]];
  const [x, y, z] = [m[i + 12], m[i + 13], m[i + 14]];
  const r = 1 / det;
  const n = [
    (e * k - f * h) * r,
    (c * h - b * k) * r,
    (b * f - c * e) * r,
    (f * g - d * k) * r,
    (a * k - c * g) * r,
    (c * d - a * f) * r,
    (d * h - e * g) * r,
    (b * g - a * h) * r,
    (a * e - b * d) * r,
  ];
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 3; column++) out[at + 4 * row + column] = n[3 * row + column];
    out[at + 4 * row + 3] = 0;
    out[at + 12 + row] = -(x * n[row] + y * n[3 + row] + z * n[6 + row]);
  }
  out[at + 15] = 1;
  return true;
}

/** out = a point, moved by a matrix. */
export function movePoint(out, m, at, x, y, z) {
  out[0] = x * m[at] + y * m[at + 4] + z * m[at + 8] + m[at + 12];
  out[1] = x * m[at + 1] + y * m[at + 5] + z * m[at + 9] + m[at + 13];
  out[2] = x * m[at + 2] + y * m[at + 6] + z * m[at + 10] + m[at + 14];
  return out;
}

/** out = a direction, turned and scaled by a matrix. */
export function turnVector(out, m, at, x, y, z) {
  out[0] = x * m[at] + y * m[at + 4] + z * m[at + 8];
  out[1] = x * m[at + 1] + y * m[at + 5] + z * m[at + 9];
  out[2] = x * m[at + 2] + y * m[at + 6] + z * m[at + 10];
  return out;
}

/** @returns {number} the largest of a matrix's three scales */
export function largestScale(m, at = 0) {
  let most = 0;
  for (let row = 0; row < 12; row += 4) {
    const x = m[at + row];
    const y = m[at + row + 1];
    const z = m[at + row + 2];
    most = Math.max(most, x * x + y * y + z * z);
  }
  return Math.sqrt(most);
}

/** Vectors of three numbers: small, and only where nothing runs once a frame for thousands. */
export const vec = {
  add: (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]],
  sub: (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]],
  scale: (a, s) => [a[0] * s, a[1] * s, a[2] * s],
  dot: (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2],
  cross: (a, b) => [
    a[1] * b[2] - a[2] * b[1],
    a[2] * b[0] - a[0] * b[2],
    a[0] * b[1] - a[1] * b[0],
  ],
  length: (a) => Math.hypot(a[0], a[1], a[2]),
  unit(a) {
    const length = Math.hypot(a[0], a[1], a[2]);
    return length > 0 ? [a[0] / length, a[1] / length, a[2] / length] : [0, 0, 0];
  },
  mix: (a, b, t) => [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t],
  /** Turn a vector about a unit axis [rad]. */
  turn(a, axis, angle) {
    const c = Math.cos(angle);
    const s = Math.sin(angle);
    const side = vec.cross(axis, a);
    const along = vec.dot(axis, a) * (1 - c);
    return [0, 1, 2].map((k) => a[k] * c + side[k] * s + axis[k] * along);
  },
};
