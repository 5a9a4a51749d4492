import { decodeFrame, FrameError } from "./frames.js";
import { Known } from "./known.js";

const PROTOCOL = "stagetwin.sync.1";
const ANSWER_WITHIN = 30_000; // ms
const SILENT_AFTER = 10_000; // ms; the service says `alive` once a second
const PAUSES = [500, 1000, 2000, 4000, 8000, 15_000]; // ms
const PRESENCE_EVERY = 100; // ms
const GAP_PAUSE = 2000; // ms
const REFUSED = new Set([4401, 4403, 1008]);

/** A request that was not answered with what it asked for. */
export class SessionError extends Error {
  /**
   * @param {string} kind of the error, as the service names it; `connection` and `timeout` are ours
   * @param {string} message
   */
  constructor(kind, message) {
    super(message);
    this.name = "SessionError";
    this.kind = kind;
  }
}

/**
 * A viewer's end of the sync protocol (docs/sync.md): one connection that heals, and the newest state
 * of what was subscribed.
 */
export class Session extends Known {
  #url;
  #client;
  #Socket;
  #socket = null;
  #wanted = false;
  #attempt = 0;
  #timer = 0;
  #guard = 0;
  #asked = new Map();
  #nextId = 1;
  #table = -1;
  #applied = null;
  #run = "";
  #heard = -Infinity;
  #askedWhole = -Infinity;
  #clock = NaN;
  #presence = null;
  #presenceTimer = 0;

  /**
   * @param {object} [options]
   * @param {string} [options.url]
   * @param {string} [options.client] name of the program
   * @param {object} [options.subscription]
   * @param {typeof WebSocket} [options.socket] the class of sockets, for tests
   */
  constructor({ url, client = "stagetwin.web", subscription, socket } = {}) {
    super();
    this.#url = url ?? defaultUrl();
    this.#client = client;
    this.#Socket = socket ?? globalThis.WebSocket;
    this.subscription = { prims: ["/"], rate: 30, values: true, poses: "moves", expected: true, ...subscription };
    this.state = "closed";
    this.welcome = null;
    this.epoch = 0;
  }

  #forget() {
    this.forget();
    this.#table = -1;
    this.#applied = null;
  }

  /** Seconds since anything was heard of the service; Infinity before. */
  get lag() {
    return (performance.now() - this.#heard) / 1000;
  }

  /** Tick of the newest frame applied, or -1. */
  get tick() {
    return this.#applied?.tick ?? -1;
  }

  /** The service's clock now [s, Unix], as far as its messages tell. */
  serverNow() {
    return Number.isNaN(this.#clock) ? Date.now() / 1000 : this.#clock + performance.now() / 1000;
  }

  /** Open the connection, and again whenever it breaks. */
  connect() {
    this.#wanted = true;
    this.#attempt = 0;
    if (this.#socket === null) this.#open();
  }

  /** End the connection. */
  close() {
    this.#wanted = false;
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#lose("the session was closed");
    socket?.close(1000);
    this.#turn("closed");
  }

  #open() {
    clearTimeout(this.#timer);
    this.#turn("connecting");
    const socket = new this.#Socket(this.#url, PROTOCOL);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.onopen = () => this.#hello();
    socket.onmessage = (event) => {
      if (this.#socket === socket) this.#hear(event.data);
    };
    socket.onclose = (event) => {
      if (this.#socket === socket) this.#broke(event);
    };
    this.#watchSilence();
  }

  #hello() {
    const hello = { op: "hello", client: this.#client, subscribe: this.subscription };
    if (this.#applied !== null) hello.resume = { run: this.#run, ...this.#applied };
    this.#send(hello);
  }

  // A broken network may take minutes to close a socket; silence tells sooner.
  #watchSilence() {
    clearInterval(this.#guard);
    const opened = performance.now();
    this.#guard = setInterval(() => {
      const quiet = performance.now() - Math.max(opened, this.#heard);
      if (quiet < SILENT_AFTER) return;
      const socket = this.#socket;
      this.#broke({ code: 1006, reason: "the service fell silent" });
      socket?.close(4000, "silent");
    }, 1000);
  }

  #broke({ code, reason }) {
    this.#lose(reason || "the connection broke");
    if (!this.#wanted) return;
    if (REFUSED.has(code)) {
      this.#wanted = false;
      this.#turn("refused");
      return;
    }
    const pause = PAUSES[Math.min(this.#attempt++, PAUSES.length - 1)];
    this.#timer = setTimeout(() => this.#open(), pause * (0.75 + Math.random() / 2));
    this.#turn("waiting");
  }

  #lose(why) {
    clearInterval(this.#guard);
    this.#socket = null;
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const { reject, timer } of asked) {
      clearTimeout(timer);
      reject(new SessionError("connection", why));
    }
  }

  #turn(state) {
    if (this.state === state) return;
    this.state = state;
    this.emit("state", state);
  }

  #send(message) {
    if (this.#socket === null || this.#socket.readyState !== 1) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /**
   * Change what is sent to this client.
   *
   * @param {object} change fields of the subscription
   */
  subscribe(change) {
    this.subscription = { ...this.subscription, ...change };
    this.#send({ op: "subscribe", ...this.subscription });
  }

  /**
   * Ask the service for an operation.
   *
   * @param {object} request an operation with its arguments
   * @returns {Promise<object>} the fields of the answer
   * @throws {SessionError} refused, or not answered
   */
  ask(request) {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      if (!this.#send({ op: "ask", id, request })) {
        reject(new SessionError("connection", "there is no connection to the service"));
        return;
      }
      const timer = setTimeout(() => {
        this.#asked.delete(id);
        reject(new SessionError("timeout", `no answer within ${ANSWER_WITHIN / 1000} s`));
      }, ANSWER_WITHIN);
      this.#asked.set(id, { resolve, reject, timer });
    });
  }

  /** Say where this person looks and what is selected; the newest wins. */
  sendPresence(presence) {
    this.#presence = { ...this.#presence, ...presence };
    if (this.#presenceTimer !== 0) return;
    this.#send({ op: "presence", ...this.#presence });
    const told = this.#presence;
    this.#presenceTimer = setTimeout(() => {
      this.#presenceTimer = 0;
      if (this.#presence !== told) this.sendPresence({});
    }, PRESENCE_EVERY);
  }

  /** Say what this person considers for a target; null withdraws. */
  sendDraft(target, value) {
    this.#send({ op: "draft", target, value });
  }

  #hear(data) {
    this.#heard = performance.now();
    if (typeof data === "string") {
      this.#hearText(data);
      return;
    }
    try {
      this.#apply(decodeFrame(data));
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      console.error("a frame was refused", error);
    }
  }

  #hearText(data) {
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      console.error("a message was refused: it is no JSON");
      return;
    }
    if (message.op === "welcome") this.#takeWelcome(message);
    else if (message.op === "channels") this.#takeChannels(message);
    else if (message.op === "scene") this.#enter(message.epoch);
    else if (message.op === "reply") this.#takeReply(message);
    else {
      if (message.op === "alive") this.#tellTime(message.time);
      this.take(message);
    }
  }

  #apply(frame) {
    // Rows of another table would be read as other channels.
    if (frame.table !== this.#table || frame.epoch < this.epoch) return;
    if (frame.since > Math.max(this.tick, 0)) {
      this.#askWhole();
      return;
    }
    this.#enter(frame.epoch);
    this.#tellTime(frame.time);
    this.values.apply(frame);
    const { table, epoch, tick } = frame;
    this.#applied = { epoch, tick, table };
    this.emit("frame", frame);
  }

  // A gap would leave old values in place: subscribing again brings a snapshot.
  #askWhole() {
    const now = performance.now();
    if (now - this.#askedWhole < GAP_PAUSE) return;
    this.#askedWhole = now;
    this.#applied = null;
    this.subscribe({});
  }

  #tellTime(time) {
    if (Number.isFinite(time)) this.#clock = time - performance.now() / 1000;
  }

  #takeWelcome(message) {
    if (this.#run !== "" && message.run !== this.#run) {
      this.#forget();
      this.emit("reset");
    }
    this.forgetRows();
    this.#run = message.run;
    this.welcome = message;
    this.#enter(message.epoch);
    this.#attempt = 0;
    this.#turn("live");
    this.emit("welcome", message);
    if (this.#presence !== null) this.#send({ op: "presence", ...this.#presence });
  }

  #takeChannels(message) {
    this.#table = message.table;
    this.#enter(message.epoch);
    if (message.resumed) return;
    this.#applied = null;
    this.takeTable(message);
    this.emit("channels");
  }

  #enter(epoch) {
    if (epoch === undefined || epoch === this.epoch) return;
    this.epoch = epoch;
    this.emit("scene", epoch);
  }

  #takeReply(message) {
    const asked = this.#asked.get(message.id);
    if (asked === undefined) return;
    this.#asked.delete(message.id);
    clearTimeout(asked.timer);
    if (message.ok) asked.resolve(message);
    else asked.reject(new SessionError(message.kind ?? "error", message.error ?? "refused"));
  }
}

function defaultUrl() {
  if (typeof location === "undefined") return "";
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/sync`;
}
