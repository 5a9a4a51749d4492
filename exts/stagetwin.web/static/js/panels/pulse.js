/**
 * One beat for all texts: what changed is written to the page at most 8 times a second.
 */

const PERIOD = 125;

export class Pulse {
  constructor() {
    this.listeners = new Set();
    this.last = 0;
    this.timer = setInterval(() => this.beat(), PERIOD);
    document.addEventListener("visibilitychange", () => this.beat());
  }

  /**
   * Have a function called at each beat while the page is visible.
   *
   * @param {function(number): void} listener - is given the time [s, monotonic]
   * @returns {function(): void} ends it
   */
  add(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  beat() {
    if (document.hidden) return;
    const now = performance.now() / 1000;
    for (const listener of this.listeners) {
      try {
        listener(now);
      } catch (error) {
        // One panel's fault must not stop the others.
        console.error("a panel failed", error);
      }
    }
  }
}
