// Special functions in double precision. Abramowitz & Stegun (1964), chapters 6, 7, 9 and 26; Lanczos (1964);
// continued fractions by Lentz (1976).

const TINY = 1e-300;
const ROOT_PI = Math.sqrt(Math.PI);
const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** b0 + a1/(b1 + a2/(b2 + …)); term(k) gives [a_k, b_k]. */
function continuedFraction(b0, term) {
  let f = b0 || TINY;
  let c = f;
  let d = 0;
  for (let k = 1; k < 5000; k++) {
    const [a, b] = term(k);
    d = 1 / (b + a * d || TINY);
    c = b + a / c || TINY;
    f *= c * d;
    if (Math.abs(c * d - 1) < 1e-16) break;
  }
  return f;
}

/** Σ of terms that follow from each other: next(term, k). */
function series(first, next) {
  let total = first;
  for (let k = 1, term = first; k < 5000; k++) {
    term = next(term, k);
    total += term;
    if (Math.abs(term) <= 1e-17 * Math.abs(total)) break;
  }
  return total;
}

export function gammaln(x) {
  if (x <= 0 && Number.isInteger(x)) return Infinity;
  if (x === Infinity) return Infinity;
  if (x < 0.5) return Math.log(Math.PI / Math.abs(Math.sin(Math.PI * x))) - gammaln(1 - x);
  if (x === 1 || x === 2) return 0;
  let total = LANCZOS[0];
  for (let k = 1; k < 9; k++) total += LANCZOS[k] / (x - 1 + k);
  const t = x + 6.5;
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(total);
}

export function gamma(x) {
  if (x <= 0 && Number.isInteger(x)) return x === 0 ? 1 / x : NaN;
  return x < 0.5 ? Math.PI / (Math.sin(Math.PI * x) * gamma(1 - x)) : Math.exp(gammaln(x));
}

const BERNOULLI = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510];

export function psi(x) {
  if (x <= 0 && Number.isInteger(x)) return NaN;
  if (x < 0) return psi(1 - x) - Math.PI / Math.tan(Math.PI * x);
  let total = 0;
  for (; x < 12; x++) total -= 1 / x;
  total += Math.log(x) - 0.5 / x;
  BERNOULLI.forEach((b, k) => (total -= (b / (2 * k + 2)) * x ** -(2 * k + 2)));
  return total;
}

export function polygamma(n, x) {
  if (n === 0) return psi(x);
  if (x <= 0) return x === 0 ? Infinity : NaN;
  let total = 0;
  let factorial = 1; // (n - 1)!
  for (let k = 2; k < n; k++) factorial *= k;
  for (; x < 20; x++) total += factorial * n * x ** -(n + 1);
  total += factorial * x ** -n + 0.5 * factorial * n * x ** -(n + 1);
  let rising = factorial; // (2k + n - 1)! / (2k)!
  BERNOULLI.forEach((b, j) => {
    const k = j + 1;
    rising *= ((2 * k + n - 1) * (2 * k + n - 2)) / ((2 * k) * (2 * k - 1));
    total += b * rising * x ** -(2 * k + n);
  });
  return (n % 2 ? 1 : -1) * total;
}

export function erf(x) {
  if (Number.isNaN(x)) return NaN;
  const a = Math.abs(x);
  if (a > 3) return Math.sign(x) * (1 - erfc(a));
  return (2 / ROOT_PI) * Math.exp(-x * x) * series(x, (term, k) => (term * 2 * x * x) / (2 * k + 1));
}

export function erfc(x) {
  if (Number.isNaN(x)) return NaN;
  if (x < 2) return 1 - erf(x);
  return x > 30 ? 0 : Math.exp(-x * x) * erfcx(x);
}

export function erfcx(x) {
  if (x < 2) return Math.exp(x * x) * (x < -2 ? 2 - erfc(-x) : erfc(x));
  if (x > 1e8) return 1 / (x * ROOT_PI);
  return 1 / (continuedFraction(x, (k) => [k / 2, x]) * ROOT_PI);
}

export function erfcinv(y) {
  if (!(y >= 0 && y <= 2)) return NaN;
  if (y === 0) return Infinity;
  if (y > 1) return y === 2 ? -Infinity : -erfcinv(2 - y);
  const t = Math.sqrt(-2 * Math.log(y / 2));
  let x = -Math.SQRT1_2 * ((2.30753 + t * 0.27061) / (1 + t * (0.99229 + t * 0.04481)) - t);
  for (let k = 0; k < 4; k++) {
    const error = erfc(x) - y;
    x += error / ((2 / ROOT_PI) * Math.exp(-x * x) - x * error);
  }
  return x;
}

export function erfinv(p) {
  if (Math.abs(p) > 0.5) return p > 0 ? erfcinv(1 - p) : -erfcinv(1 + p);
  let x = (p * ROOT_PI) / 2;
  for (let k = 0; k < 8; k++) x -= ((erf(x) - p) * ROOT_PI) / (2 * Math.exp(-x * x));
  return x;
}

export function ndtr(x) {
  return 0.5 * erfc(-x * Math.SQRT1_2);
}

export function ndtri(p) {
  return -Math.SQRT2 * erfcinv(2 * p);
}

export function log_ndtr(x) {
  if (x > 5) return Math.log1p(-ndtr(-x));
  return x > -1 ? Math.log(ndtr(x)) : Math.log(0.5 * erfcx(-x * Math.SQRT1_2)) - 0.5 * x * x;
}

export function betaln(a, b) {
  return gammaln(a) + gammaln(b) - gammaln(a + b);
}

export function beta(a, b) {
  const sign = [a, b, a + b].reduce((s, x) => s * (x < 0 && Math.ceil(x) % 2 ? -1 : 1), 1);
  return a > 0 && b > 0 ? Math.exp(betaln(a, b)) : sign * Math.exp(betaln(a, b));
}

export function gammainc(a, x) {
  if (x <= 0 || a <= 0) return x === 0 ? 0 : NaN;
  if (x === Infinity) return 1;
  if (x >= a + 1) return 1 - gammaincc(a, x);
  return Math.exp(a * Math.log(x) - x - gammaln(a)) * series(1 / a, (term, k) => (term * x) / (a + k));
}

export function gammaincc(a, x) {
  if (x <= 0 || a <= 0) return x === 0 ? 1 : NaN;
  if (x === Infinity) return 0;
  if (x < a + 1) return 1 - gammainc(a, x);
  const below = continuedFraction(x + 1 - a, (k) => [-k * (k - a), x + 2 * k + 1 - a]);
  return Math.exp(a * Math.log(x) - x - gammaln(a)) / below;
}

/** The regularised incomplete beta function I_x(a, b). */
function betainc(a, b, x) {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - betainc(b, a, 1 - x);
  const fraction = continuedFraction(1, (n) => {
    const m = Math.floor(n / 2);
    const up = n % 2 ? -(a + m) * (a + b + m) * x : m * (b - m) * x;
    return [up / ((a + n - 1) * (a + n)), 1];
  });
  return Math.exp(a * Math.log(x) + b * Math.log1p(-x) - betaln(a, b)) / (a * fraction);
}

export function stdtr(df, t) {
  const tail = 0.5 * betainc(0.5 * df, 0.5, df / (df + t * t));
  return t > 0 ? 1 - tail : tail;
}

/** exp(-|x|) I_order(x). */
function besselScaled(order, x) {
  const a = Math.abs(x);
  const sign = order % 2 && x < 0 ? -1 : 1;
  if (a < 30) {
    const first = order ? a / 2 : 1;
    return sign * Math.exp(-a) * series(first, (term, k) => (term * a * a) / (4 * k * (k + order)));
  }
  let total = 1;
  for (let k = 1, term = 1; k < 30; k++) {
    term *= -(4 * order * order - (2 * k - 1) ** 2) / (8 * k * a);
    if (Math.abs(term) < 1e-17) break;
    total += term;
  }
  return (sign * total) / Math.sqrt(2 * Math.PI * a);
}

export const i0e = (x) => besselScaled(0, x);
export const i1e = (x) => besselScaled(1, x);
export const i0 = (x) => besselScaled(0, x) * Math.exp(Math.abs(x));
export const i1 = (x) => besselScaled(1, x) * Math.exp(Math.abs(x));

export const expit = (x) => 1 / (1 + Math.exp(-x));
export const log_expit = (x) => (x < 0 ? x - Math.log1p(Math.exp(x)) : -Math.log1p(Math.exp(-x)));
export const xlogy = (x, y) => (x === 0 && !Number.isNaN(y) ? 0 : x * Math.log(y));
export const xlog1py = (x, y) => (x === 0 && !Number.isNaN(y) ? 0 : x * Math.log1p(y));
export const entr = (x) => (x > 0 ? -x * Math.log(x) : x === 0 ? 0 : -Infinity);
export const rel_entr = (x, y) => (x > 0 && y > 0 ? x * Math.log(x / y) : x === 0 && y >= 0 ? 0 : Infinity);
export const kl_div = (x, y) => (x > 0 && y > 0 ? x * Math.log(x / y) - x + y : x === 0 && y >= 0 ? y : Infinity);
