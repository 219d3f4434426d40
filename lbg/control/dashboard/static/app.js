// The dashboard: asks the admin API of the lbg that served it, and shows what it says.
import { Actions } from "./actions.js";
import { get, getIfThere, isSilence } from "./api.js";
import { Bans } from "./bans.js";
import { Configuration } from "./configuration.js";
import { answered, failed, isLost } from "./connection.js";
import { Events } from "./events.js";
import { Headline } from "./headline.js";
import { Poller } from "./polling.js";
import { Pools } from "./pools.js";
import { Series } from "./series.js";
import { startTheme } from "./theme.js";
import { startToken } from "./token.js";
import { Traces } from "./traces.js";

const EVENT_PAUSE = 200; // ms: several endpoints often go down together

startTheme();
startToken();

const series = new Series();
const headline = new Headline();
const configuration = new Configuration();
const overview = new Poller(showOverview, 2);
const traces = new Traces();
const actions = new Actions(() => {
  overview.now();
  banPoller.now();
});
const pools = new Pools(actions);
const bans = new Bans(actions);
const banPoller = new Poller(beside(() => bans.refresh()), 5);
const tracePoller = new Poller(beside(() => traces.refresh()), 4);
const events = new Events(() => overview.soon(EVENT_PAUSE));

await overview.now();
tracePoller.now();
banPoller.now();
events.start();

async function showOverview() {
  let status, stats;
  try {
    [status, stats] = await Promise.all([get("api/v1/status"), readStats()]);
  } catch (error) {
    failed(error);
    return;
  }
  answered();
  if (stats !== null) series.add(stats);
  headline.showStatus(status);
  headline.showStats(stats, series);
  pools.showStatus(status.pools);
  pools.showStats(stats, series);
  beside(() => configuration.refresh(status.config))();
}

async function readStats() {
  const since = series.newest ? `?since=${series.newest}` : "";
  return getIfThere(`api/v1/stats${since}`, "stats");
}

/** Return a task that leaves it to the overview to tell that lbg does not answer. */
function beside(task) {
  return async () => {
    if (isLost()) return;
    try {
      await task();
    } catch (error) {
      if (!isSilence(error)) throw error;
    }
  };
}
