// Numbers, names and formulas as people read them: MathML for the eye, plain words for the ear.

/** A number with so many significant digits: 25, 0.119203, −1.2e−7. */
export function number(x, digits = 6) {
  if (typeof x === "bigint") return String(x);
  if (Number.isNaN(x)) return "NaN";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  const small = x !== 0 && Math.abs(x) < 1e-3;
  let text = Number.isInteger(x) && Math.abs(x) < 1e9 ? String(x) : small ? x.toExponential(digits - 1) : x.toPrecision(digits);
  if (text.includes(".")) text = text.replace(/\.?0+(?=e|$)/, "");
  return (Object.is(x, -0) ? "0" : text).replaceAll("-", "−").replace("e+", "e");
}

const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
export const escape = (text) => String(text).replace(/[&<>"]/g, (c) => ESCAPES[c]);

const GREEK = {
  alpha: "α", beta: "β", gamma: "γ", delta: "δ", epsilon: "ε", eta: "η", theta: "θ", kappa: "κ", lam: "λ", lamda: "λ", lambda: "λ",
  mu: "μ", nu: "ν", xi: "ξ", pi: "π", rho: "ρ", sigma: "σ", tau: "τ", phi: "φ", chi: "χ", psi: "ψ", omega: "ω",
};

/** A name as MathML: v12 gets its index below, theta is θ. */
export function nameMath(name) {
  const greek = (word) => escape(Object.hasOwn(GREEK, word) ? GREEK[word] : word);
  const parts = /^([^\W\d_]+)_?(\d+)$/u.exec(name);
  return parts ? `<msub><mi>${greek(parts[1])}</mi><mn>${parts[2]}</mn></msub>` : `<mi>${greek(name)}</mi>`;
}

/** A number as MathML, in brackets where its sign would be taken for an operation's. */
export function numberMath(x, brackets = false, digits = 6) {
  const text = number(x, digits);
  if (!text.startsWith("−")) return `<mn>${text}</mn>`;
  const signed = `<mrow><mo form="prefix">−</mo><mn>${text.slice(1)}</mn></mrow>`;
  return brackets ? `<mrow><mo stretchy="false">(</mo>${signed}<mo stretchy="false">)</mo></mrow>` : signed;
}

const FEW = 8;

/** A small array as MathML: (1, 2, 3), a column transposed, a matrix of two rows; nothing if it is larger. */
export function arrayMath({ shape, data }, digits = 4) {
  if (data.length === 1) return numberMath(data[0], true, digits);
  const wide = shape.filter((size) => size !== 1);
  if (data.length > FEW || !data.length || wide.length > 2 || (wide.length === 2 && wide[0] > 2)) return "";
  const row = (numbers) => Array.from(numbers, (x) => numberMath(x, false, digits));
  if (wide.length === 2) {
    const rows = [0, 1].map((i) => row(data.slice(i * wide[1], (i + 1) * wide[1])).map((cell) => `<mtd>${cell}</mtd>`).join(""));
    return `<mrow><mo>(</mo><mtable>${rows.map((cells) => `<mtr>${cells}</mtr>`).join("")}</mtable><mo>)</mo></mrow>`;
  }
  const listed = `<mrow><mo stretchy="false">(</mo>${row(data).join('<mo separator="true">,</mo>')}<mo stretchy="false">)</mo></mrow>`;
  const column = shape.length === 2 && shape[1] === 1;
  return column ? `<msup>${listed}<mi>T</mi></msup>` : listed;
}

/** An array in a few letters, as in chainrule.show.text: the number that all of it is, few numbers, or least and greatest. */
export function spread({ data }, digits = 4) {
  if (data.length === 0) return "empty";
  const brief = (x) => number(x, Math.min(digits, 3));
  const [low, high] = data.reduce(([a, b], x) => [Math.min(a, x), Math.max(b, x)], [Infinity, -Infinity]);
  if (low === high) return number(low, digits);
  return data.length <= 3 ? `(${Array.from(data, brief).join(", ")})` : `${brief(low)} … ${brief(high)}`;
}

export const math = (inside, large = false) => `<math${large ? ' displaystyle="true"' : ""}><mrow>${inside}</mrow></math>`;

/** ∂a/∂b as MathML. */
export const partial = (a, b) => `<mfrac><mrow><mo form="prefix">∂</mo>${a}</mrow><mrow><mo form="prefix">∂</mo>${b}</mrow></mfrac>`;

/** A template with its slots {0}, {1}, … and {g} filled. */
export const fill = (template, slots, g = "") => template.replace(/\{(\d+|g)\}/g, (_, k) => (k === "g" ? g : slots[k]));

export const shapeText = (shape) => (shape.length ? shape.join("×") : "number");
