/** Named events with listeners that cannot harm one another. */
export class Events {
  #listeners = new Map();

  /**
   * Hear an event from now on.
   *
   * @param {string} name
   * @param {(argument: any) => void} listener
   * @returns {() => void} hears it no more
   */
  on(name, listener) {
    let listeners = this.#listeners.get(name);
    if (listeners === undefined) this.#listeners.set(name, (listeners = new Set()));
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Tell all listeners of an event; what one throws is reported and keeps nobody from hearing. */
  emit(name, argument) {
    const listeners = this.#listeners.get(name);
    if (listeners === undefined) return;
    for (const listener of listeners) {
      try {
        listener(argument);
      } catch (error) {
        console.error(`a listener of ${name} failed`, error);
      }
    }
  }

  /** @returns {boolean} whether anybody hears an event */
  heard(name) {
    return (this.#listeners.get(name)?.size ?? 0) > 0;
  }
}
