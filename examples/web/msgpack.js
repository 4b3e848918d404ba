// MessagePack, as much as hubs need: nil, booleans, numbers, text, bytes, dates, arrays and maps.

const UTF8 = new TextEncoder();
const TEXT = new TextDecoder();

export function encode(value) {
  const bytes = new Writer();
  write(bytes, value);
  return bytes.finish();
}

export function decode(bytes) {
  return read(new Reader(bytes));
}

class Writer {
  #bytes = new Uint8Array(64);
  #length = 0;

  /** Room for so many bytes more, as a view of them. */
  take(count) {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    return new DataView(this.#bytes.buffer, at, count);
  }

  byte(byte) {
    this.take(1).setUint8(0, byte);
  }

  bytes(bytes) {
    this.take(bytes.length);
    this.#bytes.set(bytes, this.#length - bytes.length);
  }

  finish() {
    return this.#bytes.subarray(0, this.#length);
  }
}

function write(out, value) {
  if (value === null || value === undefined) out.byte(0xc0);
  else if (typeof value === "boolean") out.byte(value ? 0xc3 : 0xc2);
  else if (typeof value === "number") writeNumber(out, value);
  else if (typeof value === "bigint") writeBigInt(out, value);
  else if (typeof value === "string") {
    const text = UTF8.encode(value);
    head(out, text.length, [[31, 0xa0], [0xff, 0xd9], [0xffff, 0xda], [0xffffffff, 0xdb]]);
    out.bytes(text);
  } else if (value instanceof Uint8Array) {
    head(out, value.length, [[-1], [0xff, 0xc4], [0xffff, 0xc5], [0xffffffff, 0xc6]]);
    out.bytes(value);
  } else if (value instanceof Date) writeDate(out, value);
  else if (Array.isArray(value)) {
    head(out, value.length, [[15, 0x90], [-1], [0xffff, 0xdc], [0xffffffff, 0xdd]]);
    for (const item of value) write(out, item);
  } else {
    const members = Object.entries(value);
    head(out, members.length, [[15, 0x80], [-1], [0xffff, 0xde], [0xffffffff, 0xdf]]);
    for (const [name, member] of members) {
      write(out, name);
      write(out, member);
    }
  }
}

/** A length in the smallest form that holds it: in the first byte itself, or in 1, 2, 4 behind it. */
function head(out, length, [fixed, ...forms]) {
  if (length <= fixed[0]) return out.byte(fixed[1] | length);
  const size = forms.findIndex(([most]) => length <= most);
  out.byte(forms[size][1]);
  if (size === 0) out.byte(length);
  else if (size === 1) out.take(2).setUint16(0, length);
  else out.take(4).setUint32(0, length);
}

function writeNumber(out, value) {
  if (!Number.isInteger(value) || Object.is(value, -0)) {
    out.byte(0xcb);
    return out.take(8).setFloat64(0, value);
  }
  if (value >= -32 && value < 128) return out.take(1).setInt8(0, value);
  if (value >= -0x80000000 && value < 0x80000000) {
    out.byte(0xd2);
    return out.take(4).setInt32(0, value);
  }
  if (Number.isSafeInteger(value)) return writeBigInt(out, BigInt(value));
  out.byte(0xcb);
  out.take(8).setFloat64(0, value);
}

function writeBigInt(out, value) {
  const isLarge = value >= 2n ** 63n;
  out.byte(isLarge ? 0xcf : 0xd3);
  const view = out.take(8);
  if (isLarge) view.setBigUint64(0, value);
  else view.setBigInt64(0, value);
}

/** Seconds since 1970 in 34 bits and nanoseconds in 30, or in 64 and 32. */
function writeDate(out, date) {
  const seconds = Math.floor(date.getTime() / 1000);
  const nanoseconds = (date.getTime() - seconds * 1000) * 1e6;
  if (seconds >= 0 && seconds < 2 ** 34) {
    out.bytes([0xd7, 0xff]);
    return out.take(8).setBigUint64(0, (BigInt(nanoseconds) << 34n) | BigInt(seconds));
  }
  out.bytes([0xc7, 12, 0xff]);
  out.take(4).setUint32(0, nanoseconds);
  out.take(8).setBigInt64(0, BigInt(seconds));
}

class Reader {
  at = 0;

  constructor(bytes) {
    this.all = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** An unsigned number of 1, 2 or 4 bytes. */
  number(size) {
    const at = this.at;
    this.at += size;
    return size === 1 ? this.view.getUint8(at) : size === 2 ? this.view.getUint16(at) : this.view.getUint32(at);
  }

  bytes(length) {
    if (this.at + length > this.all.length) throw new RangeError("the record ends too soon");
    this.at += length;
    return this.all.slice(this.at - length, this.at);
  }
}

function read(from) {
  const first = from.number(1);
  if (first < 0x80) return first;
  if (first < 0x90) return readMap(from, first & 0xf);
  if (first < 0xa0) return readArray(from, first & 0xf);
  if (first < 0xc0) return TEXT.decode(from.bytes(first & 0x1f));
  if (first >= 0xe0) return first - 0x100;
  const { view } = from;
  const next = (size) => (from.at += size) - size;
  switch (first) {
    case 0xc0: return null;
    case 0xc2: return false;
    case 0xc3: return true;
    case 0xc4: case 0xc5: case 0xc6: return from.bytes(from.number(1 << (first - 0xc4)));
    case 0xc7: case 0xc8: case 0xc9: return readExtension(from, from.number(1 << (first - 0xc7)));
    case 0xca: return view.getFloat32(next(4));
    case 0xcb: return view.getFloat64(next(8));
    case 0xcc: case 0xcd: case 0xce: return from.number(1 << (first - 0xcc));
    case 0xcf: return small(view.getBigUint64(next(8)));
    case 0xd0: return view.getInt8(next(1));
    case 0xd1: return view.getInt16(next(2));
    case 0xd2: return view.getInt32(next(4));
    case 0xd3: return small(view.getBigInt64(next(8)));
    case 0xd4: case 0xd5: case 0xd6: case 0xd7: case 0xd8: return readExtension(from, 1 << (first - 0xd4));
    case 0xd9: case 0xda: case 0xdb: return TEXT.decode(from.bytes(from.number(1 << (first - 0xd9))));
    case 0xdc: case 0xdd: return readArray(from, from.number(2 << (first - 0xdc)));
    case 0xde: case 0xdf: return readMap(from, from.number(2 << (first - 0xde)));
    default: throw new TypeError(`0x${first.toString(16)} begins nothing`);
  }
}

/** A number where that is exact. */
function small(value) {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function readArray(from, length) {
  const array = [];
  for (let i = 0; i < length; i++) array.push(read(from));
  return array;
}

function readMap(from, length) {
  const members = [];
  for (let i = 0; i < length; i++) members.push([read(from), read(from)]);
  return Object.fromEntries(members);
}

function readExtension(from, length) {
  const type = from.number(1);
  const bytes = from.bytes(length);
  if (type !== 0xff) return bytes;
  const view = new DataView(bytes.buffer);
  if (length === 4) return new Date(view.getUint32(0) * 1000);
  if (length === 8) {
    const both = view.getBigUint64(0);
    return new Date(Number(both & 0x3ffffffffn) * 1000 + Number(both >> 34n) / 1e6);
  }
  return new Date(Number(view.getBigInt64(4)) * 1000 + view.getUint32(0) / 1e6);
}
