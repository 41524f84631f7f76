import { OVERVIEW_TABLES, type Overview } from "../../storage/overview.ts";

/** Everything that the table shows at one moment. */
export interface DemoSnapshot {
  /** Milliseconds since 1970 UTC. */
  readonly now: number;
  readonly elapsedSeconds: number;
  /** `6 D1, 4 D2, 2 D3` */
  readonly fleet: string;
  readonly listenAddress: string;
  readonly httpAddress: string;
  /** What the daemon says of itself: ready, degraded … */
  readonly readiness: string;
  readonly embeddedPid: number | null;
  /** Pushes that the simulated meters sent, by kind. */
  readonly sent: Readonly<Record<string, number>>;
  /** Pushes by what the daemon did with them. */
  readonly verdicts: Readonly<Record<string, number>>;
  readonly connectionsOpen: number;
  /** Block load captures that meters made and did not push, on purpose. */
  readonly keptBack: number;
  readonly overview: Overview;
  /** The rows of the snapshot before, and its time. */
  readonly before: { readonly now: number; readonly rows: Readonly<Record<string, number>> } | null;
}

export const WHAT_IT_HOLDS: Readonly<Record<(typeof OVERVIEW_TABLES)[number], string>> = {
  instant_profile: "instantaneous captures, whole",
  block_load_profile: "block load captures, whole",
  daily_load_profile: "days: registers, consumption, extremes",
  billing_profile: "billing captures, whole",
  energy_measurements: "Wh, varh, VAh of every capture",
  power_readings: "W, var, VA, power factor, Hz, demand",
  voltage_measurements: "V by phase",
  current_measurements: "A by phase",
  meter_readings: "values without a column of their own",
  meter_events: "event logs and event status bits",
  push_history: "one row a push, and one an attempt to poll",
  raw_frames: "each accepted APDU as received",
};

const BOLD = "\u001b[1m";
const DIM = "\u001b[2m";
const PLAIN = "\u001b[0m";

const total = (numbers: Readonly<Record<string, number>>): number =>
  Object.values(numbers).reduce((sum, n) => sum + n, 0);

const clock = (ms: number): string => new Date(ms).toISOString().slice(11, 19);

/** The whole screen, for a terminal of `columns`; no line is wider. */
export function drawTable(snapshot: DemoSnapshot, columns: number): string {
  const lines = [
    ...head(snapshot),
    "",
    ...arrivals(snapshot),
    "",
    ...tables(snapshot),
    "",
    ...pushes(snapshot),
  ];
  return lines.map((line) => clip(line, columns)).join("\n");
}

function head(s: DemoSnapshot): string[] {
  const database = s.embeddedPid === null ? "PostgreSQL" : `embedded PostgreSQL ${s.embeddedPid}`;
  return [
    `${BOLD}dlms-hes demo${PLAIN}  ${clock(s.now)} UTC  ${s.elapsedSeconds.toFixed(0)} s  Ctrl-C ends it`,
    `${s.fleet} simulated meters → ${s.listenAddress} (${s.connectionsOpen} connected) → ${database}  ${s.readiness}`,
    `health and metrics: ${s.httpAddress}`,
  ];
}

function arrivals(s: DemoSnapshot): string[] {
  const kinds = Object.entries(s.sent).map(([kind, n]) => `${kind} ${n}`);
  const verdicts = Object.entries(s.verdicts)
    .filter(([verdict, n]) => n > 0 || verdict === "applied")
    .map(([verdict, n]) => `${verdict} ${n}`);
  return [
    `${BOLD}SENT${PLAIN}      ${total(s.sent)} pushes: ${kinds.join(", ")}`,
    `${BOLD}RECEIVED${PLAIN}  ${verdicts.join(", ")}`,
    `${BOLD}POLLED${PLAIN}    ${polled(s.overview)}; ${s.overview.polledBlocks} blocks read`,
    `${BOLD}HOLES${PLAIN}     ${s.keptBack} blocks kept back on purpose; gaps ${counts(s.overview.gaps, ["open", "filled"])}`,
  ];
}

const polled = ({ polls }: Overview): string => counts(polls, ["applied"]);

/** All that aren't 0, and those that are always shown. */
function counts(numbers: Readonly<Record<string, number>>, always: readonly string[]): string {
  const names = [...new Set([...always, ...Object.keys(numbers)])];
  return names.map((name) => `${name} ${numbers[name] ?? 0}`).join(", ");
}

function tables(s: DemoSnapshot): string[] {
  const seconds = s.before ? (s.now - s.before.now) / 1000 : 0;
  const rows = OVERVIEW_TABLES.map((table) => {
    const count = s.overview.rows[table];
    const growth = s.before && seconds > 0 ? (count - (s.before.rows[table] ?? 0)) / seconds : 0;
    const rate = growth > 0 ? `+${growth.toFixed(growth < 10 ? 1 : 0)}/s` : "";
    return `${table.padEnd(22)}${String(count).padStart(8)}  ${rate.padStart(8)}  ${DIM}${WHAT_IT_HOLDS[table]}${PLAIN}`;
  });
  return [`${BOLD}${"STORED IN".padEnd(22)}${"ROWS".padStart(8)}${PLAIN}`, ...rows];
}

/** Where captures of a kind stand whole; their quantities stand in the measurement tables, too. */
const HOME_OF: Readonly<Record<string, string>> = {
  instant: "instant_profile",
  block: "block_load_profile",
  daily: "daily_load_profile",
  billing: "billing_profile",
  event: "meter_events",
  single: "meter_readings",
};

function pushes(s: DemoSnapshot): string[] {
  const rows = s.overview.recent.map((push) => {
    const sizes = `${String(push.octets ?? "-").padStart(5)} octets ${String(push.values ?? "-").padStart(4)} values`;
    const stored = `${String(push.rows ?? "-").padStart(3)} rows → ${HOME_OF[push.kind] ?? push.kind}`;
    const who = `${push.meterNumber.padEnd(12)} ${push.meterType.padEnd(7)} ${push.by} ${push.kind.padEnd(8)}`;
    return `${clock(push.startedAt)}  ${who} ${push.verdict.padEnd(11)} ${sizes} ${stored}`;
  });
  return [`${BOLD}LAST PUSHES AND POLLS${PLAIN}`, ...rows];
}

/** Cuts what is visible; colours take no room. */
function clip(line: string, columns: number): string {
  let visible = 0;
  let out = "";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
  for (const part of line.split(/(\u001b\[\d+m)/)) {
    if (part.startsWith("\u001b")) {
      out += part;
      continue;
    }
    const room = Math.max(0, columns - visible);
    out += part.slice(0, room);
    visible += part.length;
  }
  return out;
}

/** One line for output that is no terminal. */
export function plainLine(s: DemoSnapshot): string {
  const rows = OVERVIEW_TABLES.map((table) => `${table} ${s.overview.rows[table]}`).join(" ");
  return `${clock(s.now)} ${s.readiness}: sent ${total(s.sent)}, applied ${s.verdicts["applied"] ?? 0}, polled ${s.overview.polls["applied"] ?? 0}, gaps filled ${s.overview.gaps["filled"] ?? 0}; ${rows}`;
}
