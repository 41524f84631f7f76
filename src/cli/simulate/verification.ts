import { setTimeout as delay } from "node:timers/promises";
import type { Fleet } from "../../../simulator/fleet.ts";
import type { MeterPlan } from "../../../simulator/identity.ts";
import { PUSH_KINDS } from "../../../simulator/model.ts";
import type { Database } from "../../storage/database.ts";
import {
  captureTimes,
  receptionNotes,
  STORED_KINDS,
  type StoredCaptures,
  type StoredKind,
  type StoredPart,
  storedCaptures,
} from "../../storage/stored-captures.ts";

/** What was sent against what is stored. */
export interface Verification {
  /** Nothing is missing, nothing is there twice, nothing has other values. */
  readonly same: boolean;
  /** Seconds after the last push until everything was there, or until nothing more came. */
  readonly settledSeconds: number;
  readonly pushes: { readonly sent: number; readonly applied: number };
  /** Rows by kind. */
  readonly rows: Readonly<Record<StoredKind, { readonly sent: number; readonly stored: number }>>;
  readonly conflicts: number;
  readonly quarantined: number;
  /** Refusals by reason: how many the fleet's faults must have caused, and how many were noted. */
  readonly refusals: Readonly<Record<string, { readonly expected: number; readonly noted: number }>>;
  /** Sentences about what is not as it should be; the first so many. */
  readonly problems: readonly string[];
}

const PROBLEMS_MAX = 20;
/** Nothing has come for so long: nothing will. */
const QUIET_MS = 20_000;
/** Refusals that are not noted after so long never will be. */
const NOTED_MS = 10_000;
const LOOK_MS = 500;
/** Sums of floating-point numbers differ in their last digits. */
const VALUE_TOLERANCE = 1e-9;
/** Rows are captured at full seconds: one that is a second off, or another one, shows. */
const SECONDS_TOLERANCE = 0.01;

/**
 * Waits until what the fleet has sent is stored, or nothing more comes, and compares meter by meter: number of rows, their times and a
 * value of each.
 * @param sinceMs when the fleet began, by this machine's clock
 */
export async function verify(database: Database, fleet: Fleet, sinceMs: number): Promise<Verification> {
  const began = performance.now();
  const meterNumbers = fleet.plans.map(({ meterNumber }) => meterNumber);
  const sent = Object.values(fleet.statistics.pushes).reduce((sum, n) => sum + n, 0);
  let applied = await appliedSince(database, meterNumbers, sinceMs);
  for (let quietSince = performance.now(); applied < sent && performance.now() - quietSince < QUIET_MS; ) {
    await delay(LOOK_MS);
    const now = await appliedSince(database, meterNumbers, sinceMs);
    if (now > applied) quietSince = performance.now();
    applied = now;
  }
  const settledSeconds = (performance.now() - began) / 1_000;
  await untilRefusalsAreNoted(database, fleet, meterNumbers, sinceMs);
  return { settledSeconds, ...(await compare(database, fleet, meterNumbers, sinceMs)) };
}

/** Refusals are written once a second: after the last push not all of them are there. */
async function untilRefusalsAreNoted(
  database: Database,
  fleet: Fleet,
  numbers: readonly string[],
  sinceMs: number,
): Promise<void> {
  for (const since = performance.now(); performance.now() - since < NOTED_MS; await delay(LOOK_MS)) {
    const refusals = refusalsOf(fleet, (await receptionNotes(database, numbers, sinceMs)).refusals);
    if (Object.values(refusals).every(({ expected, noted }) => noted >= expected)) return;
  }
}

async function appliedSince(
  database: Database,
  numbers: readonly string[],
  sinceMs: number,
): Promise<number> {
  const { verdicts } = await receptionNotes(database, numbers, sinceMs);
  let applied = 0;
  for (const of of verdicts.values()) applied += appliedOf(of);
  return applied;
}

/** A push whose rows a poll has read before it came is a duplicate, and stored like any other. */
function appliedOf(verdicts: Readonly<Record<string, number>> = {}): number {
  return (verdicts["applied"] ?? 0) + (verdicts["duplicate"] ?? 0);
}

async function compare(
  database: Database,
  fleet: Fleet,
  meterNumbers: readonly string[],
  sinceMs: number,
): Promise<Omit<Verification, "settledSeconds">> {
  const problems: string[] = [];
  const { ledger, plans } = fleet;
  const notes = await receptionNotes(database, meterNumbers, sinceMs);
  const pushes = { sent: 0, applied: 0 };
  for (const { index, meterNumber, protection } of plans) {
    const sent = PUSH_KINDS.reduce((sum, kind) => sum + ledger.of(index, kind).pushes, 0);
    const applied = appliedOf(notes.verdicts.get(meterNumber));
    pushes.sent += sent;
    pushes.applied += applied;
    // What comes in clear has no counter: when a broken connection has it sent again, it counts again. Its rows don't.
    const isAsSent = protection === 0 ? applied >= sent : applied === sent;
    if (!isAsSent) problems.push(`${meterNumber} sent ${sent} pushes, ${applied} were applied`);
  }
  const rows = {} as Record<StoredKind, { sent: number; stored: number }>;
  for (const kind of STORED_KINDS) {
    rows[kind] = await compareRows(database, fleet, kind, sinceMs, problems);
  }
  if (notes.conflicts > 0) problems.push(`${notes.conflicts} rows came twice with different values`);
  if (notes.quarantined > 0) problems.push(`${notes.quarantined} pushes are in quarantine`);
  const refusals = refusalsOf(fleet, notes.refusals);
  for (const [reason, { expected, noted }] of Object.entries(refusals)) {
    if (noted < expected) {
      problems.push(`${expected} frames had to be refused as ${reason}, ${noted} refusals are noted`);
    }
  }
  const { conflicts, quarantined } = notes;
  const same = problems.length === 0;
  const shown = problems.slice(0, PROBLEMS_MAX);
  if (problems.length > PROBLEMS_MAX) shown.push(`and ${problems.length - PROBLEMS_MAX} more`);
  return { same, pushes, rows, conflicts, quarantined, refusals, problems: shown };
}

const NOTHING: StoredCaptures = { rows: 0, secondsSum: 0, valueSum: 0 };

async function compareRows(
  database: Database,
  fleet: Fleet,
  kind: StoredKind,
  sinceMs: number,
  problems: string[],
): Promise<{ sent: number; stored: number }> {
  const { ledger, plans } = fleet;
  const totals = { sent: 0, stored: 0 };
  const { span } = ledger;
  if (span === null) return totals;
  const asked = ({ index, meterNumber }: Pick<MeterPlan, "index" | "meterNumber">) => ({
    meterNumber,
    span: ledger.of(index, kind).span,
  });
  const query = { ...span, sinceMs, meters: plans.map(asked) };
  const stored = await storedCaptures(database, kind, query);
  for (const plan of plans) {
    const { index, meterNumber } = plan;
    const sent = ledger.of(index, kind);
    const found = countedFor(sent, stored.get(meterNumber) ?? []);
    totals.sent += sent.rows;
    totals.stored += found.rows;
    if (agrees(sent, found)) continue;
    const times = await captureTimes(database, kind, { ...query, meters: [asked(plan)] });
    problems.push(
      sent.rows === found.rows
        ? `${meterNumber}: ${found.rows} ${kind} rows are stored, and not with the times or values that were sent`
        : `${meterNumber} sent ${sent.rows} ${kind} rows, ${found.rows} are stored: ${shortList(times)}`,
    );
  }
  return totals;
}

/**
 * Rows that stand for what was sent. A poll in between stores what was never pushed, or what is pushed later; an earlier run may have left
 * rows between this one's, or have sent the same ones.
 */
function countedFor(sent: StoredCaptures, parts: readonly StoredPart[]): StoredCaptures {
  const pushed = parts.filter(({ origin }) => origin === "push");
  const choices = [
    parts,
    parts.filter(({ earlier }) => !earlier),
    pushed,
    pushed.filter(({ earlier }) => !earlier),
  ];
  const sums = choices.map((choice) =>
    choice.reduce<StoredCaptures>(
      (sum, { rows, secondsSum, valueSum }) => ({
        rows: sum.rows + rows,
        secondsSum: sum.secondsSum + secondsSum,
        valueSum: sum.valueSum + valueSum,
      }),
      NOTHING,
    ),
  );
  return sums.find((sum) => agrees(sent, sum)) ?? sums[2]!;
}

function agrees(sent: StoredCaptures, found: StoredCaptures): boolean {
  const values = Math.max(1, Math.abs(sent.valueSum), Math.abs(found.valueSum)) * VALUE_TOLERANCE;
  return (
    sent.rows === found.rows &&
    Math.abs(sent.secondsSum - found.secondsSum) < SECONDS_TOLERANCE &&
    Math.abs(sent.valueSum - found.valueSum) <= values
  );
}

function shortList(times: readonly number[]): string {
  const texts = times.map((time) => new Date(time).toISOString());
  return texts.length <= 6 ? texts.join(", ") : `${texts.slice(0, 3).join(", ")} … ${texts.at(-1)}`;
}

/** Answers of the head-end that are refusals, with what it has noted. */
function refusalsOf(
  fleet: Fleet,
  noted: Readonly<Record<string, number>>,
): Record<string, { expected: number; noted: number }> {
  const reasons = Object.entries(fleet.statistics.answers).filter(([answer]) => answer !== "retransmission");
  return Object.fromEntries(
    reasons.map(([reason, expected]) => [reason, { expected, noted: noted[reason] ?? 0 }]),
  );
}
