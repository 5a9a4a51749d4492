/** The past of one number while it is looked at: a ring that grows to what its window needs. */
export class Trace {
  #times = new Float64Array(256);
  #values = new Float64Array(256);
  #qualities = new Float64Array(256);
  #begin = 0;
  #end = 0;
  #stop;

  /**
   * @param {string} path
   * @param {number} seconds
   * @param {() => void} stop
   */
  constructor(path, seconds, stop) {
    this.path = path;
    this.seconds = seconds;
    this.#stop = stop;
  }

  /** Source times [s, Unix], oldest first; a view that is valid until the next value. */
  get times() {
    return this.#times.subarray(this.#begin, this.#end);
  }

  get values() {
    return this.#values.subarray(this.#begin, this.#end);
  }

  /** 0 good, 1 uncertain, 2 bad, 3 stale. */
  get qualities() {
    return this.#qualities.subarray(this.#begin, this.#end);
  }

  /** Add a value; one of the past is not added, for a chart runs forward. */
  add(time, value, quality) {
    if (this.#end > this.#begin && time < this.#times[this.#end - 1]) return;
    while (this.#begin < this.#end && this.#times[this.#begin] < time - this.seconds) this.#begin++;
    if (this.#end === this.#times.length) this.#room();
    this.#times[this.#end] = time;
    this.#values[this.#end] = value;
    this.#qualities[this.#end] = quality;
    this.#end++;
  }

  #room() {
    const size = this.#end - this.#begin;
    const grown = Math.min(2 ** 16, Math.max(256, size * 2));
    const from = size === grown ? this.#begin + grown / 2 : this.#begin;
    for (const name of ["times", "values", "qualities"]) {
      const kept = this[name].subarray(from - this.#begin);
      const column = new Float64Array(grown);
      column.set(kept);
      if (name === "times") this.#times = column;
      else if (name === "values") this.#values = column;
      else this.#qualities = column;
    }
    this.#end -= from;
    this.#begin = 0;
  }

  /** Keep no more. */
  stop() {
    this.#stop();
  }
}
