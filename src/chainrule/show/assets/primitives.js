// The meaning of every primitive: name -> (inputs, params, shape of the result) => array. One table, as in Python.
import { array, broadcast, broadcastSteps, count, lines, map, pick, places, reduce, strides } from "./arrays.js";
import * as special from "./special.js";

const truth = (condition) => (condition ? 1 : 0);
const round = (x) => {
  const r = Math.round(x);
  return Math.abs(x % 1) === 0.5 && r % 2 ? r - 1 : r;
};
const modulo = (x, y) => {
  const rest = x % y;
  return rest && rest < 0 !== y < 0 ? rest + y : rest;
};
const negativeBit = (x) => x < 0 || Object.is(x, -0);
const logaddexp = (x, y, rate) => {
  if (x === y) return x + Math.LN2 / rate;
  const [high, low] = x > y ? [x, y] : [y, x];
  return high + Math.log1p(Math.exp(rate * (low - high))) / rate;
};
const bits = (f) => (x, y) => Number(f(BigInt(x), BigInt(y)));
const present = (choose) => (x, y) => (Number.isNaN(x) ? y : Number.isNaN(y) ? x : choose(x, y));

const ELEMENTWISE = {
  identity: (x) => x,
  stop_gradient: (x) => x,
  add: (x, y) => x + y,
  subtract: (x, y) => x - y,
  multiply: (x, y) => x * y,
  divide: (x, y) => x / y,
  negative: (x) => -x,
  square: (x) => x * x,
  reciprocal: (x) => 1 / x,
  sqrt: Math.sqrt,
  cbrt: Math.cbrt,
  power: (x, y) => (x === 1 ? 1 : x ** y),
  absolute: Math.abs,
  sign: Math.sign,
  remainder: modulo,
  fmod: (x, y) => x % y,
  floor_divide: (x, y) => round((x - modulo(x, y)) / y),
  hypot: Math.hypot,
  copysign: (x, y) => (negativeBit(y) ? -Math.abs(x) : Math.abs(x)),
  exp: Math.exp,
  exp2: (x) => 2 ** x,
  expm1: Math.expm1,
  log: Math.log,
  log2: Math.log2,
  log10: Math.log10,
  log1p: Math.log1p,
  logaddexp: (x, y) => logaddexp(x, y, 1),
  logaddexp2: (x, y) => logaddexp(x, y, Math.LN2),
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  arcsin: Math.asin,
  arccos: Math.acos,
  arctan: Math.atan,
  arctan2: Math.atan2,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  arcsinh: Math.asinh,
  arccosh: Math.acosh,
  arctanh: Math.atanh,
  floor: Math.floor,
  ceil: Math.ceil,
  rint: round,
  trunc: Math.trunc,
  heaviside: (x, y) => (x < 0 ? 0 : x > 0 ? 1 : x === 0 ? y : NaN),
  equal: (x, y) => truth(x === y),
  not_equal: (x, y) => truth(x !== y),
  less: (x, y) => truth(x < y),
  less_equal: (x, y) => truth(x <= y),
  greater: (x, y) => truth(x > y),
  greater_equal: (x, y) => truth(x >= y),
  isnan: (x) => truth(Number.isNaN(x)),
  isinf: (x) => truth(Math.abs(x) === Infinity),
  isfinite: (x) => truth(Number.isFinite(x)),
  signbit: (x) => truth(negativeBit(x)),
  logical_and: (x, y) => truth(x && y),
  logical_or: (x, y) => truth(x || y),
  logical_xor: (x, y) => truth(!x !== !y),
  logical_not: (x) => truth(!x),
  bitwise_and: bits((x, y) => x & y),
  bitwise_or: bits((x, y) => x | y),
  bitwise_xor: bits((x, y) => x ^ y),
  maximum: Math.max,
  minimum: Math.min,
  fmax: present(Math.max),
  fmin: present(Math.min),
  where: (c, x, y) => (c ? x : y),
  logit: (p) => Math.log(p / (1 - p)),
  ...special,
};
delete ELEMENTWISE.polygamma; // its order is a parameter

// -- random numbers: SplitMix64

const mix = (z) => {
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
};

function uniform([key], { dtype }, shape) {
  const [shift, unit] = dtype === "float32" ? [40n, 2 ** -24] : [11n, 2 ** -53];
  const result = array(shape);
  for (let k = 0; k < result.data.length; k++) {
    const z = BigInt.asUintN(64, key.data[0] + BigInt(k + 1) * 0x9e3779b97f4a7c15n);
    result.data[k] = Number(mix(z) >> shift) * unit;
  }
  return result;
}

function stepKey([seed, t]) {
  const z = seed.data[0] ^ BigInt.asUintN(64, BigInt(t.data[0]) * 0xbf58476d1ce4e5b9n);
  return { shape: [], data: BigUint64Array.of(mix(z)) };
}

function cast([x], { dtype }, shape) {
  if (dtype === "uint64") return { shape, data: BigUint64Array.from(x.data, (v) => BigInt.asUintN(64, BigInt(v))) };
  const real = x.data instanceof BigUint64Array ? { shape, data: Float64Array.from(x.data, Number) } : x;
  if (dtype === "bool") return map((v) => truth(v !== 0), [real], shape);
  if (dtype === "float32") return map(Math.fround, [real], shape);
  return dtype.startsWith("float") ? map((v) => v, [real], shape) : map(Math.trunc, [real], shape);
}

// -- data moved without arithmetic

function windowPlaces(shape, window) {
  const steps = strides(shape);
  const start = window.reduce((sum, [first, size], k) => sum + (size ? first * steps[k] : 0), 0);
  return places(window.map(([, size]) => size), window.map(([, , step], k) => step * steps[k]), start);
}

function put(x, shape, at, value = 0) {
  const result = array(shape);
  result.data.fill(value);
  for (let n = 0; n < at.length; n++) result.data[at[n]] += x.data[n] - value;
  return result;
}

function concatenate(parts, { axis }, shape) {
  const result = array(shape);
  const steps = strides(shape);
  let start = 0;
  for (const part of parts) {
    const at = places(part.shape, steps, start * steps[axis]);
    for (let n = 0; n < at.length; n++) result.data[at[n]] = part.data[n];
    start += part.shape[axis];
  }
  return result;
}

/** Where in an array of a shape a gather finds each of its elements. */
function gatherPlaces(shape, indices, axes) {
  const steps = strides(shape);
  const lead = [];
  for (const index of indices)
    index.shape.forEach((size, k) => {
      const place = k - index.shape.length;
      if (lead.at(place) === undefined) lead.unshift(...new Array(-place - lead.length).fill(1));
      if (size !== 1) lead[lead.length + place] = size;
    });
  const starts = new Int32Array(count(lead));
  indices.forEach((index, k) => {
    const { data } = broadcast(index, lead);
    const size = shape[axes[k]];
    for (let n = 0; n < starts.length; n++) starts[n] += ((data[n] + size) % size) * steps[axes[k]];
  });
  const rest = shape.map((_, k) => k).filter((k) => !axes.includes(k));
  const inner = places(rest.map((k) => shape[k]), rest.map((k) => steps[k]));
  const at = new Int32Array(starts.length * inner.length);
  starts.forEach((start, n) => inner.forEach((place, m) => (at[n * inner.length + m] = start + place)));
  return at;
}

// -- along an axis

function along(shape, x, axis, f) {
  const result = array(shape);
  lines(x.shape, axis, (at, n) => f(at, n, result.data));
  return result;
}

const extreme = (better) => ([x], { axis }, shape) =>
  along(shape, x, axis, (at, n, out) => {
    let best = 0;
    for (let k = 1; k < at.length && !Number.isNaN(x.data[at[best]]); k++)
      if (better(x.data[at[k]], x.data[at[best]]) || Number.isNaN(x.data[at[k]])) best = k;
    out[n] = best;
  });

const over = (first, step) => ([x], { axis }, shape) => {
  const axes = axis.map((k) => (k < 0 ? k + x.shape.length : k));
  return reduce(x, axes, shape, first, step);
};

// -- matrices

function matmul([a, b], _, shape) {
  const left = a.shape.length === 1 ? [1, ...a.shape] : a.shape;
  const right = b.shape.length === 1 ? [...b.shape, 1] : b.shape;
  const [m, k] = left.slice(-2);
  const n = right.at(-1);
  const batch = shape.slice(0, shape.length - (a.shape.length > 1) - (b.shape.length > 1));
  const starts = [left, right].map((s) => {
    const steps = broadcastSteps(s.slice(0, -2), batch);
    const each = s.at(-1) * s.at(-2);
    return places(batch, steps.map((step) => step * each));
  });
  const result = array(shape);
  for (let t = 0; t < count(batch); t++)
    for (let i = 0; i < m; i++)
      for (let l = 0; l < k; l++) {
        const factor = a.data[starts[0][t] + i * k + l];
        const row = starts[1][t] + l * n;
        for (let j = 0; j < n; j++) result.data[(t * m + i) * n + j] += factor * b.data[row + j];
      }
  return result;
}

/** Gaussian elimination with partial pivoting of an n×n matrix beside right-hand sides: [solution, determinant]. */
function eliminate(matrix, n, sides, columns) {
  const a = Float64Array.from(matrix);
  const b = Float64Array.from(sides);
  let determinant = 1;
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++) if (Math.abs(a[i * n + k]) > Math.abs(a[pivot * n + k])) pivot = i;
    if (pivot !== k) {
      determinant = -determinant;
      for (let j = 0; j < n; j++) [a[k * n + j], a[pivot * n + j]] = [a[pivot * n + j], a[k * n + j]];
      for (let j = 0; j < columns; j++)
        [b[k * columns + j], b[pivot * columns + j]] = [b[pivot * columns + j], b[k * columns + j]];
    }
    determinant *= a[k * n + k];
    if (a[k * n + k] === 0) return [b, 0];
    for (let i = k + 1; i < n; i++) {
      const factor = a[i * n + k] / a[k * n + k];
      for (let j = k; j < n; j++) a[i * n + j] -= factor * a[k * n + j];
      for (let j = 0; j < columns; j++) b[i * columns + j] -= factor * b[k * columns + j];
    }
  }
  for (let k = n - 1; k >= 0; k--)
    for (let j = 0; j < columns; j++) {
      let rest = b[k * columns + j];
      for (let i = k + 1; i < n; i++) rest -= a[k * n + i] * b[i * columns + j];
      b[k * columns + j] = rest / a[k * n + k];
    }
  return [b, determinant];
}

/** f of each matrix of a stack; it returns numbers or rows of them. */
function perMatrix(x, shape, f) {
  const n = x.shape.at(-1);
  const result = array(shape);
  const each = n * n ? result.data.length / (x.data.length / (n * n)) : 1;
  for (let t = 0; t * each < result.data.length; t++)
    result.data.set(f(x.data.subarray(t * n * n, (t + 1) * n * n), n), t * each);
  return result;
}

function eye(n) {
  const result = new Float64Array(n * n);
  for (let k = 0; k < n; k++) result[k * n + k] = 1;
  return result;
}

const determinant = (m, n) => eliminate(m, n, [], 0)[1];

function solve([a, b], _, shape) {
  const batch = shape.slice(0, -2);
  const [n, columns] = shape.slice(-2);
  const wide = broadcast(a, [...batch, n, n]);
  const sides = broadcast(b, shape);
  const result = array(shape);
  for (let t = 0; t < count(batch); t++) {
    const m = wide.data.subarray(t * n * n, (t + 1) * n * n);
    const size = n * columns;
    result.data.set(eliminate(m, n, sides.data.subarray(t * size, (t + 1) * size), columns)[0], t * size);
  }
  return result;
}

function choleskyFactor(m, n) {
  const l = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      let rest = m[i * n + j];
      for (let k = 0; k < j; k++) rest -= l[i * n + k] * l[j * n + k];
      l[i * n + j] = i === j ? Math.sqrt(rest) : rest / l[j * n + j];
    }
  return l;
}

const STRUCTURE = {
  cast,
  uniform,
  step_key: stepKey,
  invert: ([x], _, shape, dtype) => map(dtype === "bool" ? (v) => truth(!v) : (v) => -v - 1, [x], shape),
  polygamma: ([x], { order }, shape) => map((v) => special.polygamma(order, v), [x], shape),
  reshape: ([x], _, shape) => ({ shape, data: x.data }),
  transpose: ([x], { axes }, shape) => pick(x, shape, places(shape, axes.map((k) => strides(x.shape)[k]))),
  broadcast_to: ([x], _, shape) => broadcast(x, shape),
  flip: ([x], { axis }, shape) =>
    pick(x, shape, windowPlaces(shape, shape.map((s, k) => (axis.includes(k) ? [s - 1, s, -1] : [0, s, 1])))),
  slice: ([x], { window }, shape) => pick(x, shape, windowPlaces(x.shape, window)),
  place: ([x], { window }, shape) => put(x, shape, windowPlaces(shape, window)),
  pad: ([x], { width, value }, shape) =>
    put(x, shape, windowPlaces(shape, x.shape.map((size, k) => [width[k][0], size, 1])), Number(value)),
  concatenate,
  gather: ([x, ...indices], { axes }, shape) => pick(x, shape, gatherPlaces(x.shape, indices, axes)),
  scatter_add: ([x, ...indices], { axes }, shape) => put(x, shape, gatherPlaces(shape, indices, axes)),
  sum: over(0, (total, v) => total + v),
  max: over(-Infinity, Math.max),
  min: over(Infinity, Math.min),
  any: over(0, (found, v) => truth(found || v)),
  all: over(1, (found, v) => truth(found && v)),
  argmax: extreme((v, best) => v > best),
  argmin: extreme((v, best) => v < best),
  argsort: ([x], { axis }, shape) =>
    along(shape, x, axis, (at, _, out) => {
      const key = (k) => x.data[at[k]];
      const order = at.map((_, k) => k);
      order.sort((i, j) => (Number.isNaN(key(i)) ? truth(!Number.isNaN(key(j))) : Number.isNaN(key(j)) ? -1 : key(i) - key(j)));
      order.forEach((k, place) => (out[at[place]] = k));
    }),
  cumsum: ([x], { axis }, shape) =>
    along(shape, x, axis, (at, _, out) => {
      let total = 0;
      for (const place of at) out[place] = total += x.data[place];
    }),
  matmul,
  solve,
  inv: ([a], _, shape) => perMatrix(a, shape, (m, n) => eliminate(m, n, eye(n), n)[0]),
  det: ([a], _, shape) => perMatrix(a, shape, (m, n) => [determinant(m, n)]),
  logabsdet: ([a], _, shape) => perMatrix(a, shape, (m, n) => [Math.log(Math.abs(determinant(m, n)))]),
  signdet: ([a], _, shape) => perMatrix(a, shape, (m, n) => [Math.sign(determinant(m, n))]),
  cholesky: ([a], _, shape) => perMatrix(a, shape, choleskyFactor),
};

export const PRIMITIVES = { ...STRUCTURE };
for (const [name, f] of Object.entries(ELEMENTWISE))
  PRIMITIVES[name] = (inputs, _, shape) => map(f, inputs, shape);
