// The story as it is being told: which step, which numbers, which groups are open. Whoever shows it listens.
import { decode, lacking, run } from "./program.js";
import { chainsOf } from "./place.js";

export const GIVEN = "given";
export const FORWARD = "forward";
export const BACKWARD = "backward";
export const UPDATE = "update";

export class State {
  constructor(story) {
    this.story = story;
    this.chains = chainsOf(story);
    this.opened = new Set(story.opened);
    this.missing = lacking(story.program);
    this.listeners = [];
    this.step = 0;
    this.selected = story.cost ?? story.nodes.length - 1;
    this.rate = story.rate;
    this.version = 0; // of the numbers
    this.toggled = null; // the group that was opened or folded last by a click
    story.nodes.forEach((node, k) => (node.gradient = this.isName(k) ? null : node.gradient));
    const shown = story.nodes.map((_, k) => k).filter((k) => !story.nodes[k].literal);
    this.given = shown.filter((k) => !story.nodes[k].inputs.length); // all of them are one step, the first
    this.arrowsInto = story.nodes.map(() => []);
    this.arrowsFrom = story.nodes.map(() => []);
    story.arrows.forEach(([source, target, operand, share, kind, local, template, brief]) => {
      const arrow = { source, target, operand, share, kind, local, template, brief };
      this.arrowsFrom[source].push(arrow);
      this.arrowsInto[target].push(arrow);
    });
    // backwards; what is given has its turn as soon as its gradient is complete
    const turn = (k) => (story.nodes[k].inputs.length ? k : Math.min(...this.arrowsFrom[k].map((a) => a.target)) - 0.5);
    const graded = shown.filter((k) => story.nodes[k].gradient !== null).sort((a, b) => turn(b) - turn(a) || b - a);
    this.moves = [
      { kind: GIVEN, node: null },
      ...shown.filter((node) => story.nodes[node].inputs.length).map((node) => ({ kind: FORWARD, node })),
      ...graded.map((node) => ({ kind: BACKWARD, node })),
      ...(story.parameters.length ? [{ kind: UPDATE, node: null }] : []),
    ];
    this.forwardAt = new Map();
    this.backwardAt = new Map();
    this.given.forEach((node) => this.forwardAt.set(node, 1));
    this.moves.forEach(({ kind, node }, k) => {
      if (kind === FORWARD) this.forwardAt.set(node, k + 1);
      if (kind === BACKWARD) this.backwardAt.set(node, k + 1);
    });
    this.reset(false);
  }

  listen(listener) {
    this.listeners.push(listener);
  }

  changed(what) {
    for (const listener of this.listeners) listener(what);
  }

  // -- numbers

  /** Back to the numbers that Python computed. */
  reset(tell = true) {
    const { story } = this;
    const shapes = story.program.nodes.map(([, , shape]) => shape);
    for (const node of story.program.nodes)
      if (node[0] === "constant" && !node[4].data) node[4] = decode(node[4], node[2]);
    this.inputs = story.arguments.map((text, k) => decode(text, shapes[story.program.inputs[k]]));
    const computed = story.numbers.includes(null) && !this.missing.length ? run(story.program, this.inputs) : [];
    this.numbers = story.numbers.map((text, k) => (text === null ? computed[k] : decode(text, shapes[story.program.outputs[k]])));
    this.costs = [this.cost()];
    this.touched = false; // whether any input is another one than Python's
    this.version++;
    if (tell) this.changed("numbers");
  }

  /** The numbers at other inputs. */
  rerun() {
    this.numbers = run(this.story.program, this.inputs);
    this.touched = true;
    this.version++;
  }

  value(node) {
    return this.numbers[this.story.nodes[node].value];
  }

  gradient(node) {
    const { gradient } = this.story.nodes[node];
    return gradient === null ? null : this.numbers[gradient];
  }

  /** The controls of an input's elements. */
  controlsOf(node) {
    const input = this.story.inputs.indexOf(node);
    return input < 0 ? [] : this.story.controls.filter((c) => c.input === input);
  }

  /** Whether a node is a name among several, such as a category: it has no derivative. */
  isName(node) {
    const own = this.controlsOf(node);
    return own.length === 1 && own[0].choices.length > 0;
  }

  /** What a value of an input is called, where it has a name, such as a category. */
  wordsFor(node, value) {
    const own = this.controlsOf(node);
    if (own.length !== 1) return null;
    if (Number.isNaN(value) && own[0].missing) return "missing";
    return own[0].choices.find(([, code]) => code === value)?.[0] ?? null;
  }

  cost() {
    return this.story.cost === null ? NaN : this.value(this.story.cost).data[0];
  }

  /** Change one element of an input. */
  set(input, element, value) {
    const { shape, data } = this.inputs[input];
    const copy = data.slice();
    copy[element] = value;
    this.inputs[input] = { shape, data: copy };
    this.rerun();
    this.costs = [this.cost()];
    this.changed("numbers");
  }

  /** Other inputs: all the numbers of each. */
  put(inputs) {
    this.inputs = this.inputs.map(({ shape }, k) => ({ shape, data: inputs[k] }));
    this.rerun();
    this.costs = [this.cost()];
    this.changed("numbers");
  }

  /** Gradient steps: parameters less rate times gradient. */
  descend(steps = 1) {
    for (let k = 0; k < steps; k++) {
      const moved = this.inputs.slice();
      for (const node of this.story.parameters) {
        const at = this.story.inputs.indexOf(node);
        const { shape, data } = this.inputs[at];
        const slope = this.gradient(node).data;
        moved[at] = { shape, data: data.map((x, i) => x - this.rate * slope[i]) };
      }
      this.inputs = moved;
      this.rerun();
      this.costs.push(this.cost());
    }
    this.changed("numbers");
  }

  // -- steps

  get last() {
    return this.moves.length;
  }

  get move() {
    return this.step ? this.moves[this.step - 1] : null;
  }

  valueKnown(node) {
    return this.story.nodes[node].literal || this.forwardAt.get(node) <= this.step;
  }

  gradientKnown(node) {
    return this.backwardAt.has(node) && this.backwardAt.get(node) <= this.step;
  }

  /** The folded group that hides a node, if one does. */
  hidden(node) {
    return this.chains[node].slice(1).find((path) => !this.opened.has(path));
  }

  /** Whether stepping stops here: a folded group counts as one step, its last. */
  stops(step) {
    if (step <= 0 || step >= this.last) return true;
    const { kind, node } = this.moves[step - 1];
    if (node === null) return true;
    const group = this.hidden(node);
    if (!group) return true;
    for (let k = step; k < this.last && this.moves[k].kind === kind; k++)
      if (this.hidden(this.moves[k].node) === group) return false;
    return true;
  }

  go(step) {
    const target = Math.max(0, Math.min(this.last, step));
    if (target === this.step) return;
    this.step = target;
    const { move } = this;
    if (move && move.node !== null) this.selected = move.node;
    this.changed("step");
  }

  forth() {
    let step = this.step + 1;
    while (step < this.last && !this.stops(step)) step++;
    this.go(step);
  }

  back() {
    let step = this.step - 1;
    while (step > 0 && !this.stops(step)) step--;
    this.go(step);
  }

  select(node) {
    this.selected = node;
    this.changed("selection");
  }

  // -- groups

  toggle(path) {
    if (!this.opened.delete(path)) this.opened.add(path);
    this.toggled = path;
    this.changed("groups");
  }

  /** Open whatever hides a node. */
  reveal(node) {
    const closed = this.chains[node].slice(1).filter((path) => !this.opened.has(path));
    closed.forEach((path) => this.opened.add(path));
    this.toggled = null;
    if (closed.length) this.changed("groups");
  }
}
