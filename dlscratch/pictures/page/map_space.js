// The vectors, and what is asked of them: nearest words and analogies, as `dlscratch vectors` answers them.

const LISTED = 10;

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

const floatsOf = (base64) => new Float32Array(bytesOf(base64).buffer);

// Whole numbers of `bits` bits that stand without gaps, the highest bit first; 2^(bits-1) stands for zero.
function unpack(bytes, bits, count) {
  const codes = new Float32Array(count);
  const zero = 2 ** (bits - 1);
  const mask = 2 ** bits - 1;
  let window = 0;
  let held = 0;
  let next = 0;
  for (let i = 0; i < count; i++) {
    for (; held < bits; held += 8) window = (window << 8) | bytes[next++];
    held -= bits;
    codes[i] = ((window >>> held) & mask) - zero;
  }
  return codes;
}

class Space {
  constructor({ dim, bits, codes, listed, corrections }, count) {
    this.dim = dim;
    this.bits = bits;
    this.count = count;
    this.codes = unpack(bytesOf(codes), bits, count * dim);
    this.inverse = this.inverseLengths();
    this.corrections = new Map();
    const rows = new Uint16Array(bytesOf(corrections).buffer);
    for (let i = 0; i < rows.length; i += listed + 1) this.corrections.set(rows[i], rows.subarray(i + 1, i + 1 + listed));
  }

  inverseLengths() {
    const inverse = new Float64Array(this.count);
    for (let row = 0, i = 0; row < this.count; row++) {
      let square = 0;
      for (let end = i + this.dim; i < end; i++) square += this.codes[i] * this.codes[i];
      inverse[row] = square ? 1 / Math.sqrt(square) : 0;
    }
    return inverse;
  }

  // The cosine of every word with the sum of unit vectors, `plus` less `minus`.
  cosines(plus, minus = []) {
    const query = new Float64Array(this.dim);
    for (const [rows, sign] of [[plus, 1], [minus, -1]]) {
      for (const row of rows) {
        for (let d = 0; d < this.dim; d++) query[d] += sign * this.codes[row * this.dim + d] * this.inverse[row];
      }
    }
    const length = Math.hypot(...query) || 1;
    const cosines = new Float64Array(this.count);
    for (let row = 0, i = 0; row < this.count; row++) {
      let sum = 0;
      for (let d = 0; d < this.dim; d++) sum += this.codes[i++] * query[d];
      cosines[row] = (sum * this.inverse[row]) / length;
    }
    return cosines;
  }

  nearest(row) {
    const cosines = this.cosines([row]);
    const corrected = this.corrections.get(row);
    if (corrected) return Array.from(corrected, (other) => ({ row: other, score: cosines[other] }));
    return greatest(cosines, [row]);
  }

  analogy(a, b, c) {
    return greatest(this.cosines([b, c], [a]), [a, b, c]);
  }
}

// The rows with the greatest scores, less the excluded; equal scores in the order of the vocabulary.
function greatest(scores, excluded, top = LISTED) {
  const best = [];
  for (let row = 0; row < scores.length; row++) {
    const score = scores[row];
    if ((best.length === top && score <= best[top - 1].score) || excluded.includes(row)) continue;
    let place = best.length;
    while (place > 0 && best[place - 1].score < score) place--;
    best.splice(place, 0, { row, score });
    if (best.length > top) best.pop();
  }
  return best;
}
