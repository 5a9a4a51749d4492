/**
 * Operations of a review that wait for the service: kept over reloads, sent again, done once.
 */

import { uuid7 } from "./drafts.js";
import { recall, remember } from "./preferences.js";

const MOST = 200;

export class Outbox extends EventTarget {
  /** @param {Workplace} place */
  constructor(place) {
    super();
    this.place = place;
    this.waiting = recall("outbox", []).filter((each) => each?.operation?.id && each.user);
    this.sending = false;
    place.hear("connected", () => this.flush());
    place.session.on("welcome", () => this.flush());
  }

  /** @returns {Array} what this person's operations still wait */
  get mine() {
    return this.waiting.filter((each) => each.user === this.place.user);
  }

  /**
   * Ask for an operation of the review: now where there is a service, else later.
   *
   * @param {object} operation - without an id
   * @returns {Promise<{topic?: object, conflict?: string, later?: boolean}>} `later`: it waits here
   */
  async send(operation) {
    const whole = { id: uuid7(), ...operation };
    if (!this.place.isLive) return this.keep(whole);
    try {
      return await this.place.session.ask({ op: "review", operation: whole });
    } catch (error) {
      if (!isLost(error)) throw error;
      return this.keep(whole);
    }
  }

  keep(operation) {
    if (this.waiting.length >= MOST) throw new Error(`${MOST} operations wait already; connect before you write more.`);
    if (!this.place.user) throw new Error("Nobody is signed in.");
    this.waiting.push({ operation, user: this.place.user, since: Date.now() / 1000 });
    const kept = this.store();
    return { later: true, kept };
  }

  store() {
    const kept = remember("outbox", this.waiting);
    this.dispatchEvent(new Event("change"));
    return kept;
  }

  /** Send what waits, oldest first; an operation that was taken before counts once. */
  async flush() {
    if (this.sending || !this.place.user) return;
    this.sending = true;
    try {
      for (const each of this.mine) {
        if (each.refused) continue;
        try {
          const answer = await this.place.session.ask({ op: "review", operation: each.operation });
          if (answer.conflict) each.refused = answer.conflict;
          else this.waiting = this.waiting.filter((other) => other !== each);
        } catch (error) {
          if (isLost(error)) return;
          each.refused = error.message;
        }
        this.store();
      }
    } finally {
      this.sending = false;
    }
  }

  /** Give up an operation. */
  drop(id) {
    this.waiting = this.waiting.filter((each) => each.operation.id !== id);
    this.store();
  }
}

/** Tell whether an operation may have been lost on its way, so that it is sent again. */
function isLost(error) {
  return error.kind === "connection" || error.kind === "timeout";
}
