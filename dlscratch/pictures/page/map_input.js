// Mouse, touch, pen and keyboard on the map.

const CLOSE = 14; // CSS pixels between a pointer and the word it means
const STILL = 5; // a pointer that moved no further has clicked

class Input {
  constructor(canvas, view, actions) {
    Object.assign(this, { canvas, view, actions, pointers: new Map(), loop: null, travelled: 0 });
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", (event) => this.up(event));
    canvas.addEventListener("pointerleave", () => actions.hover(null));
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  down(event) {
    if (event.button > 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.place(event));
    this.travelled = this.pointers.size > 1 ? Infinity : 0;
    this.loop = this.pointers.size === 1 && (event.shiftKey || this.actions.lassoing()) ? [this.place(event)] : null;
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    const now = this.place(event);
    if (!before) return this.actions.hover(now);
    this.travelled += Math.hypot(now[0] - before[0], now[1] - before[1]);
    if (this.loop) this.actions.draw(this.loop = [...this.loop, now]);
    else if (this.pointers.size === 2) this.pinch(event.pointerId, before, now);
    else if (this.pointers.size === 1) this.view.pan(now[0] - before[0], now[1] - before[1]);
    this.pointers.set(event.pointerId, now);
    return this.actions.changed();
  }

  // Two fingers: the map follows both.
  pinch(id, before, now) {
    const [other] = [...this.pointers].filter(([key]) => key !== id).map(([, place]) => place);
    const apart = ([x, y]) => Math.hypot(x - other[0], y - other[1]) || 1;
    this.view.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    this.view.zoomAt((now[0] + other[0]) / 2, (now[1] + other[1]) / 2, apart(now) / apart(before));
  }

  up(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    const clicked = this.travelled <= STILL && event.type === "pointerup";
    if (this.loop && !clicked) this.actions.enclose(this.loop);
    else if (clicked) this.actions.click(this.place(event));
    this.loop = null;
  }

  wheel(event) {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === 1 ? 20 : 1);
    this.view.zoomAt(...this.place(event), Math.exp(-Math.min(Math.max(pixels, -240), 240) / (event.ctrlKey ? 100 : 400)));
    this.actions.changed();
  }

  key(event) {
    const steps = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    const factors = { "+": 1.3, "=": 1.3, "-": 1 / 1.3, _: 1 / 1.3 };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (steps[event.key]) this.view.pan(...steps[event.key]);
    else if (factors[event.key]) this.view.zoomAt(this.view.width / 2, this.view.height / 2, factors[event.key]);
    else if (event.key === "0") this.actions.whole();
    else if (event.key.toLowerCase() === "l") this.actions.toggleLasso();
    else return;
    event.preventDefault();
    this.actions.changed();
  }
}

// The word whose dot is closest to a place on the screen, or -1 if none is close.
function wordAt([x, y], view, positions) {
  let closest = -1;
  let least = CLOSE * CLOSE;
  for (let row = 0; 2 * row < positions.length; row++) {
    const dx = view.screenX(positions[2 * row]) - x;
    const dy = view.screenY(positions[2 * row + 1]) - y;
    const square = dx * dx + dy * dy;
    if (square < least) [closest, least] = [row, square];
  }
  return closest;
}

// The words whose dots are inside a closed line: a ray to the right crosses it an odd number of times.
function wordsInside(loop, view, positions) {
  const rows = [];
  for (let row = 0; 2 * row < positions.length; row++) {
    const x = view.screenX(positions[2 * row]);
    const y = view.screenY(positions[2 * row + 1]);
    let inside = false;
    for (let i = 0, j = loop.length - 1; i < loop.length; j = i++) {
      const [[ax, ay], [bx, by]] = [loop[i], loop[j]];
      if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
    }
    if (inside) rows.push(row);
  }
  return rows;
}
