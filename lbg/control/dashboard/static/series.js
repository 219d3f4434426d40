// The numbers of the last minutes, put together from answers that each bring only what is new.

const KEPT = 150; // moments: five minutes at one every two seconds
const NAMES = ["requests_per_second", "errors_per_second", "p95_ms"];

export class Series {
  constructor() {
    this.times = [];
    this.lines = new Map(); // by key: name → values, as long as `times`
  }

  get newest() {
    return this.times.at(-1) ?? 0;
  }

  /** Take a document of /api/v1/stats. What it says of times that are known already is passed over. */
  add(document) {
    const from = document.times.findIndex((time) => time > this.newest);
    const fresh = from < 0 ? [] : document.times.slice(from);
    const had = this.times.length;
    this.times.push(...fresh);
    const excess = Math.max(0, this.times.length - KEPT);
    this.times.splice(0, excess);
    const lines = new Map();
    for (const [key, told] of measured(document)) {
      const old = this.lines.get(key);
      const line = {};
      for (const name of NAMES) {
        const values = old?.[name] ?? Array(had).fill(null);
        const added = from < 0 ? [] : (told.history?.[name] ?? []).slice(from, from + fresh.length);
        while (added.length < fresh.length) added.push(null);
        values.push(...added);
        values.splice(0, excess);
        line[name] = values;
      }
      lines.set(key, line);
    }
    this.lines = lines;
  }

  /** Return the values at `times` of "total" or of an endpoint, "POOL/ENDPOINT"; null when unknown. */
  line(key) {
    return this.lines.get(key) ?? null;
  }
}

function measured(document) {
  return [["total", document.total], ...Object.entries(document.endpoints)];
}
