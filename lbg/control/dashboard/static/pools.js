// The pools and their endpoints, with the filter above them.
import { byId, element, empty, setHidden, setText, table } from "./dom.js";
import { COLUMNS, EndpointRow } from "./endpoint_row.js";
import { count, milliseconds, percent, plural, rate } from "./format.js";
import { sentence } from "./states.js";

const SAID_AT_ONCE = 3; // changes: a hundred of them in a row say nothing

const keyOf = (endpoint) => `${endpoint.pool}/${endpoint.name}`;

export class Pools {
  constructor(actions) {
    this.actions = actions;
    this.rows = new Map(); // by "POOL/ENDPOINT"
    this.pools = new Map(); // by name: node, head
    this.built = "";
    byId("filter").addEventListener("input", () => this.filter());
    byId("unusable").addEventListener("change", () => this.filter());
  }

  showStatus(pools) {
    this.build(pools);
    const changed = [];
    for (const [name, pool] of Object.entries(pools)) {
      setText(this.pools.get(name).state, poolText(pool));
      for (const endpoint of pool.endpoints) {
        if (this.rows.get(keyOf(endpoint)).showEndpoint(endpoint)) changed.push(endpoint);
      }
    }
    announce(changed);
    this.filter();
  }

  showStats(stats, series) {
    for (const [name, pool] of this.pools) setText(pool.numbers, poolNumbers(stats?.pools?.[name]));
    for (const [key, row] of this.rows) {
      row.showNumbers(stats?.endpoints?.[key] ?? null, series.times, series.line(key));
    }
  }

  /** Make the tables, anew only when there are other endpoints than before. */
  build(pools) {
    const there = JSON.stringify(Object.entries(pools).map(([name, pool]) => [name, pool.endpoints.map(keyOf)]));
    if (there === this.built) return;
    this.built = there;
    for (const row of this.rows.values()) row.close();
    this.rows.clear();
    this.pools.clear();
    const nodes = Object.entries(pools).map(([name, pool]) => this.buildPool(name, pool));
    byId("pool-list").replaceChildren(...(nodes.length ? nodes : [empty("There are no pools.")]));
  }

  buildPool(name, pool) {
    const rows = pool.endpoints.map((endpoint) => {
      const row = new EndpointRow(endpoint, this.actions);
      this.rows.set(keyOf(endpoint), row);
      return row;
    });
    const state = element("span", { class: "pool-state" });
    const numbers = element("span", { class: "pool-numbers" });
    const head = element("div", { class: "pool-head" }, element("h3", {}, name), state, numbers);
    const nodes = rows.map((row) => row.node);
    const node = element("section", { class: "pool", "aria-label": `Pool ${name}` });
    node.append(head, table(`Endpoints of the pool ${name}`, COLUMNS, nodes, { class: "endpoints" }));
    this.pools.set(name, { node, state, numbers, rows });
    return node;
  }

  filter() {
    const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const onlyUnusable = byId("unusable").checked;
    let shown = 0;
    for (const pool of this.pools.values()) {
      const matching = pool.rows.filter((row) => row.matches(words, onlyUnusable));
      const wanted = new Set(matching);
      for (const row of pool.rows) setHidden(row.node, !wanted.has(row));
      setHidden(pool.node, matching.length === 0);
      shown += matching.length;
    }
    const all = this.rows.size;
    setText(byId("shown"), shown === all ? plural(all, "endpoint") : `${count(shown)} of ${plural(all, "endpoint")}`);
  }
}

function announce(changed) {
  if (changed.length === 0) return;
  const text =
    changed.length <= SAID_AT_ONCE
      ? changed.map(sentence).join(". ")
      : `${changed.length} endpoints have changed their state`;
  setText(byId("announcer"), text);
}

function poolText(pool) {
  const parts = [`${pool.usable} of ${pool.endpoints.length} usable`, pool.balance];
  if (pool.waiting > 0) parts.push(`${count(pool.waiting)} waiting`);
  return parts.join(" · ");
}

function poolNumbers(numbers) {
  if (!numbers) return "";
  const { requests_per_second: requests, error_rate: errors, p95_ms: p95 } = numbers;
  return `${rate(requests)} req/s · ${percent(errors)} errors · p95 ${milliseconds(p95)} ms`;
}
