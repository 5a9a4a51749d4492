/**
 * Frames of the sync protocol (docs/sync.md): what changed, as columns.
 *
 * Arrays of a decoded frame are views of the message. They are valid until the next frame is decoded
 * into the same decoder: nothing is allocated per row, and little per section.
 */

export const Kind = Object.freeze({
  NONE: 0,
  FLOAT64: 1,
  FLOAT32: 2,
  INT64: 3,
  BOOL: 4,
  JSON: 5,
  POSE: 6,
  MATRIX: 7,
  MOVER_POSE: 16,
  MOVER_MATRIX: 17,
  INSTANCER: 18,
});

export const QUALITIES = Object.freeze(["good", "uncertain", "bad", "stale"]);

/** In a column of times: the source did not say when. */
export const NO_TIME = -(2 ** 31);

const MAGIC = 0x31465453; // "STF1", little endian
const HEADER = 40;
const SECTION = 16;
const RANGE = 1;
const SHORT = 2;
const TIMES = 4;
const STATUS = 8;
const MAX_ROWS = 2 ** 24;
const MAX_SECTIONS = 2 ** 16;

/** A message that is no frame of this protocol. */
export class FrameError extends Error {
  constructor(message) {
    super(message);
    this.name = "FrameError";
  }
}

/**
 * @typedef {object} Section
 * @property {number} kind one of `Kind`
 * @property {number} count rows; of an instancer, its instances
 * @property {number} first first row where `rows` is null: they are first, first + 1, ...; the
 *   instancer's row
 * @property {Uint16Array|Uint32Array|null} rows
 * @property {number} width numbers of one value
 * @property {Float64Array|Float32Array|BigInt64Array|Uint8Array|any[]|null} values of poses: the
 *   positions, 3 a row
 * @property {Float32Array|null} quaternions of poses: x, y, z, w a row
 * @property {Int32Array|null} times relative to the frame's time [ms]
 * @property {Uint8Array|null} qualities
 * @property {Uint32Array|null} status raw codes; null where all are 0
 */

/**
 * @typedef {object} Frame
 * @property {number} table number of the `channels` message whose rows it names
 * @property {number} tick the service's tick that this is the state of
 * @property {number} since it holds all that changed after that tick; 0 for a snapshot
 * @property {number} time the service's clock [s, Unix]
 * @property {number} epoch of the scene
 * @property {Section[]} sections
 */

class Reader {
  constructor(buffer) {
    this.buffer = buffer;
    this.view = new DataView(buffer);
    this.at = 0;
  }

  align() {
    this.at += (8 - (this.at % 8)) % 8;
  }

  head(size) {
    this.align();
    const at = this.at;
    if (at + size > this.buffer.byteLength) {
      throw new FrameError(`a frame of ${this.buffer.byteLength} bytes ends within a header`);
    }
    this.at += size;
    return at;
  }

  array(Type, count) {
    this.align();
    const size = count * Type.BYTES_PER_ELEMENT;
    if (this.at + size > this.buffer.byteLength) {
      throw new FrameError(
        `a frame of ${this.buffer.byteLength} bytes ends within an array of ${size}`,
      );
    }
    const out = new Type(this.buffer, this.at, count);
    this.at += size;
    return out;
  }

  whole(at) {
    const value = Number(this.view.getBigUint64(at, true));
    if (!Number.isSafeInteger(value)) throw new FrameError(`a tick of ${value} is beyond 2^53`);
    return value;
  }
}

/**
 * Return the frame of a message.
 *
 * @param {ArrayBuffer} buffer
 * @returns {Frame}
 * @throws {FrameError} that is no frame of this protocol
 */
export function decodeFrame(buffer) {
  const source = new Reader(buffer);
  const at = source.head(HEADER);
  const view = source.view;
  if (view.getUint32(at, true) !== MAGIC) throw new FrameError("a frame begins with STF1");
  const count = view.getUint32(at + 36, true);
  if (count > MAX_SECTIONS) throw new FrameError(`a frame has ${count} sections`);
  const frame = {
    table: view.getUint32(at + 4, true),
    tick: source.whole(at + 8),
    since: source.whole(at + 16),
    time: view.getFloat64(at + 24, true),
    epoch: view.getUint32(at + 32, true),
    sections: [],
  };
  for (let i = 0; i < count; i++) frame.sections.push(decodeSection(source));
  return frame;
}

/** @returns {Section} */
function decodeSection(source) {
  const at = source.head(SECTION);
  const view = source.view;
  const kind = view.getUint8(at);
  const flags = view.getUint8(at + 1);
  const width = view.getUint16(at + 2, true);
  const count = view.getUint32(at + 4, true);
  const first = view.getUint32(at + 8, true);
  const bytes = view.getUint32(at + 12, true);
  if (count > MAX_ROWS) throw new FrameError(`a section has at most ${MAX_ROWS} rows, got ${count}`);
  const ranged = kind === Kind.INSTANCER || (flags & RANGE) !== 0;
  const section = {
    kind,
    count,
    first,
    width,
    rows: ranged ? null : source.array(flags & SHORT ? Uint16Array : Uint32Array, count),
    values: null,
    quaternions: null,
    times: null,
    qualities: null,
    status: null,
  };
  decodeValues(source, section, bytes);
  if (flags & TIMES) {
    section.times = source.array(Int32Array, count);
    section.qualities = source.array(Uint8Array, count);
  }
  if (flags & STATUS) section.status = source.array(Uint32Array, count);
  return section;
}

const ARRAYS = new Map([
  [Kind.FLOAT64, Float64Array],
  [Kind.FLOAT32, Float32Array],
  [Kind.INT64, BigInt64Array],
  [Kind.BOOL, Uint8Array],
]);

function decodeValues(source, section, bytes) {
  const { kind, count, width } = section;
  switch (kind) {
    case Kind.NONE:
      return;
    case Kind.FLOAT64:
    case Kind.FLOAT32:
    case Kind.INT64:
    case Kind.BOOL:
      section.values = source.array(ARRAYS.get(kind), count * width);
      return;
    case Kind.JSON:
      section.values = decodeTexts(source.array(Uint8Array, bytes), count);
      return;
    case Kind.POSE:
    case Kind.MOVER_POSE:
      section.values = source.array(Float64Array, count * 3);
      section.quaternions = source.array(Float32Array, count * 4);
      return;
    case Kind.MATRIX:
    case Kind.MOVER_MATRIX:
      section.values = source.array(Float64Array, count * 16);
      return;
    case Kind.INSTANCER:
      section.values = source.array(Float32Array, count * 7);
      return;
    default:
      throw new FrameError(`there is no section of kind ${kind}`);
  }
}

const TEXT = new TextDecoder("utf-8", { fatal: true });

function decodeTexts(bytes, count) {
  let values;
  try {
    values = JSON.parse(TEXT.decode(bytes));
  } catch (error) {
    throw new FrameError(`a text section is no JSON: ${error.message}`);
  }
  if (!Array.isArray(values) || values.length !== count) {
    throw new FrameError(`a text section of ${count} rows holds another number of values`);
  }
  return values;
}

/**
 * Return a row of a section.
 *
 * @param {Section} section
 * @param {number} i position within the section
 */
export function rowAt(section, i) {
  return section.rows === null ? section.first + i : section.rows[i];
}
