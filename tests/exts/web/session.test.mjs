// Session and values over a stand-in of a socket.
import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { Session, SessionError } from "../../../exts/stagetwin.web/static/js/core/session.js";
import { Values } from "../../../exts/stagetwin.web/static/js/core/values.js";
import { Kind } from "../../../exts/stagetwin.web/static/js/core/frames.js";

class Socket {
  static made = [];

  constructor(url, protocol) {
    Object.assign(this, { url, protocol, sent: [], readyState: 0 });
    Socket.made.push(this);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.readyState = 3;
    this.closed = code;
  }

  open() {
    this.readyState = 1;
    this.onopen();
  }

  say(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }

  frame(frame) {
    this.onmessage({ data: encode(frame) });
  }
}

/** One section of float64 with times and qualities, or none. */
function encode({ table = 1, tick, since = 0, epoch = 1, rows = [], values = [], kind = Kind.FLOAT64 }) {
  const buffer = new ArrayBuffer(40 + 16 + 8 * rows.length * 4 + 64);
  const view = new DataView(buffer);
  view.setUint32(0, 0x31465453, true);
  view.setUint32(4, table, true);
  view.setBigUint64(8, BigInt(tick), true);
  view.setBigUint64(16, BigInt(since), true);
  view.setFloat64(24, 1000, true);
  view.setUint32(32, epoch, true);
  view.setUint32(36, 1, true);
  view.setUint8(40, kind);
  view.setUint8(41, 4);
  view.setUint16(42, 1, true);
  view.setUint32(44, rows.length, true);
  let at = 56;
  const align = () => (at += (8 - (at % 8)) % 8);
  for (const row of rows) view.setUint32((at += 4) - 4, row, true);
  align();
  if (kind !== Kind.NONE) for (const value of values) view.setFloat64((at += 8) - 8, value, true);
  align();
  for (const _ of rows) view.setInt32((at += 4) - 4, -500, true);
  align();
  for (const _ of rows) view.setUint8((at += 1) - 1, 0);
  return buffer;
}

const CHANNELS = [
  { path: "/World/P.flow", prim: "/World/P", target: "/World/P.a", type: "double", element: -1 },
  { path: "/World/P.level", prim: "/World/P", target: "/World/P.b", type: "double", element: -1 },
];

function connected() {
  Socket.made.length = 0;
  const session = new Session({ url: "ws://here/sync", socket: Socket });
  session.connect();
  const [socket] = Socket.made;
  socket.open();
  socket.say({ op: "welcome", run: "one", epoch: 1, tick: 4, user: "ann" });
  socket.say({ op: "channels", epoch: 1, table: 1, channels: CHANNELS, movers: [], instancers: [] });
  return { session, socket };
}

test("a session greets, takes frames in order and answers by path and property", () => {
  const { session, socket } = connected();
  assert.equal(socket.protocol, "stagetwin.sync.1");
  assert.equal(socket.sent[0].op, "hello");
  assert.deepEqual(socket.sent[0].subscribe.prims, ["/"]);
  assert.equal(session.state, "live");
  socket.frame({ tick: 5, rows: [0, 1], values: [1.5, 2] });
  assert.equal(session.values.get("/World/P.flow").value, 1.5);
  assert.equal(session.values.get("/World/P.b").value, 2);
  assert.equal(session.values.get("/World/P.flow").time, 999.5);
  assert.equal(session.values.get("/World/P.flow").quality, "good");
  assert.equal(session.values.get("/World/none"), null);
  assert.equal(session.tick, 5);
  session.close();
});

test("frames of another table or an older epoch change nothing", () => {
  const { session, socket } = connected();
  socket.frame({ tick: 5, rows: [0], values: [1] });
  socket.frame({ table: 2, tick: 6, since: 5, rows: [0], values: [9] });
  assert.equal(session.values.get("/World/P.flow").value, 1);
  socket.say({ op: "scene", epoch: 3 });
  socket.frame({ tick: 7, since: 5, epoch: 2, rows: [0], values: [9] });
  assert.equal(session.values.get("/World/P.flow").value, 1);
  socket.frame({ tick: 7, since: 5, epoch: 3, rows: [0], values: [4] });
  assert.equal(session.values.get("/World/P.flow").value, 4);
  session.close();
});

test("after a gap the session asks for everything, and until then believes nothing", () => {
  const { session, socket } = connected();
  socket.frame({ tick: 5, rows: [0], values: [1] });
  const before = socket.sent.length;
  socket.frame({ tick: 9, since: 8, rows: [0], values: [9] });
  socket.frame({ tick: 10, since: 9, rows: [0], values: [9] });
  assert.equal(session.values.get("/World/P.flow").value, 1);
  assert.deepEqual(
    socket.sent.slice(before).map(({ op }) => op),
    ["subscribe"],
  );
  socket.frame({ tick: 11, since: 0, rows: [0], values: [3] });
  assert.equal(session.values.get("/World/P.flow").value, 3);
  session.close();
});

test("a broken connection opens again, resumes by tick, and fails what was asked", async () => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  try {
    const { session, socket } = connected();
    socket.frame({ tick: 5, rows: [0], values: [1] });
    const asked = session.ask({ op: "values" });
    socket.onclose({ code: 1006, reason: "" });
    await assert.rejects(asked, (error) => error instanceof SessionError && error.kind === "connection");
    assert.equal(session.state, "waiting");
    mock.timers.tick(1000);
    const again = Socket.made[1];
    again.open();
    assert.deepEqual(again.sent[0].resume, { run: "one", epoch: 1, tick: 5, table: 1 });
    again.say({ op: "welcome", run: "one", epoch: 1, tick: 9 });
    again.say({ op: "channels", epoch: 1, table: 1, resumed: true });
    again.frame({ tick: 9, since: 5, rows: [1], values: [7] });
    assert.equal(session.values.get("/World/P.flow").value, 1);
    assert.equal(session.values.get("/World/P.level").value, 7);
    session.close();
  } finally {
    mock.timers.reset();
  }
});

test("another life of the service empties what was known; a refusal is not tried again", () => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  try {
    const { session, socket } = connected();
    let resets = 0;
    session.on("reset", () => resets++);
    socket.frame({ tick: 5, rows: [0], values: [1] });
    socket.say({ op: "alarm", alarm: { id: "a1" } });
    assert.equal(session.alarms.size, 1);
    socket.onclose({ code: 1006, reason: "" });
    mock.timers.tick(1000);
    const again = Socket.made[1];
    again.open();
    again.say({ op: "welcome", run: "two", epoch: 1, tick: 1 });
    assert.equal(resets, 1);
    assert.equal(session.alarms.size, 0);
    assert.equal(session.values.get("/World/P.flow"), null);
    again.onclose({ code: 4403, reason: "rights" });
    assert.equal(session.state, "refused");
    mock.timers.tick(60_000);
    assert.equal(Socket.made.length, 2);
    session.close();
  } finally {
    mock.timers.reset();
  }
});

test("silence breaks a connection that nobody closed", () => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  const clock = mock.method(performance, "now");
  try {
    let now = 0;
    clock.mock.mockImplementation(() => now);
    const { session, socket } = connected();
    now = 11_000;
    mock.timers.tick(1000);
    assert.equal(socket.closed, 4000);
    assert.equal(session.state, "waiting");
    session.close();
  } finally {
    clock.mock.restore();
    mock.timers.reset();
  }
});

test("requests are answered by their own replies", async () => {
  const { session, socket } = connected();
  const one = session.ask({ op: "values" });
  const two = session.ask({ op: "publish" });
  const [first, second] = socket.sent.slice(-2);
  socket.say({ op: "reply", id: second.id, ok: false, error: "not permitted", kind: "access" });
  socket.say({ op: "reply", id: first.id, ok: true, values: [1] });
  assert.deepEqual((await one).values, [1]);
  await assert.rejects(two, (error) => error.kind === "access" && error.message === "not permitted");
  session.close();
});

test("rows keep their state in a new table, whatever their position", () => {
  const { session, socket } = connected();
  socket.frame({ tick: 5, rows: [0, 1], values: [1, 2] });
  socket.say({ op: "channels", epoch: 1, table: 2, channels: [CHANNELS[1]], movers: [], instancers: [] });
  assert.equal(session.values.get("/World/P.level").value, 2);
  assert.equal(session.values.get("/World/P.flow"), null);
  session.close();
});

test("a snapshot takes values away that there are none of; a delta does not", () => {
  const values = new Values();
  values.bind(CHANNELS);
  const section = (kind, extra) => ({
    kind, count: 1, first: 0, rows: null, width: 1, values: null, quaternions: null,
    times: Int32Array.of(0), qualities: Uint8Array.of(3), status: null, ...extra,
  });
  values.apply({ time: 1, since: 0, sections: [section(Kind.FLOAT64, { values: Float64Array.of(5) })] });
  values.apply({ time: 2, since: 1, sections: [section(Kind.NONE)] });
  assert.equal(values.get("/World/P.flow").value, 5);
  assert.equal(values.get("/World/P.flow").quality, "stale");
  values.apply({ time: 3, since: 0, sections: [section(Kind.NONE)] });
  assert.equal(values.get("/World/P.flow").value, null);
});

test("kinds come back as what they are; traces keep a window; watches tell rows", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const values = new Values();
    values.bind(CHANNELS);
    const put = (kind, data, time, width = 1) =>
      values.apply({
        time, since: 1,
        sections: [{ kind, count: 1, first: 0, rows: null, width, values: data, quaternions: null,
          times: Int32Array.of(0), qualities: Uint8Array.of(0), status: null }],
      });
    put(Kind.BOOL, Uint8Array.of(1), 1);
    assert.equal(values.get("/World/P.flow").value, true);
    put(Kind.INT64, BigInt64Array.of(2n ** 60n), 1);
    assert.equal(values.get("/World/P.flow").value, 2n ** 60n);
    put(Kind.INT64, BigInt64Array.of(-12n), 1);
    assert.equal(values.get("/World/P.flow").value, -12);
    put(Kind.FLOAT32, Float32Array.of(1, 2, 3), 1, 3);
    assert.deepEqual(values.get("/World/P.flow").value, [1, 2, 3]);
    put(Kind.JSON, ["on"], 1);
    assert.equal(values.get("/World/P.flow").value, "on");

    const told = [];
    const off = values.watch(["/World/P.flow", "/World/none"], (rows) => told.push(rows));
    const trace = values.trace("/World/P.flow", 10);
    for (let i = 0; i < 1000; i++) put(Kind.FLOAT64, Float64Array.of(i), 100 + i / 10);
    assert.equal(trace.values.at(-1), 999);
    assert.ok(trace.times.at(-1) - trace.times[0] <= 10 && trace.times.length >= 100);
    mock.timers.tick(1000);
    assert.deepEqual(told, [[0]]);
    off();
    trace.stop();
  } finally {
    mock.timers.reset();
  }
});

test("what a model expects stands beside a signal, and is no signal itself", () => {
  const values = new Values();
  const prim = "/World/P";
  const stem = `${prim}.twin:telemetry:flow:`;
  const expected = (end) => ({ path: stem + end, prim, signal: "flow", target: stem + end, type: "double", element: -1, expected: end });
  const flow = { path: `${prim}.flow`, prim, signal: "flow", target: `${stem}value`, type: "double", element: -1 };
  const level = { ...flow, path: `${prim}.level`, signal: "level", target: `${prim}.b` };
  values.bind([flow, level, expected("predicted"), expected("residual"), expected("residualSigma")]);
  assert.deepEqual(values.below("/World"), [0, 1]);
  assert.equal(values.expected(level), null);
  assert.equal(values.expected(flow).value, null);
  const section = (quality) => ({
    kind: Kind.FLOAT64, count: 3, width: 1, rows: [2, 3, 4], first: 0, values: [20, -1.5, 0.5],
    times: [0, 0, 0], qualities: [quality, quality, quality], status: null, quaternions: null,
  });
  values.apply({ time: 1000, since: 0, sections: [section(0)] });
  assert.deepEqual(values.expected(flow), { path: `${stem}predicted`, value: 20, residual: -1.5, sigma: 0.5, sigmas: -3 });
  values.apply({ time: 1001, since: 5, sections: [section(3)] });
  assert.equal(values.expected(flow).value, null);
  assert.equal(values.expected(flow).sigmas, null);
});
