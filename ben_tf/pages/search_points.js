"use strict";
// The patches of a map, in an order in which neighbours stand together (Morton's
// Z), so that what is out of view is passed over. Seen from far above, hundreds
// of thousands of patches hide each other: then the cells of a grid stand for
// them, the stronger, the more of their ground patches cover.

// Cells of the finest grid along each side; 30 bits of order and 23 of a row
// are what a double holds.
const KEY_BITS = 15, ROW_BITS = 23, CHUNK = 1024;
// Side of a patch at the equator of Mercator's plane, radians.
const PATCH_SIDE = 1200 / 6378137;

function spread(number) {
  let bits = number;
  bits = (bits | (bits << 8)) & 0x00ff00ff;
  bits = (bits | (bits << 4)) & 0x0f0f0f0f;
  bits = (bits | (bits << 2)) & 0x33333333;
  return (bits | (bits << 1)) & 0x55555555;
}

function gather(bits) {
  let number = bits & 0x55555555;
  number = (number | (number >> 1)) & 0x33333333;
  number = (number | (number >> 2)) & 0x0f0f0f0f;
  number = (number | (number >> 4)) & 0x00ff00ff;
  return (number | (number >> 8)) & 0x0000ffff;
}

// What is drawn in one go. `may`: 1 for what may be a hit; `weight`: how
// strongly, up to 255.
class Dots {
  constructor(places) {
    this.places = places;
    this.count = places.length / 2;
    this.may = new Uint8Array(this.count);
    this.weight = new Uint8Array(this.count).fill(255);
    // West, south, east and north of each chunk.
    this.boxes = new Float32Array(4 * Math.ceil(this.count / CHUNK));
    for (let start = 0, at = 0; start < this.count; start += CHUNK, at += 4) {
      const box = [Infinity, Infinity, -Infinity, -Infinity];
      const end = Math.min(start + CHUNK, this.count);
      for (let dot = start; dot < end; dot++) {
        const x = places[2 * dot], y = places[2 * dot + 1];
        if (x < box[0]) box[0] = x;
        if (y < box[1]) box[1] = y;
        if (x > box[2]) box[2] = x;
        if (y > box[3]) box[3] = y;
      }
      this.boxes.set(box, at);
    }
  }

  // Calls `use(start, count)` for each run of dots that may lie in a box.
  within(west, south, east, north, use) {
    let start = -1;
    const num_chunks = this.boxes.length / 4;
    for (let chunk = 0; chunk <= num_chunks; chunk++) {
      const at = 4 * chunk;
      const is_seen = chunk < num_chunks && this.boxes[at] <= east
        && this.boxes[at + 2] >= west && this.boxes[at + 1] <= north
        && this.boxes[at + 3] >= south;
      if (is_seen && start < 0) start = chunk * CHUNK;
      if (!is_seen && start >= 0) {
        use(start, Math.min(chunk * CHUNK, this.count) - start);
        start = -1;
      }
    }
  }
}

class Patches {
  // Degrees, Float32Array each; NaN lies nowhere.
  constructor(longitudes, latitudes) {
    const count = longitudes.length, own = new Float32Array(2 * count);
    this.box = [Infinity, Infinity, -Infinity, -Infinity];
    for (let row = 0; row < count; row++) {
      own.set(mercator(longitudes[row], latitudes[row]), 2 * row);
      const x = own[2 * row], y = own[2 * row + 1];
      if (Number.isNaN(x) || Number.isNaN(y)) continue;
      if (x < this.box[0]) this.box[0] = x;
      if (y < this.box[1]) this.box[1] = y;
      if (x > this.box[2]) this.box[2] = x;
      if (y > this.box[3]) this.box[3] = y;
    }
    const [west, south, east, north] = this.box;
    this.step = Math.max(east - west, north - south, 1e-9) * (1 + 1e-6)
      / 2 ** KEY_BITS;
    const order = new Float64Array(count);
    let known = 0;
    for (let row = 0; row < count; row++) {
      const x = own[2 * row], y = own[2 * row + 1];
      if (Number.isNaN(x) || Number.isNaN(y)) continue;
      const key = spread((x - west) / this.step)
        | (spread((y - south) / this.step) << 1);
      order[known++] = key * 2 ** ROW_BITS + row;
    }
    const sorted = order.subarray(0, known).sort();
    this.rows = new Uint32Array(known);
    this.keys = new Uint32Array(known);
    const places = new Float32Array(2 * known);
    for (let dot = 0; dot < known; dot++) {
      const key = Math.floor(sorted[dot] / 2 ** ROW_BITS);
      const row = sorted[dot] - key * 2 ** ROW_BITS;
      this.keys[dot] = key;
      this.rows[dot] = row;
      places[2 * dot] = own[2 * row];
      places[2 * dot + 1] = own[2 * row + 1];
    }
    this.dots = new Dots(places);
    this.levels = new Map();
    this.setMay(new Uint8Array(count).fill(1));
  }

  // Which rows may be hits; 1 each.
  setMay(may) {
    const {dots, rows} = this;
    for (let dot = 0; dot < dots.count; dot++) dots.may[dot] = may[rows[dot]];
    for (const cells of this.levels.values()) this.weigh(cells);
  }

  // The cells of a grid, `size` radians wide or up to twice that.
  cells(size) {
    const level = Math.max(0, Math.min(KEY_BITS,
      Math.ceil(Math.log2(size / this.step))));
    if (!this.levels.has(level)) this.levels.set(level, this.gather(level));
    return this.levels.get(level);
  }

  gather(level) {
    const {keys, step} = this, side = step * 2 ** level;
    const starts = [];
    for (let dot = 0, last = -1; dot < keys.length; dot++) {
      const key = keys[dot] >>> (2 * level);
      if (key !== last) starts.push(dot);
      last = key;
    }
    const places = new Float32Array(2 * starts.length);
    starts.forEach((dot, cell) => {
      const key = keys[dot] >>> (2 * level);
      places[2 * cell] = this.box[0] + (gather(key) + 0.5) * side;
      places[2 * cell + 1] = this.box[1] + (gather(key >>> 1) + 0.5) * side;
    });
    const cells = Object.assign(new Dots(places),
      {side, starts: Uint32Array.from([...starts, keys.length])});
    this.weigh(cells);
    return cells;
  }

  // Which cells hold what may be a hit, and how much of their ground it covers.
  weigh(cells) {
    const {starts, places, side} = cells, {may} = this.dots;
    for (let cell = 0; cell < cells.count; cell++) {
      let num = 0;
      for (let dot = starts[cell]; dot < starts[cell + 1]; dot++) num += may[dot];
      cells.may[cell] = num > 0 ? 1 : 0;
      const patch = PATCH_SIDE * Math.cosh(places[2 * cell + 1]) / side;
      const share = (num || starts[cell + 1] - starts[cell]) * patch * patch;
      cells.weight[cell] = 255 * Math.min(1, 0.25 + 0.75 * share);
    }
    cells.is_new = true;
  }

  // The row that is nearest to a place, up to `reach` radians; those that may
  // be hits first. -1 for none.
  nearest(x, y, reach) {
    const {places, may, boxes, count} = this.dots, limit = reach * reach;
    let best = -1, best_rank = Infinity;
    for (let start = 0, at = 0; start < count; start += CHUNK, at += 4) {
      const across = Math.max(boxes[at] - x, x - boxes[at + 2], 0);
      const along = Math.max(boxes[at + 1] - y, y - boxes[at + 3], 0);
      const least = across * across + along * along;
      if (least > limit || least >= best_rank) continue;
      const end = Math.min(start + CHUNK, count);
      for (let dot = start; dot < end; dot++) {
        const squared = (places[2 * dot] - x) ** 2 + (places[2 * dot + 1] - y) ** 2;
        const rank = squared + (may[dot] ? 0 : limit);
        if (squared <= limit && rank < best_rank) {
          best = dot;
          best_rank = rank;
        }
      }
    }
    return best < 0 ? -1 : this.rows[best];
  }
}
