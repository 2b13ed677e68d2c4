// Drawing: the words' dots pixel by pixel, which is fast on any machine, and all else with the canvas's own lines and text.

class Painter {
  constructor(canvas, data, labels) {
    Object.assign(this, { canvas, data, labels, ratio: 1, stamps: new Map() });
    this.context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  }

  resize(view) {
    this.ratio = Math.min(devicePixelRatio || 1, 2);
    this.canvas.width = Math.round(view.width * this.ratio);
    this.canvas.height = Math.round(view.height * this.ratio);
    this.image = this.context.createImageData(this.canvas.width, this.canvas.height);
    this.pixels = new Uint32Array(this.image.data.buffer);
  }

  // Dots grow as the map gets nearer, as long as they have room.
  radius(view) {
    const room = Math.sqrt((view.width * view.height) / this.data.words.length) * view.zoom;
    return Math.min(Math.max(room / 9, 1.3), 4.5);
  }

  paint(state, view, theme) {
    const radius = this.radius(view);
    this.dots(state, view, theme, radius);
    this.context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    this.lines(state, view, theme);
    this.rings(state, view, theme, radius);
    this.words(state, view, theme, radius);
    this.loop(state.loop, theme);
    this.axes(view, theme);
  }

  // From the rarest word to the most frequent, which so lies on top.
  dots(state, view, theme, radius) {
    const { pixels, canvas: { width, height } } = this;
    const stamp = this.stamp(Math.round(radius * this.ratio * 4) / 4);
    const edge = stamp.reach + 1;
    pixels.fill(pixel(channels(theme.paper)));
    for (let row = state.colours.length - 1; row >= 0; row--) {
      const x = Math.round(view.screenX(state.positions[2 * row]) * this.ratio);
      const y = Math.round(view.screenY(state.positions[2 * row + 1]) * this.ratio);
      if (x < edge || y < edge || x >= width - edge || y >= height - edge) continue;
      for (let i = 0; i < stamp.covers.length; i++) {
        const at = (y + stamp.dy[i]) * width + x + stamp.dx[i];
        pixels[at] = stamp.covers[i] === 256 ? state.colours[row] : blend(pixels[at], state.colours[row], stamp.covers[i]);
      }
    }
    this.context.putImageData(this.image, 0, 0);
  }

  // A dot's pixels, and how much of each (of 256) it covers.
  stamp(radius) {
    if (!this.stamps.has(radius)) {
      const [dx, dy, covers] = [[], [], []];
      const reach = Math.ceil(radius);
      for (let y = -reach; y <= reach; y++) {
        for (let x = -reach; x <= reach; x++) {
          const cover = Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(x, y)));
          if (cover > 0) { dx.push(x); dy.push(y); covers.push(Math.round(cover * 256)); }
        }
      }
      this.stamps.set(radius, { dx, dy, covers, reach });
    }
    return this.stamps.get(radius);
  }

  // What the axes show, and where the numbers mean something, ticks.
  axes(view, theme) {
    const { context, data: { axes, measured } } = this;
    context.font = "11px system-ui, sans-serif";
    context.fillStyle = theme.paper;
    context.fillRect(0, view.height - EDGE, view.width, EDGE);
    context.fillRect(0, 0, EDGE, view.height - EDGE);
    if (measured) this.ticks(view, theme);
    this.text(`${axes[0]} →`, 10, view.height - 10, theme, theme.soft);
    context.save();
    context.translate(12, view.height - 34);
    context.rotate(-Math.PI / 2);
    this.text(`${axes[1]} →`, 0, 0, theme, theme.soft);
    context.restore();
  }

  ticks(view, theme) {
    const step = roundStep(110 / view.scale);
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const { context } = this;
    context.strokeStyle = theme.line;
    context.lineWidth = 1;
    context.beginPath();
    for (let n = Math.ceil(view.mapX(EDGE) / step); view.screenX(n * step) < view.width; n++) {
      const x = Math.round(view.screenX(n * step)) + 0.5;
      context.moveTo(x, view.height);
      context.lineTo(x, view.height - 5);
      this.text((n * step).toFixed(digits), x + 3, view.height - 24, theme, theme.soft);
    }
    for (let n = Math.ceil(view.mapY(view.height - EDGE) / step); view.screenY(n * step) > 0; n++) {
      const y = Math.round(view.screenY(n * step)) + 0.5;
      context.moveTo(0, y);
      context.lineTo(5, y);
      this.text((n * step).toFixed(digits), 20, y, theme, theme.soft);
    }
    context.stroke();
  }

  // From the word in focus to its neighbours; on a map of changes, from where words were to where they are.
  lines(state, view, theme) {
    const { context } = this;
    context.strokeStyle = theme.mark;
    context.lineWidth = 1;
    context.globalAlpha = 0.55;
    context.beginPath();
    const to = state.positions;
    for (const row of state.focus < 0 ? [] : state.neighbours) {
      context.moveTo(view.screenX(to[2 * state.focus]), view.screenY(to[2 * state.focus + 1]));
      context.lineTo(view.screenX(to[2 * row]), view.screenY(to[2 * row + 1]));
    }
    for (const row of state.focus < 0 || !state.start ? state.moved : [state.focus]) this.path(context, view, state.start, to, row);
    context.stroke();
    context.globalAlpha = 1;
  }

  path(context, view, start, end, row) {
    context.moveTo(view.screenX(start[2 * row]), view.screenY(start[2 * row + 1]));
    context.lineTo(view.screenX(end[2 * row]), view.screenY(end[2 * row + 1]));
  }

  rings(state, view, theme, radius) {
    const { context } = this;
    for (const row of state.strong) {
      const focus = row === state.focus;
      context.beginPath();
      context.arc(view.screenX(state.positions[2 * row]), view.screenY(state.positions[2 * row + 1]), radius + (focus ? 4 : 2), 0, 7);
      context.lineWidth = focus ? 2.5 : 1.5;
      context.strokeStyle = focus ? theme.mark : theme.ink;
      context.stroke();
    }
  }

  words(state, view, theme, radius) {
    for (const label of this.labels.place(this.context, view, state.positions, state.strong, radius)) {
      this.context.font = FONT[label.font];
      const colour = label.row === state.focus ? theme.mark : theme.ink;
      this.text(this.labels.texts[label.row], label.x, label.y + label.height / 2, theme, colour);
    }
  }

  // Text with a rim of paper, so that it can be read over dots.
  text(text, x, y, theme, colour) {
    const { context } = this;
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.lineWidth = 3;
    context.strokeStyle = theme.paper;
    context.strokeText(text, x, y);
    context.fillStyle = colour;
    context.fillText(text, x, y);
  }

  loop(points, theme) {
    if (points.length < 2) return;
    const { context } = this;
    context.beginPath();
    for (const [x, y] of points) context.lineTo(x, y);
    context.closePath();
    context.fillStyle = context.strokeStyle = theme.mark;
    context.globalAlpha = 0.15;
    context.fill();
    context.globalAlpha = 1;
    context.lineWidth = 1.5;
    context.stroke();
  }
}

// One pixel over another, `cover` 256ths of it.
function blend(under, over, cover) {
  const part = (shift) => {
    const below = (under >> shift) & 255;
    return (below + ((((over >> shift) & 255) - below) * cover >> 8)) << shift;
  };
  return (0xff000000 | part(16) | part(8) | part(0)) >>> 0;
}

// The least of 1, 2, 5, 10, … (and their tenths) that is not below a number.
function roundStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= least * 0.999);
}
