// Which words are written where: the most frequent first, none over another. Places are kept in a grid that moves with
// the map, so a label stays while the map is dragged.

const CELL = { width: 12, height: 9 };
const LONGEST = 30; // letters of a label
const MARGIN = 260; // words just outside keep their places
const FONT = { plain: "12px system-ui, sans-serif", strong: "600 13px system-ui, sans-serif" };
const SIDES = [[1, 0], [-1, 0], [0, -1], [0, 1]]; // right, left, above, below the dot

// Text of at most so many letters: the panel has the whole of it.
function cut(text) {
  const letters = Array.from(text);
  return letters.length > LONGEST ? `${letters.slice(0, LONGEST - 1).join("")}…` : text;
}

class Labels {
  constructor(texts) {
    this.texts = texts;
    this.widths = { plain: new Float32Array(texts.length), strong: new Float32Array(texts.length) };
  }

  width(context, row, font) {
    const widths = this.widths[font];
    if (!widths[row]) {
      context.font = FONT[font];
      widths[row] = context.measureText(this.texts[row]).width + 1;
    }
    return widths[row];
  }

  // The labels to draw: those of `strong` rows at any side of their dots, then all others to the right.
  place(context, view, positions, strong, radius) {
    const grid = new Grid(view);
    const placed = [];
    const chosen = new Set(strong);
    for (const row of chosen) {
      const spot = this.spot(context, view, positions, row, radius);
      if (!spot) continue;
      const label = this.firstFree(grid, row, spot, this.width(context, row, "strong"), radius + 7);
      if (label) placed.push(label);
    }
    for (let row = 0; row < this.texts.length; row++) {
      const spot = this.spot(context, view, positions, row);
      if (!spot || chosen.has(row) || grid.taken(spot.x, spot.y)) continue;
      const box = { x: spot.x + radius + 3, y: spot.y - 8, width: this.width(context, row, "plain"), height: 16 };
      if (grid.claim(box.x - 8, box.y - 5, box.width + 24, box.height + 10)) placed.push({ row, font: "plain", ...box });
    }
    return placed;
  }

  spot(context, view, positions, row) {
    const x = view.screenX(positions[2 * row]);
    const y = view.screenY(positions[2 * row + 1]);
    const outside = x < -MARGIN || y < -MARGIN || x > view.width + MARGIN || y > view.height + MARGIN;
    return outside ? null : { x, y };
  }

  firstFree(grid, row, spot, width, away) {
    for (const [right, down] of SIDES) {
      const x = spot.x + right * (away + (right < 0 ? width : 0)) - (right ? 0 : width / 2);
      const y = spot.y - 9 + down * (away + 9);
      if (grid.claim(x - 2, y, width + 4, 18)) return { row, font: "strong", x, y, width, height: 18 };
    }
    return null;
  }
}

class Grid {
  constructor(view) {
    this.left = (((view.x % CELL.width) + CELL.width) % CELL.width) - CELL.width - 2 * MARGIN;
    this.top = (((view.y % CELL.height) + CELL.height) % CELL.height) - CELL.height - 2 * MARGIN;
    this.columns = Math.ceil((view.width + 4 * MARGIN) / CELL.width) + 2;
    this.rows = Math.ceil((view.height + 4 * MARGIN) / CELL.height) + 2;
    this.cells = new Uint8Array(this.columns * this.rows);
  }

  column(x) { return Math.min(Math.max(Math.floor((x - this.left) / CELL.width), 0), this.columns - 1); }
  row(y) { return Math.min(Math.max(Math.floor((y - this.top) / CELL.height), 0), this.rows - 1); }
  taken(x, y) { return this.cells[this.row(y) * this.columns + this.column(x)]; }

  // Take the cells under a box, unless one of them is taken.
  claim(x, y, width, height) {
    const [first, last] = [this.column(x), this.column(x + width)];
    const [top, bottom] = [this.row(y), this.row(y + height)];
    for (let row = top; row <= bottom; row++) {
      for (let column = first; column <= last; column++) if (this.cells[row * this.columns + column]) return false;
    }
    for (let row = top; row <= bottom; row++) {
      this.cells.fill(1, row * this.columns + first, row * this.columns + last + 1);
    }
    return true;
  }
}
