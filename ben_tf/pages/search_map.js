"use strict";
// A map of all patches of an index: points in WebGL, or in plain canvas where
// there is none; coasts, borders, query and hits on a canvas above. What is
// drawn of the patches stands in search_points.js.

const RADIANS = Math.PI / 180;
// Fewer patches are drawn one by one from however far above.
const MANY = 20000;

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
  // `callbacks.place(longitude, latitude)` says whether it has taken a click; if
  // not, `pick(row)` gets the patch there. `box([w, s, e, n])`, `moved()`.
  constructor(element, callbacks) {
    this.element = element;
    this.callbacks = callbacks;
    this.points = element.querySelector("#points");
    this.marks = element.querySelector("#marks");
    this.count = 0;
    this.patches = null;
    this.outlines = new Path2D();
    this.scene = [];
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
      attribute vec2 place; attribute float may; attribute float weight;
      uniform vec2 center; uniform vec2 scale; uniform vec2 sizes;
      varying vec4 color;
      void main() {
        bool is_in = may > 0.5;
        // Those that are filtered out lie below the others.
        gl_Position = vec4((place - center) * scale, is_in ? 0.0 : 0.5, 1.0);
        gl_PointSize = is_in ? sizes.x : sizes.y;
        color = vec4(is_in ? vec3(0.23, 0.51, 0.77) : vec3(0.61, 0.64, 0.69),
                     1.0) * weight;
      }`));
    gl.attachShader(this.program, shader(gl.FRAGMENT_SHADER, `
      precision mediump float; varying vec4 color;
      void main() { gl_FragColor = color; }`));
    gl.linkProgram(this.program);
    gl.useProgram(this.program);
    gl.enable(gl.DEPTH_TEST);
    gl.depthFunc(gl.LEQUAL);
    this.uniforms = {};
    for (const name of ["center", "scale", "sizes"])
      this.uniforms[name] = gl.getUniformLocation(this.program, name);
    this.buffers = new Map();
  }

  // Degrees, Float32Array each; NaN lies nowhere.
  setPoints(longitudes, latitudes) {
    this.count = longitudes.length;
    this.patches = new Patches(longitudes, latitudes);
    if (this.gl)
      for (const buffers of this.buffers.values())
        for (const buffer of Object.values(buffers)) this.gl.deleteBuffer(buffer);
    this.buffers = new Map();
    this.may = new Uint8Array(this.count).fill(1);
    this.draw();
  }

  setMay(may) {
    this.may = may;
    this.patches.setMay(may);
    this.patches.dots.is_new = true;
    this.draw();
  }

  // Hands what has changed to the graphics card, and says what is drawn next.
  bind(dots) {
    const gl = this.gl, is_known = this.buffers.has(dots);
    if (!is_known)
      this.buffers.set(dots, {place: gl.createBuffer(), may: gl.createBuffer(),
        weight: gl.createBuffer()});
    const buffers = this.buffers.get(dots);
    const use = (name, values, size, type, is_new) => {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffers[name]);
      if (is_new) gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
      const place = gl.getAttribLocation(this.program, name);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, size, type, name === "weight", 0, 0);
    };
    use("place", dots.places, 2, gl.FLOAT, !is_known);
    use("may", dots.may, 1, gl.UNSIGNED_BYTE, !is_known || dots.is_new);
    use("weight", dots.weight, 1, gl.UNSIGNED_BYTE, !is_known || dots.is_new);
    dots.is_new = false;
  }

  // Lines: a first point and the steps to the next ones, in hundredths of a
  // degree.
  setOutlines(lines) {
    this.outlines = new Path2D();
    for (const steps of lines) {
      let [x, y] = [0, 0];
      for (let place = 0; place < steps.length; place += 2) {
        x += steps[place];
        y += steps[place + 1];
        const point = mercator(x / 100, y / 100);
        if (place) this.outlines.lineTo(...point);
        else this.outlines.moveTo(...point);
      }
    }
    this.draw();
  }

  // Corners of what windows can be chosen of, [longitude, latitude] each.
  setScene(outline) {
    this.scene = outline.map((corner) => mercator(...corner));
    this.draw();
  }

  // [longitude, latitude] each, in degrees.
  setMarks(asked, hits) {
    this.asked = asked.map((place) => mercator(...place));
    this.hits = hits.map((place) => mercator(...place));
    this.draw();
  }

  showAll() {
    if (!this.patches) return;
    const [west, south, east, north] = this.patches.box;
    if (!(west <= east)) return;
    const {clientWidth: width, clientHeight: height} = this.element;
    // Buttons lie above, the legend below.
    const above = 44, below = 50, room = Math.max(50, height - above - below);
    this.scale = Math.min(4e4, 0.95 * Math.min(width / (east - west + 1e-9),
      room / (north - south + 1e-9)));
    this.center = [(west + east) / 2,
      (south + north) / 2 + (above - below) / 2 / this.scale];
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
    const {dots, size} = this.seen();
    this.element.classList.toggle("afar", Boolean(dots && dots.side));
    if (this.gl) this.drawPoints(dots, width, height, size * ratio);
    else this.drawFlat(dots, width, height, ratio, size * ratio);
    this.drawMarks(ratio);
    document.documentElement.dataset.drawn = String(this.count);
  }

  // What is drawn at this scale, and how large, in pixels: patches, or cells of
  // a grid where there are many and they are narrower than two pixels.
  seen() {
    if (!this.patches) return {dots: null, size: 0};
    const patch = PATCH_SIDE * Math.cosh(this.center[1]) * this.scale;
    if (this.count > MANY && patch < 2) {
      const dots = this.patches.cells(Math.max(1, patch) / this.scale);
      return {dots, size: Math.ceil(dots.side * this.scale)};
    }
    // Few patches are drawn large enough to be seen and clicked; the larger the
    // scale, the larger a patch.
    const least = Math.max(2, Math.min(5, 90 / Math.sqrt(this.count)));
    return {dots: this.patches.dots,
      size: Math.max(least, Math.min(9, this.scale / 2500))};
  }

  // Calls `use(start, count)` for the runs of dots that may be in view.
  inView(dots, width, height, use) {
    // Those whose centre lies outside reach into it.
    const margin = 10;
    const [west, north] = this.toPlane(-margin, -margin);
    const [east, south] = this.toPlane(width + margin, height + margin);
    dots.within(west, south, east, north, use);
  }

  drawPoints(dots, width, height, size) {
    const gl = this.gl, {center, scale, sizes} = this.uniforms;
    gl.viewport(0, 0, this.points.width, this.points.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    if (!dots) return;
    this.bind(dots);
    gl.uniform2f(center, ...this.center);
    gl.uniform2f(scale, 2 * this.scale / width, 2 * this.scale / height);
    gl.uniform2f(sizes, size, dots.side ? size : Math.max(1, size * 0.6));
    this.inView(dots, width, height,
      (start, count) => gl.drawArrays(gl.POINTS, start, count));
  }

  drawFlat(dots, width, height, ratio, size) {
    const pen = this.flat;
    pen.clearRect(0, 0, width * ratio, height * ratio);
    if (!dots) return;
    for (const layer of [0, 1]) {
      pen.fillStyle = layer ? "#3b82c4" : "#9ca3af";
      this.inView(dots, width, height, (start, count) => {
        for (let dot = start; dot < start + count; dot++) {
          if (dots.may[dot] !== layer) continue;
          const [x, y] = this.toScreen(dots.places[2 * dot],
            dots.places[2 * dot + 1]);
          pen.globalAlpha = dots.weight[dot] / 255;
          pen.fillRect(x * ratio - size / 2, y * ratio - size / 2, size, size);
        }
      });
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
    const [left, top] = this.toScreen(0, 0);
    pen.setTransform(ratio * this.scale, 0, 0, -ratio * this.scale, ratio * left,
      ratio * top);
    pen.strokeStyle = "#6b7280";
    pen.lineWidth = 1 / this.scale;
    pen.stroke(this.outlines);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.lineWidth = 1.5;
    if (this.scene.length) {
      pen.beginPath();
      for (const corner of this.scene) pen.lineTo(...this.toScreen(...corner));
      pen.closePath();
      pen.strokeStyle = "#d55e00";
      pen.stroke();
    }
    this.hits.forEach((place, number) => {
      const [x, y] = this.toScreen(...place);
      pen.beginPath();
      pen.arc(x, y, 7, 0, 2 * Math.PI);
      pen.fillStyle = "#009e73";
      pen.fill();
      pen.strokeStyle = "#ffffff";
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
    if (!this.patches) return -1;
    return this.patches.nearest(...this.toPlane(left, top), reach / this.scale);
  }

  choose(left, top, reach) {
    if (this.callbacks.place(...degrees(...this.toPlane(left, top)))) return;
    const row = this.nearest(left, top, reach);
    if (row >= 0) this.callbacks.pick(row);
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
      if (!has_moved) this.choose(...at, 14);
      else if (this.box) {
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
      else if (event.key === "Enter") this.choose(...middle, Infinity);
      else return;
      event.preventDefault();
    });
  }
}
