/**
 * What this person considers, and what others do: never a request, and shown as a ghost.
 */

const FLAT = /^(double|float|half)3$|^(point|vector|normal)3[dfh]$/;

/**
 * Make an id that grows with time (UUIDv7), by which the service knows a request again.
 *
 * @returns {string}
 */
export function uuid7() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  let time = Date.now();
  for (let index = 5; index >= 0; index--) {
    bytes[index] = time % 256;
    time = Math.floor(time / 256);
  }
  bytes[6] = 0x70 | (bytes[6] & 0x0f);
  bytes[8] = 0x80 | (bytes[8] & 0x3f);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

export class Drafts extends EventTarget {
  /** @param {Workplace} place */
  constructor(place) {
    super();
    this.place = place;
    this.own = new Map();
    place.session.on("draft", () => this.changed());
    place.hear("connected", () => {
      for (const [target, draft] of this.own) place.session.sendDraft(target, draft.value);
    });
  }

  /**
   * @param {string} target
   * @returns {{value: *, revision: number, prim: string, type: string}|undefined}
   */
  get(target) {
    return this.own.get(target);
  }

  /**
   * Consider a value; others see it, and nothing happens.
   *
   * @param {object} row - of `targets`
   * @param {*} value
   */
  set(row, value) {
    const known = this.own.get(row.path);
    this.own.set(row.path, { value, revision: known?.revision ?? row.revision, prim: row.prim, type: row.type });
    this.place.session.sendDraft(row.path, value);
    this.changed();
  }

  /** @param {string} target - whose draft is given up */
  withdraw(target) {
    if (!this.own.delete(target)) return;
    this.place.session.sendDraft(target, null);
    this.changed();
  }

  /**
   * Return what others consider for a target.
   *
   * @param {string} target
   * @returns {Array<{user: string, value: *}>}
   */
  others(target) {
    const own = this.place.session.welcome?.session;
    return [...this.place.session.drafts.values()].filter(
      (draft) => draft.target === target && draft.session !== own && draft.value !== null,
    );
  }

  changed() {
    this.showGhosts();
    this.dispatchEvent(new Event("change"));
  }

  showGhosts() {
    const { view } = this.place;
    if (!view) return;
    const ghosts = [];
    for (const draft of this.own.values()) {
      const pose = poseOf(draft.type, draft.value);
      if (pose) ghosts.push({ path: draft.prim, ...pose });
    }
    if (ghosts.length) view.ghosts.set("drafts", ghosts, { colour: "#78bcff" });
    else view.ghosts.remove("drafts");
  }
}

function poseOf(type, value) {
  if (!Array.isArray(value)) return null;
  const flat = value.flat();
  if (/^(matrix4d|frame4d)$/.test(type) && flat.length === 16) return { matrix: flat };
  if (FLAT.test(type) && flat.length === 3) return { position: flat, orientation: [0, 0, 0, 1] };
  return null;
}
