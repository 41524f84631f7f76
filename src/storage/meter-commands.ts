import type {
  CommandKind,
  CommandLog,
  CommandState,
  NewCommand,
  NewStep,
  StepEnd,
} from "../commands/command-log.ts";
import type { Database } from "./database.ts";

/** The log of commands in `meter_commands` and `meter_command_steps`. */
export function storedCommandLog(database: Database): CommandLog {
  return {
    begin: (command) => begin(database, command),
    sending: (commandId, step) => sending(database, commandId, step),
    endStep: (commandId, step, end) => endStep(database, commandId, step, end),
    end: async (commandId, state, reason) => {
      await database.query(
        "UPDATE meter_commands SET state = $2, reason = $3, finished_at = clock_timestamp() WHERE id = $1",
        [commandId, state, reason],
      );
    },
  };
}

async function begin(database: Database, command: NewCommand): Promise<string> {
  const rows = await database.query(
    "INSERT INTO meter_commands (meter_id, kind, client_sap, requested) VALUES ($1, $2, $3, $4) RETURNING id",
    [command.meterId, command.kind, command.clientSap, JSON.stringify(command.requested)],
  );
  return String(rows[0]!["id"]);
}

async function sending(database: Database, commandId: string, step: NewStep): Promise<number> {
  const rows = await database.query(
    `WITH command AS (
       UPDATE meter_commands SET state = 'sent', sent_at = coalesce(sent_at, clock_timestamp()) WHERE id = $1 RETURNING id
     )
     INSERT INTO meter_command_steps (command_id, position, class_id, logical_name, attribute, method, before, written)
     SELECT id, (SELECT count(*) + 1 FROM meter_command_steps WHERE command_id = $1), $2, $3, $4, $5, $6, $7 FROM command
     RETURNING position`,
    [
      commandId,
      step.classId,
      step.logicalName,
      step.attribute,
      step.method,
      json(step.before),
      json(step.written),
    ],
  );
  return rows[0]!["position"] as number;
}

async function endStep(database: Database, commandId: string, step: number, end: StepEnd): Promise<void> {
  await database.query(
    `UPDATE meter_command_steps SET state = $3, after = $4, reason = $5, finished_at = clock_timestamp()
      WHERE command_id = $1 AND position = $2`,
    [commandId, step, end.state, json(end.after), end.reason],
  );
}

/** SQL null for what was not read; null-data is the JSON null. */
const json = (tree: unknown): string | null => (tree === undefined ? null : JSON.stringify(tree));

/** A command as people look at it. */
export interface CommandSummary {
  readonly id: string;
  readonly meterNumber: string;
  readonly kind: CommandKind;
  readonly clientSap: number;
  readonly state: CommandState;
  readonly requested: unknown;
  readonly reason: string | null;
  /** Milliseconds since 1970 UTC. */
  readonly requestedAt: number;
  readonly finishedAt: number | null;
  readonly steps: number;
}

/** The latest first. */
export async function listCommands(
  database: Database,
  filter: { readonly meterNumber?: string; readonly limit: number },
): Promise<CommandSummary[]> {
  const rows = await database.query(
    `SELECT c.id, m.meter_number, c.kind, c.client_sap, c.state, c.requested, c.reason, c.requested_at, c.finished_at,
            (SELECT count(*)::int FROM meter_command_steps s WHERE s.command_id = c.id) AS steps
       FROM meter_commands c JOIN public.meters m ON m.id = c.meter_id
      WHERE $1::text IS NULL OR m.meter_number = $1
      ORDER BY c.requested_at DESC, c.id DESC LIMIT $2`,
    [filter.meterNumber ?? null, filter.limit],
  );
  return rows.map((row) => ({
    id: String(row["id"]),
    meterNumber: row["meter_number"],
    kind: row["kind"],
    clientSap: row["client_sap"],
    state: row["state"],
    requested: row["requested"],
    reason: row["reason"],
    requestedAt: row["requested_at"],
    finishedAt: row["finished_at"],
    steps: row["steps"],
  }));
}
