// Puts the levels of open groups in place of their boxes; the levels were laid out in Python (chainrule.show.layout).

/** Centres of boxes and lines side by side in this order, as near to where they wish as their widths allow. */
function settled(wishes, widths, isBox, gaps) {
  const taken = [0];
  for (let k = 1; k < wishes.length; k++)
    taken.push(taken[k - 1] + (widths[k - 1] + widths[k]) / 2 + (isBox[k - 1] && isBox[k] ? gaps.box : gaps.line));
  const pools = []; // [mean, members]: neighbours that would come too near share their mean
  wishes.forEach((wish, k) => {
    let [mean, members] = [wish - taken[k], 1];
    while (pools.length && pools.at(-1)[0] >= mean) {
      const [other, its] = pools.pop();
      mean = (mean * members + other * its) / (members + its);
      members += its;
    }
    pools.push([mean, members]);
  });
  return pools.flatMap(([mean, members]) => new Array(members).fill(mean)).map((mean, k) => mean + taken[k]);
}

const halves = (points) => points.flatMap((x, k) => (k % 2 ? [] : [[x, points[k + 1]]]));

/** A level with some of its groups open, grown to a size: where its boxes and lines are then. */
function openLevel(level, grown, gaps) {
  const mirror = level.direction === "right" ? ([x, y]) => [y, x] : (point) => point;
  const sizes = new Map(level.boxes.map(([key, , , w, h]) => [key, mirror(grown.get(key) ?? [w, h])]));
  const centres = new Map(level.boxes.map(([key, x, y, w, h]) => [key, mirror([x + w / 2, y + h / 2])]));
  const between = level.rows.slice(1).map(([start], k) => (level.rows[k][1] + start) / 2);
  const rowOf = (along) => {
    const k = between.findIndex((middle) => middle >= along);
    return k < 0 ? between.length : k;
  };
  const items = level.rows.map(() => new Map());
  for (const [key, [across, along]] of centres) items[rowOf(along)].set(key, { across, box: true });
  for (const [, , flat] of level.edges)
    halves(flat).slice(1, -1).forEach((point, k) => {
      if (k % 2) return;
      const [across, along] = mirror(point);
      items[rowOf(along)].set(`line ${across}`, { across, box: false });
    });
  const centre = new Map();
  const lines = level.rows.map(() => new Map());
  const rows = [];
  let [begin, previous] = [0, 0];
  level.rows.forEach(([from, to], row) => {
    begin += from - previous;
    const order = [...items[row]].sort(([, a], [, b]) => a.across - b.across);
    const end = begin + Math.max(0, ...order.map(([key, { box }]) => (box ? sizes.get(key)[1] : 0)));
    rows.push([begin, end]);
    const widths = order.map(([key, { box }]) => (box ? sizes.get(key)[0] : 0));
    settled(order.map(([, { across }]) => across), widths, order.map(([, { box }]) => box), gaps).forEach((across, k) => {
      const [key, { box }] = order[k];
      if (box) centre.set(key, [across, (begin + end) / 2]);
      else lines[row].set(key, across);
    });
    [begin, previous] = [end, to];
  });
  const passing = lines.flatMap((row) => [...row.values()]);
  const low = Math.min(...passing, ...level.boxes.map(([key, , , w, h]) => centres.get(key)[0] - mirror([w, h])[0] / 2));
  const high = Math.max(...passing, ...level.boxes.map(([key, , , w, h]) => centres.get(key)[0] + mirror([w, h])[0] / 2));
  const ends = [...sizes].map(([key, [width]]) => [centre.get(key)[0] - width / 2, centre.get(key)[0] + width / 2]);
  const old = mirror([level.width, level.height]);
  const shift = low - Math.min(...passing, ...ends.map(([start]) => start));
  const width = Math.max(...passing, ...ends.map(([, end]) => end)) + shift + old[0] - high;
  return {
    size: mirror([width, begin + old[1] - previous]),
    mirror,
    row: (along) => rows[rowOf(along)],
    box: (key) => mirror([centre.get(key)[0] + shift, centre.get(key)[1]]),
    line: (point) => {
      const [across, along] = mirror(point);
      const row = rowOf(along);
      const [from, to] = level.rows[row];
      const enters = Math.abs(along - from) <= Math.abs(along - to);
      return mirror([lines[row].get(`line ${across}`) + shift, rows[row][enters ? 0 : 1]]);
    },
  };
}

const pair = (a, b) => JSON.stringify([a, b]);

/** For each node the groups it is in, the whole graph ("") first. */
export function chainsOf(story) {
  const chains = story.nodes.map(() => [""]);
  for (const group of story.groups) for (const position of group.nodes) chains[position].push(group.path);
  return chains;
}

/** The way from a node to one that reads it, out of the groups around one, into those around the other. */
function segments(chains, source, target) {
  const views = (position) => chains[position].map((path, k) => [path, chains[position][k + 1] ?? position]);
  const [start, end] = [views(source), views(target)];
  let common = 0;
  while (common + 1 < Math.min(start.length, end.length) && start[common + 1][0] === end[common + 1][0]) common++;
  const leaving = start.slice(common + 1).reverse().map(([path, key]) => [path, key, `out:${source}`]);
  const entering = end.slice(common + 1).map(([path, key]) => [path, `in:${source}`, key]);
  return [...leaving, [start[common][0], start[common][1], end[common][1]], ...entering];
}

/** Boxes and edges with these groups open. */
export function compose(story, chains, opened) {
  const { levels } = story;
  const corner = new Map();
  const boxes = [];
  const now = new Map();
  const before = new Map();
  const lines = new Map();
  for (const [path, level] of Object.entries(levels)) {
    for (const [key, x, y, width, height] of level.boxes) before.set(pair(path, key), [x + width / 2, y + height / 2]);
    for (const [source, target, flat] of level.edges) lines.set(pair(path, source) + pair(path, target), halves(flat));
  }
  const settledLevels = new Map();
  function open(path) {
    if (!settledLevels.has(path)) {
      const inside = levels[path].boxes.filter(([key]) => opened.has(key));
      settledLevels.set(path, openLevel(levels[path], new Map(inside.map(([key]) => [key, open(key).size])), story.gaps));
    }
    return settledLevels.get(path);
  }
  function put(path, [left, top]) {
    corner.set(path, [left, top]);
    for (const [key, , , width, height] of levels[path].boxes) {
      const isOpen = opened.has(key);
      const [w, h] = isOpen ? open(key).size : [width, height];
      const [x, y] = open(path).box(key);
      const box = { key, x: x + left - w / 2, y: y + top - h / 2, width: w, height: h, open: isOpen };
      now.set(pair(path, key), [x + left, y + top]);
      if (width) boxes.push(box);
      if (isOpen) put(key, [box.x, box.y]);
    }
  }
  put("", [0, 0]);
  /** A point on a box's border, where the box is now, and straight on where it leaves the row. */
  function border(path, key, [x, y]) {
    const [[oldX, oldY], [newX, newY]] = [before.get(pair(path, key)), now.get(pair(path, key))];
    const { mirror, row } = open(path);
    const moved = [x - oldX + newX, y - oldY + newY];
    const [across, along] = mirror(moved);
    const [begin, end] = row(mirror([oldX, oldY])[1]);
    const leaves = mirror(corner.get(path))[1] + (along > mirror([newX, newY])[1] ? end : begin);
    return Math.abs(leaves - along) < 0.2 ? [moved] : [moved, mirror([across, leaves])]; // places come rounded
  }
  function wire(path, start, end) {
    const points = lines.get(pair(path, start) + pair(path, end));
    const [left, top] = corner.get(path);
    return [
      ...(opened.has(start) ? [] : border(path, start, points[0])),
      ...points.slice(1, -1).map((point) => open(path).line(point)).map(([x, y]) => [x + left, y + top]),
      ...(opened.has(end) ? [] : border(path, end, points.at(-1)).reverse()),
    ];
  }
  const visible = (position) => chains[position].slice(1).find((path) => !corner.has(path)) ?? position;
  const edges = new Map();
  story.nodes.forEach((node, target) => {
    for (const source of new Set(node.inputs)) {
      if (story.nodes[source].literal || visible(source) === visible(target)) continue;
      const points = segments(chains, source, target).flatMap(([path, a, b]) => (corner.has(path) ? wire(path, a, b) : []));
      const key = JSON.stringify([visible(source), visible(target), points]);
      if (!edges.has(key)) edges.set(key, { source: visible(source), target: visible(target), arrows: [], points });
      edges.get(key).arrows.push([source, target]);
    }
  });
  const [width, height] = open("").size;
  return { width, height, boxes, edges: [...edges.values()], visible };
}
