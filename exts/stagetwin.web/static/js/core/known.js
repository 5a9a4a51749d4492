import { Events } from "./events.js";
import { Values } from "./values.js";

/** What a session knows: rows by id, and the columns of values. */
export class Known extends Events {
  constructor() {
    super();
    this.values = new Values();
    this.forget();
  }

  /** Forget everything: another life of the service. */
  forget() {
    this.channels = [];
    this.movers = [];
    this.instancers = [];
    this.connections = {};
    this.people = [];
    this.values.bind([]);
    this.forgetRows();
  }

  /** Forget what comes again, whole, after each welcome: what is gone by then is not told. */
  forgetRows() {
    this.commands = new Map();
    this.alarms = new Map();
    this.topics = new Map();
    this.proposals = new Map();
    this.drafts = new Map();
  }

  /** Take the lists that frames name rows of. */
  takeTable({ channels = [], movers = [], instancers = [] }) {
    this.channels = channels;
    this.movers = movers;
    this.instancers = instancers;
    this.values.bind(channels);
  }

  /**
   * Take a message that tells what is so.
   *
   * @param {object} message as in docs/sync.md
   */
  take(message) {
    switch (message.op) {
      case "command":
        this.#takeRow("command", this.commands, message);
        return;
      case "alarm":
        this.#takeRow("alarm", this.alarms, message);
        return;
      case "topic":
        this.#takeRow("topic", this.topics, message);
        return;
      case "proposal":
        this.#takeRow("proposal", this.proposals, message);
        return;
      case "connections":
        // It names only those that changed.
        this.connections = { ...this.connections, ...message.connections };
        this.emit("connections", this.connections);
        return;
      case "presence":
        this.people = message.people ?? [];
        this.emit("presence", this.people);
        return;
      case "draft":
        this.#takeDraft(message);
        return;
      case "alive":
        this.emit("alive", message);
        return;
      case "bye":
        this.emit("bye", message.why ?? message.reason ?? "");
    }
  }

  #takeRow(name, rows, message) {
    const row = message[name] ?? message;
    const id = row.id ?? message.id;
    if (message.removed || row.removed) rows.delete(id);
    else rows.set(id, row);
    this.emit(name, row);
  }

  #takeDraft(message) {
    const key = `${message.session} ${message.target}`;
    if (message.value === null || message.value === undefined) this.drafts.delete(key);
    else this.drafts.set(key, message);
    this.emit("draft", message);
  }
}
