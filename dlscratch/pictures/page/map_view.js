// Where the map is on the screen: a scale and the place of the map's origin, in CSS pixels; y goes up on the map.

const FLIGHT = 350; // milliseconds
const EDGE = 38; // the strip for the axes at the left and below
const ROOM = { left: EDGE + 12, right: 60, top: 16, bottom: EDGE + 16 }; // for dots and their labels, in the whole view

class View {
  constructor() {
    Object.assign(this, { width: 1, height: 1, scale: 1, x: 0, y: 0, whole: 1, flight: null });
  }

  screenX(x) { return this.x + x * this.scale; }
  screenY(y) { return this.y - y * this.scale; }
  mapX(x) { return (x - this.x) / this.scale; }
  mapY(y) { return (this.y - y) / this.scale; }

  // How much nearer this is than the view of the whole map.
  get zoom() { return this.scale / this.whole; }

  resize(width, height, bounds) {
    const first = this.width === 1;
    const [x, y, zoom] = [this.mapX(this.width / 2), this.mapY(this.height / 2), this.zoom];
    Object.assign(this, { width, height });
    this.whole = this.fitting(bounds).scale;
    Object.assign(this, first ? this.fitting(bounds) : this.centred(x, y, this.whole * zoom));
  }

  fitting({ left, right, bottom, top }) {
    const across = Math.max(1, this.width - ROOM.left - ROOM.right);
    const up = Math.max(1, this.height - ROOM.top - ROOM.bottom);
    const scale = Math.min(across / (right - left), up / (top - bottom));
    const { x, y } = this.centred((left + right) / 2, (bottom + top) / 2, scale);
    return { scale, x: x + (ROOM.left - ROOM.right) / 2, y: y + (ROOM.top - ROOM.bottom) / 2 };
  }

  centred(x, y, scale) {
    return { scale, x: this.width / 2 - x * scale, y: this.height / 2 + y * scale };
  }

  pan(dx, dy) {
    this.flight = null;
    this.x += dx;
    this.y += dy;
  }

  zoomAt(x, y, factor) {
    this.flight = null;
    const scale = Math.min(Math.max(this.scale * factor, this.whole / 4), this.whole * 2000);
    const [mapX, mapY] = [this.mapX(x), this.mapY(y)];
    Object.assign(this, { scale, x: x - mapX * scale, y: y + mapY * scale });
  }

  // Go somewhere, smoothly unless the reader's system asks for less motion.
  fly(to) {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) Object.assign(this, to);
    else this.flight = { from: { scale: this.scale, x: this.x, y: this.y }, to, start: performance.now() };
  }

  advance(now) {
    if (!this.flight) return;
    const { from, to, start } = this.flight;
    const t = Math.min(1, Math.max(0, (now - start) / FLIGHT));
    const share = t * t * (3 - 2 * t);
    for (const key of ["scale", "x", "y"]) this[key] = from[key] + (to[key] - from[key]) * share;
    if (t === 1) this.flight = null;
  }
}

function boundsOf(...tables) {
  const bounds = { left: Infinity, right: -Infinity, bottom: Infinity, top: -Infinity };
  for (const positions of tables) {
    for (let i = 0; i < positions.length; i += 2) {
      bounds.left = Math.min(bounds.left, positions[i]);
      bounds.right = Math.max(bounds.right, positions[i]);
      bounds.bottom = Math.min(bounds.bottom, positions[i + 1]);
      bounds.top = Math.max(bounds.top, positions[i + 1]);
    }
  }
  if (bounds.left === bounds.right) { bounds.left -= 1; bounds.right += 1; }
  if (bounds.bottom === bounds.top) { bounds.bottom -= 1; bounds.top += 1; }
  return bounds;
}
