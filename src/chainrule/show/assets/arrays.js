// Arrays are {shape, data}: row-major, data a Float64Array, or a BigUint64Array for the keys of random numbers.

export function count(shape) {
  return shape.reduce((product, size) => product * size, 1);
}

export function array(shape, data) {
  return { shape, data: data ?? new Float64Array(count(shape)) };
}

/** Steps in the data between neighbours along each axis. */
export function strides(shape) {
  const steps = new Array(shape.length);
  for (let k = shape.length - 1, step = 1; k >= 0; k--) {
    steps[k] = step;
    step *= shape[k];
  }
  return steps;
}

/** Places start + Σ index·step for every index into a shape, in row-major order. */
export function places(shape, steps, start = 0) {
  const result = new Int32Array(count(shape));
  if (!result.length) return result;
  const index = new Array(shape.length).fill(0);
  for (let n = 0, place = start; ; ) {
    result[n++] = place;
    let k = shape.length - 1;
    for (; k >= 0; k--) {
      place += steps[k];
      if (++index[k] < shape[k]) break;
      place -= shape[k] * steps[k];
      index[k] = 0;
    }
    if (k < 0) return result;
  }
}

/** Steps through an array's data as if it were broadcast to a wider shape. */
export function broadcastSteps(shape, wide) {
  const own = strides(shape);
  return wide.map((_, k) => {
    const axis = k - (wide.length - shape.length);
    return axis < 0 || shape[axis] === 1 ? 0 : own[axis];
  });
}

/** The elements of x at the given places. */
export function pick(x, shape, at) {
  const data = new x.data.constructor(at.length);
  for (let n = 0; n < at.length; n++) data[n] = x.data[at[n]];
  return { shape, data };
}

export function broadcast(x, shape) {
  return pick(x, shape, places(shape, broadcastSteps(x.shape, shape)));
}

/** f of the operands, element by element, operands broadcast to a shape. */
export function map(f, operands, shape) {
  const result = array(shape);
  const n = result.data.length;
  const wide = operands.map((x) => (x.data.length === n ? x.data : broadcast(x, shape).data));
  if (wide.length === 1) for (let k = 0; k < n; k++) result.data[k] = f(wide[0][k]);
  else if (wide.length === 2) for (let k = 0; k < n; k++) result.data[k] = f(wide[0][k], wide[1][k]);
  else for (let k = 0; k < n; k++) result.data[k] = f(...wide.map((data) => data[k]));
  return result;
}

/** Reduce over axes: step(total, element) from a first value. */
export function reduce(x, axes, shape, first, step) {
  const result = array(shape);
  result.data.fill(first);
  const kept = x.shape.map((size, k) => (axes.includes(k) ? 1 : size));
  const at = places(x.shape, broadcastSteps(kept, x.shape));
  for (let n = 0; n < at.length; n++) result.data[at[n]] = step(result.data[at[n]], x.data[n]);
  return result;
}

/** Lines of an array along an axis: calls visit(places of the line's elements, number of the line). */
export function lines(shape, axis, visit) {
  const steps = strides(shape);
  const rest = shape.filter((_, k) => k !== axis);
  const starts = places(rest, steps.filter((_, k) => k !== axis));
  starts.forEach((start, n) => visit(Array.from({ length: shape[axis] }, (_, k) => start + k * steps[axis]), n));
}
