// Frames as stagetwin.sync.encode_frame makes them, decoded by the viewer.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { decodeFrame, FrameError, Kind, rowAt } from "../../../exts/stagetwin.web/static/js/core/frames.js";

const cases = JSON.parse(readFileSync(process.env.CASES, "utf8"));

function bytes(hex) {
  return Uint8Array.from(Buffer.from(hex, "hex")).buffer;
}

function plain(section) {
  const { kind, count, values, quaternions } = section;
  const number = (x) => (Number.isFinite(x) ? x : { NaN: "nan", Infinity: "inf", "-Infinity": "-inf" }[x]);
  const poses = kind === Kind.POSE || kind === Kind.MOVER_POSE;
  const rows = kind === Kind.INSTANCER ? [section.first] : Array.from({ length: count }, (_, i) => rowAt(section, i));
  let out = [];
  if (kind === Kind.JSON) out = values;
  else if (kind !== Kind.NONE) {
    const width = poses ? 3 : values.length / count;
    for (let i = 0; i < count; i++) {
      const row = Array.from(values.subarray(i * width, (i + 1) * width), (x) =>
        typeof x === "bigint" ? String(x) : number(x),
      );
      if (poses) row.push(...Array.from(quaternions.subarray(4 * i, 4 * i + 4), number));
      out.push(row);
    }
  }
  const column = (array) => (array === null ? null : Array.from(array));
  return {
    kind,
    rows,
    values: out,
    times: column(section.times),
    qualities: column(section.qualities),
    status: column(section.status),
  };
}

// JSON of Python tells -0.0 from 0.0; nobody here needs to.
function zero(value) {
  if (Array.isArray(value)) return value.map(zero);
  return value === 0 ? 0 : value;
}

test("every frame says the same in both languages", () => {
  for (const given of cases) {
    const frame = decodeFrame(bytes(given.frame));
    for (const name of ["table", "epoch", "tick", "since", "time"]) assert.equal(frame[name], given[name]);
    assert.equal(frame.sections.length, given.sections.length);
    frame.sections.forEach((section, i) => {
      const wanted = { ...given.sections[i], values: zero(given.sections[i].values) };
      assert.deepEqual({ ...plain(section), values: zero(plain(section).values) }, wanted);
    });
  }
});

test("a frame cut short anywhere is refused, and never read beyond its end", () => {
  const longest = cases.reduce((a, b) => (a.frame.length > b.frame.length ? a : b));
  const whole = Buffer.from(longest.frame, "hex");
  let refused = 0;
  for (let size = 0; size < whole.length; size++) {
    try {
      decodeFrame(Uint8Array.from(whole.subarray(0, size)).buffer);
    } catch (error) {
      assert.ok(error instanceof FrameError, `${size}: ${error}`);
      refused++;
    }
  }
  assert.equal(refused, whole.length);
});

test("another beginning, an unknown kind and too many rows are refused", () => {
  const head = new ArrayBuffer(56);
  const view = new DataView(head);
  assert.throws(() => decodeFrame(head), FrameError);
  view.setUint32(0, 0x31465453, true);
  view.setUint32(36, 1, true);
  view.setUint8(40, 99);
  assert.throws(() => decodeFrame(head), /kind 99/);
  view.setUint8(40, Kind.FLOAT64);
  view.setUint32(44, 2 ** 25, true);
  assert.throws(() => decodeFrame(head), /at most/);
});
