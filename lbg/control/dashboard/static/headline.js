// The numbers of the whole, and their last minutes.
import { Chart } from "./charts.js";
import { byId, element, setAttribute, setText } from "./dom.js";
import { count, duration, milliseconds, percent, plural, rate } from "./format.js";

const NUMBERS = ["usable", "requests/s", "errors", "in flight", "waiting", "p50 ms", "p95 ms", "p99 ms"];
const SILENT = 5; // seconds without a sign of the worker that checks health

export class Headline {
  constructor() {
    this.values = new Map(NUMBERS.map((name) => [name, element("dd")]));
    for (const [name, value] of this.values) {
      byId("numbers").append(element("div", {}, element("dt", {}, name), value));
    }
    this.traffic = new Chart(byId("traffic"), [["--accent", true], ["--bad", false]], { height: 120, axes: true });
    this.latency = new Chart(byId("latency"), [["--held", true]], { height: 120, axes: true });
  }

  showStatus(status) {
    const pools = Object.values(status.pools);
    const endpoints = pools.flatMap((pool) => pool.endpoints);
    const usable = endpoints.filter((endpoint) => endpoint.usable).length;
    const gone = endpoints.filter((endpoint) => ["down", "ejected"].includes(endpoint.state)).length;
    this.set("usable", `${usable} of ${endpoints.length}`, gone > 0 ? "bad" : "");
    this.set("waiting", count(sum(pools, "waiting")), sum(pools, "waiting") > 0 ? "warn" : "");
    if (!this.measured) this.set("in flight", count(sum(endpoints, "in_flight")), "");
    setText(byId("about"), about(status));
    document.title = gone > 0 ? `${gone} down · lbg` : "lbg";
  }

  showStats(stats, series) {
    this.measured = stats !== null;
    const total = stats?.total ?? {};
    this.set("requests/s", rate(total.requests_per_second), "");
    this.set("errors", percent(total.error_rate), total.error_rate > 0 ? "bad" : "");
    this.set("p50 ms", milliseconds(total.p50_ms), "");
    this.set("p95 ms", milliseconds(total.p95_ms), "");
    this.set("p99 ms", milliseconds(total.p99_ms), "");
    const line = series.line("total");
    if (stats === null || line === null) return;
    this.set("in flight", count(total.in_flight), "");
    this.traffic.draw(series.times, line.requests_per_second, line.errors_per_second);
    this.latency.draw(series.times, line.p95_ms);
  }

  set(name, text, look) {
    setText(this.values.get(name), text);
    setAttribute(this.values.get(name), "class", look);
  }
}

function sum(documents, field) {
  return documents.reduce((total, document) => total + document[field], 0);
}

function about(status) {
  const proxies = status.workers.filter((worker) => worker.role !== "control").length;
  const parts = [`${status.version}`, `generation ${status.config.generation}`, plural(proxies, "proxy worker")];
  const silent = status.control.heartbeat_age_seconds;
  if (silent > SILENT) parts.push(`health checks are silent for ${duration(silent)}`);
  return parts.join(" · ");
}
