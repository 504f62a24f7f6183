// Runs a graph forward. Gradients need nothing more: the graph that a page carries computes them too.
import { array } from "./arrays.js";
import { PRIMITIVES } from "./primitives.js";

const NUMBERS = { nan: NaN, inf: Infinity, "-inf": -Infinity };

/** An array as Python writes it into the page: a number, or letters for its kind and base64 of its bytes. */
export function decode(text, shape) {
  if (typeof text === "number") return array(shape, Float64Array.of(text));
  if (text in NUMBERS) return array(shape, Float64Array.of(NUMBERS[text]));
  const bytes = Uint8Array.from(atob(text.slice(2)), (c) => c.charCodeAt(0));
  if (text[0] === "u") return { shape, data: new BigUint64Array(bytes.buffer) };
  if (text[0] === "b") return array(shape, Float64Array.from(bytes));
  return array(shape, text[0] === "f" ? Float64Array.from(new Float32Array(bytes.buffer)) : new Float64Array(bytes.buffer));
}

/** Names of operations in a program that this page cannot compute. */
export function lacking(program) {
  const names = program.nodes.map(([name]) => name);
  return [...new Set(names)].filter((name) => !(name in PRIMITIVES) && name !== "input" && name !== "constant");
}

/** Run a program {nodes: [[name, inputs, shape, dtype, params]], inputs, outputs} on arrays, one per input. */
export function run(program, inputs) {
  const values = new Array(program.nodes.length);
  program.inputs.forEach((position, k) => (values[position] = inputs[k]));
  program.nodes.forEach(([name, sources, shape, dtype, params], position) => {
    if (name === "constant") values[position] = params;
    else if (name !== "input")
      values[position] = PRIMITIVES[name](sources.map((i) => values[i]), params ?? {}, shape, dtype);
  });
  return program.outputs.map((position) => values[position]);
}
