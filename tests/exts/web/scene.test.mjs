// Matrices, bodies and the eye: the arithmetic of the picture, without a canvas.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Bodies } from "../../../exts/stagetwin.web/static/js/scene/bodies.js";
import { Eye } from "../../../exts/stagetwin.web/static/js/scene/eye.js";
import {
  compose,
  determinant,
  IDENTITY,
  invert,
  matrix,
  movePoint,
  multiply,
} from "../../../exts/stagetwin.web/static/js/scene/matrices.js";

const near = (a, b, slack = 1e-9) => a.forEach((x, i) => assert.ok(Math.abs(x - b[i]) < slack, `${a} ${b}`));
const HALF = Math.SQRT1_2;

function posed(x, y, z, q = [0, 0, 0, 1], s = [1, 1, 1]) {
  const out = matrix();
  compose(out, 0, [x, y, z], 0, q, 0, s, 0);
  return out;
}

test("a product moves by the inner, then by the outer matrix; an inverse undoes it", () => {
  const turn = posed(0, 0, 0, [0, 0, HALF, HALF]);
  const step = posed(2, 0, 0);
  const both = matrix();
  multiply(both, 0, turn, 0, step, 0);
  near(movePoint([0, 0, 0], both, 0, 1, 0, 0), [0, 3, 0]);
  const sheared = Float64Array.of(2, 0.5, 0, 0, 0, -3, 1, 0, 1, 0, 0.5, 0, 7, 8, 9, 1);
  const back = matrix();
  assert.ok(invert(back, 0, sheared, 0));
  multiply(back, 0, back, 0, sheared, 0);
  near(back, IDENTITY);
  assert.ok(determinant(sheared) < 0);
  assert.equal(invert(back, 0, new Float64Array(16), 0), false);
});

test("a body takes along what it carries, exactly, far from the origin", () => {
  const bodies = new Bodies();
  const cart = bodies.add(0, posed(10_000, 0, 0), posed(0, 0, 0), "/Cart");
  const arm = bodies.add(cart, posed(0, 0, 1), posed(0.5, 0, 0), "/Cart/Arm");
  bodies.movePose(cart, [0.001, 0, 0], 0, [0, 0, 0, 1], 0, NaN);
  assert.equal(bodies.step(0, 33), 2);
  near(bodies.world.subarray(16 * arm + 12, 16 * arm + 15), [10_000.501, 0, 1], 1e-9);
  assert.equal(bodies.step(0, 33), 0);
});

test("poses are interpolated along the shorter way, end where the frame says, and leap when far", () => {
  const bodies = new Bodies();
  const cart = bodies.add(0, matrix(), matrix(), "/Cart");
  bodies.movePose(cart, [0, 0, 0], 0, [0, 0, 0, 1], 0, NaN);
  bodies.step(0, 100);
  bodies.movePose(cart, [1, 0, 0], 0, [0, 0, -HALF, -HALF], 0, 1000);
  bodies.step(1050, 100);
  near(bodies.world.subarray(12, 15), [0, 0, 0]);
  near(bodies.world.subarray(16 * cart + 12, 16 * cart + 15), [0.5, 0, 0]);
  assert.ok(bodies.moving);
  near(bodies.world.subarray(16 * cart, 16 * cart + 2), [HALF, HALF], 1e-6);
  bodies.step(1100, 100);
  near(bodies.world.subarray(16 * cart, 16 * cart + 2), [0, 1]);
  assert.ok(!bodies.moving);
  bodies.movePose(cart, [500, 0, 0], 0, [0, 0, 0, 1], 0, 2000);
  bodies.step(2000, 100);
  near(bodies.world.subarray(16 * cart + 12, 16 * cart + 15), [500, 0, 0]);
});

test("a mean of many bodies that stay costs no step; scales survive poses", () => {
  const bodies = new Bodies();
  const rows = Array.from({ length: 300 }, (_, n) => bodies.add(0, matrix(), matrix(), `/B[${n}]`));
  for (const row of rows) bodies.setPose(row, [row, 0, 0], 0, [0, 0, 0, 1], 0, [2, 2, 2], 0);
  bodies.movePose(rows[0], [rows[0], 0, 0], 0, [0, 0, 0, 1], 0, 5);
  assert.equal(bodies.step(5, 33), 0);
  bodies.movePose(rows[7], [1, 2, 3], 0, [0, 0, 0, 1], 0, NaN);
  assert.equal(bodies.step(6, 33), 1);
  assert.equal(bodies.movedRows[0], rows[7]);
  near(bodies.world.subarray(16 * rows[7], 16 * rows[7] + 1), [2]);
});

test("an eye projects what it casts rays through, and fits boxes", () => {
  const eye = new Eye();
  eye.aspect = 1.6;
  eye.reach = 50;
  eye.goTo({ position: [10_003, -8, 4], target: [10_000, 1, 2] });
  const ray = eye.rayThrough(0.3, -0.7);
  const point = eye.position.map((x, k) => x + 12 * ray[k]);
  const at = eye.project(point);
  near([at.x, at.y], [0.3, -0.7]);
  const box = [[9_990, -5, 0], [10_010, 5, 8]];
  eye.goTo(eye.framing(box));
  for (let corner = 0; corner < 8; corner++) {
    const { x, y, depth } = eye.project([0, 1, 2].map((k) => box[(corner >> k) & 1][k]));
    assert.ok(depth > 0 && Math.abs(x) <= 1 && Math.abs(y) <= 1);
  }
  const distance = eye.distance;
  eye.orbit(1.1, 0.4);
  assert.ok(Math.abs(eye.distance - distance) < 1e-9);
  for (let i = 0; i < 40; i++) eye.orbit(0, 0.3);
  assert.ok(Math.abs(eye.right[2]) < 1e-9);
});
