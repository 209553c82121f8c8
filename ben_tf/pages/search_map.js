"use strict";
// A map of all patches of an index: points in WebGL, or in plain canvas where
// there is none; coasts, borders, query and hits on a canvas above.

const RADIANS = Math.PI / 180;

// Longitude and latitude in degrees to Mercator's plane, in radians.
function mercator(longitude, latitude) {
  const limited = Math.max(-85, Math.min(85, latitude));
  return [longitude * RADIANS,
    Math.log(Math.tan(Math.PI / 4 + limited * RADIANS / 2))];
}

function degrees(x, y) {
  return [x / RADIANS, (2 * Math.atan(Math.exp(y)) - Math.PI / 2) / RADIANS];
}

class PatchMap {
  // `callbacks.pick(row)`, `callbacks.box([w, s, e, n])`, `callbacks.moved()`.
  constructor(element, callbacks) {
    this.element = element;
    this.callbacks = callbacks;
    this.points = element.querySelector("#points");
    this.marks = element.querySelector("#marks");
    this.count = 0;
    this.outlines = [];
    this.asked = [];
    this.hits = [];
    this.center = [0.2, 0.9];
    this.scale = 400;  // Pixels a radian.
    this.gl = this.points.getContext("webgl", {antialias: false});
    if (this.gl) this.prepare();
    else this.flat = this.points.getContext("2d");
    this.pen = this.marks.getContext("2d");
    this.listen();
    new ResizeObserver(() => this.draw()).observe(element);
  }

  prepare() {
    const gl = this.gl;
    const shader = (kind, source) => {
      const made = gl.createShader(kind);
      gl.shaderSource(made, source);
      gl.compileShader(made);
      return made;
    };
    this.program = gl.createProgram();
    gl.attachShader(this.program, shader(gl.VERTEX_SHADER, `
      attribute vec2 place; attribute float may;
      uniform vec2 center; uniform vec2 scale; uniform float size;
      uniform float layer; varying float color;
      void main() {
        color = may;
        // Those that are filtered out lie below the others.
        bool shown = may == layer;
        gl_Position = shown ? vec4((place - center) * scale, 0.0, 1.0)
                            : vec4(9.0, 9.0, 9.0, 1.0);
        gl_PointSize = may > 0.5 ? size : max(1.0, size * 0.6);
      }`));
    gl.attachShader(this.program, shader(gl.FRAGMENT_SHADER, `
      precision mediump float; varying float color;
      void main() {
        gl_FragColor = color > 0.5 ? vec4(0.23, 0.51, 0.77, 1.0)
                                   : vec4(0.61, 0.64, 0.69, 1.0);
      }`));
    gl.linkProgram(this.program);
    gl.useProgram(this.program);
    this.buffers = {place: gl.createBuffer(), may: gl.createBuffer()};
  }

  // Degrees, Float32Array each; NaN lies nowhere.
  setPoints(longitudes, latitudes) {
    this.count = longitudes.length;
    this.places = new Float32Array(2 * this.count);
    for (let row = 0; row < this.count; row++) {
      const [x, y] = mercator(longitudes[row], latitudes[row]);
      this.places[2 * row] = x;
      this.places[2 * row + 1] = y;
    }
    this.may = new Uint8Array(this.count).fill(1);
    this.upload("place", this.places, 2, "FLOAT");
    this.setMay(this.may);
  }

  setMay(may) {
    this.may = may;
    this.upload("may", may, 1, "UNSIGNED_BYTE");
    this.draw();
  }

  upload(name, values, size, type) {
    if (!this.gl) return;
    const gl = this.gl;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    const place = gl.getAttribLocation(this.program, name);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, size, gl[type], false, 0, 0);
  }

  // [longitude, latitude] each, in degrees.
  setMarks(asked, hits) {
    this.asked = asked.map((place) => mercator(...place));
    this.hits = hits.map((place) => mercator(...place));
    this.draw();
  }

  showAll() {
    let [west, south, east, north] = [Infinity, Infinity, -Infinity, -Infinity];
    for (let row = 0; row < this.count; row++) {
      const x = this.places[2 * row], y = this.places[2 * row + 1];
      if (Number.isNaN(x) || Number.isNaN(y)) continue;
      west = Math.min(west, x); east = Math.max(east, x);
      south = Math.min(south, y); north = Math.max(north, y);
    }
    if (!(west <= east)) return;
    const {clientWidth: width, clientHeight: height} = this.element;
    this.center = [(west + east) / 2, (south + north) / 2];
    this.scale = Math.min(4e4, 0.9 * Math.min(width / (east - west + 1e-9),
                                             height / (north - south + 1e-9)));
    this.moved();
  }

  showPlace(longitude, latitude) {
    this.center = mercator(longitude, latitude);
    this.scale = Math.max(this.scale, 8000);
    this.moved();
  }

  // [longitude, latitude, pixels a radian], for the address.
  get view() {
    const [longitude, latitude] = degrees(...this.center);
    return [longitude.toFixed(4), latitude.toFixed(4), Math.round(this.scale)];
  }

  set view([longitude, latitude, scale]) {
    this.center = mercator(longitude, latitude);
    this.scale = Math.max(20, Math.min(1e7, scale));
    this.draw();
  }

  moved() {
    this.draw();
    this.callbacks.moved();
  }

  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.drawNow();
    });
  }

  drawNow() {
    const ratio = window.devicePixelRatio || 1;
    const {clientWidth: width, clientHeight: height} = this.element;
    for (const canvas of [this.points, this.marks]) {
      if (canvas.width !== width * ratio || canvas.height !== height * ratio) {
        canvas.width = width * ratio;
        canvas.height = height * ratio;
      }
    }
    // Few patches are drawn large enough to be seen and clicked; the larger the
    // scale, the larger a patch.
    const least = Math.max(2, Math.min(5, 90 / Math.sqrt(this.count)));
    const size = Math.max(least, Math.min(9, this.scale / 2500)) * ratio;
    if (this.gl) this.drawPoints(width, height, size);
    else this.drawFlat(width, height, ratio, size);
    this.drawMarks(ratio);
    document.documentElement.dataset.drawn = String(this.count);
  }

  drawPoints(width, height, size) {
    const gl = this.gl, at = (name) => gl.getUniformLocation(this.program, name);
    gl.viewport(0, 0, this.points.width, this.points.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(at("center"), ...this.center);
    gl.uniform2f(at("scale"), 2 * this.scale / width, 2 * this.scale / height);
    gl.uniform1f(at("size"), size);
    for (const layer of [0, 1]) {
      gl.uniform1f(at("layer"), layer);
      gl.drawArrays(gl.POINTS, 0, this.count);
    }
  }

  drawFlat(width, height, ratio, size) {
    this.flat.clearRect(0, 0, width * ratio, height * ratio);
    for (const layer of [0, 1]) {
      this.flat.fillStyle = layer ? "#3b82c4" : "#9ca3af";
      for (let row = 0; row < this.count; row++) {
        if (this.may[row] !== layer) continue;
        const [x, y] = this.toScreen(this.places[2 * row],
          this.places[2 * row + 1]);
        this.flat.fillRect(x * ratio - size / 2, y * ratio - size / 2, size, size);
      }
    }
  }

  toScreen(x, y) {
    return [this.element.clientWidth / 2 + (x - this.center[0]) * this.scale,
      this.element.clientHeight / 2 - (y - this.center[1]) * this.scale];
  }

  toPlane(left, top) {
    return [
      this.center[0] + (left - this.element.clientWidth / 2) / this.scale,
      this.center[1] - (top - this.element.clientHeight / 2) / this.scale];
  }

  drawMarks(ratio) {
    const pen = this.pen;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, this.element.clientWidth, this.element.clientHeight);
    pen.strokeStyle = "#6b7280";
    pen.lineWidth = 1;
    pen.beginPath();
    for (const line of this.outlines) {
      line.forEach(([x, y], number) => {
        const place = this.toScreen(x, y);
        if (number) pen.lineTo(...place); else pen.moveTo(...place);
      });
    }
    pen.stroke();
    this.hits.forEach((place, number) => {
      const [x, y] = this.toScreen(...place);
      pen.beginPath();
      pen.arc(x, y, 7, 0, 2 * Math.PI);
      pen.fillStyle = "#009e73";
      pen.fill();
      pen.strokeStyle = "#ffffff";
      pen.lineWidth = 1.5;
      pen.stroke();
      pen.fillStyle = "#ffffff";
      pen.font = "bold 9px sans-serif";
      pen.textAlign = "center";
      pen.fillText(String(number + 1), x, y + 3);
    });
    pen.fillStyle = "#d55e00";
    for (const place of this.asked) {
      const [x, y] = this.toScreen(...place);
      pen.fillRect(x - 6, y - 6, 12, 12);
      pen.strokeStyle = "#ffffff";
      pen.strokeRect(x - 6, y - 6, 12, 12);
    }
    if (this.box) {
      const [x0, y0, x1, y1] = this.box;
      pen.strokeStyle = "#d55e00";
      pen.setLineDash([6, 4]);
      pen.strokeRect(x0, y0, x1 - x0, y1 - y0);
      pen.setLineDash([]);
    }
  }

  // The nearest patch within `reach` pixels; those that may be hits first.
  nearest(left, top, reach) {
    const [x, y] = this.toPlane(left, top);
    const limit = (reach / this.scale) ** 2;
    let best = -1, bestRank = Infinity;
    for (let row = 0; row < this.count; row++) {
      const squared = (this.places[2 * row] - x) ** 2
        + (this.places[2 * row + 1] - y) ** 2;
      const rank = squared + (this.may[row] ? 0 : limit);
      if (squared <= limit && rank < bestRank) {
        best = row;
        bestRank = rank;
      }
    }
    return best;
  }

  zoom(factor, left, top) {
    const [x, y] = this.toPlane(left, top);
    const scale = Math.max(20, Math.min(1e7, this.scale * factor));
    const share = this.scale / scale;
    this.center = [x + (this.center[0] - x) * share,
      y + (this.center[1] - y) * share];
    this.scale = scale;
    this.moved();
  }

  listen() {
    const element = this.element;
    const place = (event) => {
      const frame = element.getBoundingClientRect();
      return [event.clientX - frame.left, event.clientY - frame.top];
    };
    const down = new Map();
    let start = null, has_moved = false, spread = 0;
    element.addEventListener("pointerdown", (event) => {
      if (event.target.closest("button")) return;
      element.setPointerCapture(event.pointerId);
      down.set(event.pointerId, place(event));
      start = {at: place(event), center: this.center, box: event.shiftKey};
      has_moved = false;
      spread = 0;
    });
    element.addEventListener("pointermove", (event) => {
      if (!down.has(event.pointerId)) return;
      down.set(event.pointerId, place(event));
      if (down.size === 2) {
        const [a, b] = [...down.values()];
        const now = Math.hypot(a[0] - b[0], a[1] - b[1]);
        if (spread) this.zoom(now / spread, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
        spread = now;
        has_moved = true;
        return;
      }
      const [left, top] = place(event);
      const moved = [left - start.at[0], top - start.at[1]];
      has_moved = has_moved || Math.hypot(...moved) > 4;
      if (!has_moved) return;
      if (start.box) this.box = [...start.at, left, top];
      else this.center = [start.center[0] - moved[0] / this.scale,
        start.center[1] + moved[1] / this.scale];
      this.draw();
    });
    element.addEventListener("pointerup", (event) => {
      if (!down.delete(event.pointerId)) return;
      if (down.size) {
        // One of two fingers is left: it drags from where it is.
        start = {at: [...down.values()][0], center: this.center, box: false};
        return;
      }
      const at = place(event);
      if (!has_moved) {
        const row = this.nearest(...at, 14);
        if (row >= 0) this.callbacks.pick(row);
      } else if (this.box) {
        const [x0, y0] = degrees(...this.toPlane(this.box[0], this.box[1]));
        const [x1, y1] = degrees(...this.toPlane(this.box[2], this.box[3]));
        this.box = null;
        this.callbacks.box([Math.min(x0, x1), Math.min(y0, y1),
          Math.max(x0, x1), Math.max(y0, y1)]);
      } else this.moved();
    });
    element.addEventListener("pointercancel", (event) => {
      down.delete(event.pointerId);
      this.box = null;
    });
    element.addEventListener("wheel", (event) => {
      event.preventDefault();
      // Some browsers count in lines.
      const pixels = event.deltaY * (event.deltaMode ? 20 : 1);
      this.zoom(Math.exp(-pixels / 400), ...place(event));
    }, {passive: false});
    element.addEventListener("keydown", (event) => {
      if (event.target !== element) return;
      const middle = [element.clientWidth / 2, element.clientHeight / 2];
      const steps = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1],
        ArrowDown: [0, -1]};
      if (steps[event.key]) {
        const [x, y] = steps[event.key];
        this.center = [this.center[0] + 60 * x / this.scale,
          this.center[1] + 60 * y / this.scale];
        this.moved();
      } else if (event.key === "+" || event.key === "=") this.zoom(1.5, ...middle);
      else if (event.key === "-") this.zoom(1 / 1.5, ...middle);
      else if (event.key === "Enter") {
        const row = this.nearest(...middle, Infinity);
        if (row >= 0) this.callbacks.pick(row);
      } else return;
      event.preventDefault();
    });
  }
}
