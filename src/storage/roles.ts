import { type Client, quoteIdentifier } from "./database.ts";

/**
 * What a login gets by being a member. Nobody logs in as one of these; each is named after the schema, as hes_ingest.
 * `ingest`: what pushes need, and no more. `keys`: what polls and commands need, keys and secrets with it. `api`: looking, without keys.
 * The fourth is the one that migrates: it owns everything.
 */
export type RoleName = "ingest" | "keys" | "api";
const ROLES: readonly RoleName[] = ["ingest", "keys", "api"];

export const nameOfRole = (schema: string, role: RoleName) => `${schema}_${role}`;

type Privilege = "SELECT" | "INSERT" | "UPDATE" | "DELETE";

/** Whose rows are secrets under the key-encryption key. */
const SEALED = new Set(["meter_keys", "meter_associations"]);
/** What only a migration writes. */
const STRUCTURE = new Set(["schema_migrations", "catalogue_seeds", "storage_policies"]);
/** Tables of this project outside its schema. */
const PUBLIC_TABLES = ["meters", "meter_readings", "meter_events"];

/** What the ingest writes; it reads everything but secrets of associations, and of keys those that open pushes. */
const INGEST_WRITES: Readonly<Record<string, readonly Privilege[]>> = {
  ...Object.fromEntries(
    [
      ...["energy_measurements", "power_readings", "voltage_measurements", "current_measurements"],
      ...["instant_profile", "block_load_profile", "billing_profile", "meter_readings", "meter_events"],
      ...["push_history", "invocation_counters", "security_events", "alerts", "daily_load_changes"],
    ].map((table) => [table, ["INSERT", "UPDATE"] as const]),
  ),
  raw_frames: ["INSERT"],
  quarantine: ["INSERT", "UPDATE", "DELETE"],
  reading_conflicts: ["INSERT"],
  event_logs: ["INSERT"],
  obis_codes: ["INSERT"],
  meter_types: ["INSERT"],
  meters: ["INSERT"],
};

/** One privilege on one thing, with how it is asked for and granted. */
interface Grant {
  readonly role: string;
  readonly privilege: string;
  readonly kind: "TABLE" | "COLUMN" | "SEQUENCE" | "FUNCTION" | "SCHEMA" | "DATABASE";
  /** Quoted, as GRANT takes it. */
  readonly on: string;
  readonly column?: string;
}

interface Relation {
  readonly name: string;
  /** Qualified and quoted. */
  readonly qualified: string;
  readonly isSequence: boolean;
}

/**
 * Makes the roles where they are missing and the connection may, and grants what is missing; after each migration, because tables are added.
 * What an operator has granted beyond it stays. Answers the roles that are missing because the connection may not make them.
 */
export async function grantRoles(client: Client, schema: string): Promise<string[]> {
  const missing = await makeRoles(client, schema);
  if (missing.length > 0) return missing;
  await client.query("BEGIN");
  try {
    const relations = await readRelations(client, schema);
    const wanted = [
      ...ROLES.flatMap((role) => grantsOf(role, schema, relations)),
      ...(await onDatabase(client, schema)),
    ];
    const lacking = await lackingOf(client, wanted);
    if (lacking.length > 0) await client.query(lacking.map(statement).join(";\n"));
    await hideKeys(client, schema);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => undefined);
    throw error;
  }
  return [];
}

async function makeRoles(client: Client, schema: string): Promise<string[]> {
  const names = ROLES.map((role) => nameOfRole(schema, role));
  const { rows } = await client.query("SELECT rolname FROM pg_roles WHERE rolname = ANY($1)", [names]);
  const missing = names.filter((name) => !rows.some((row) => row.rolname === name));
  if (missing.length === 0) return [];
  const { rows: may } = await client.query(
    "SELECT rolsuper OR rolcreaterole AS make FROM pg_roles WHERE rolname = current_user",
  );
  if (may[0]?.make !== true) return missing;
  for (const name of missing) {
    // Roles are the server's, and another database of it may make the same at this moment.
    await client.query(
      `DO $$ BEGIN CREATE ROLE ${quoteIdentifier(name)} NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`,
    );
  }
  return [];
}

async function readRelations(client: Client, schema: string): Promise<Relation[]> {
  const { rows } = await client.query(
    `SELECT c.relname AS name, format('%I.%I', n.nspname, c.relname) AS qualified, c.relkind = 'S' AS sequence
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND NOT c.relispartition
        AND (n.nspname = $1 OR (n.nspname = 'public' AND c.relname = ANY($2)))
      ORDER BY 2`,
    [schema, PUBLIC_TABLES],
  );
  return rows.map((row) => ({ name: row.name, qualified: row.qualified, isSequence: row.sequence }));
}

function grantsOf(name: RoleName, schema: string, relations: readonly Relation[]): Grant[] {
  const role = nameOfRole(schema, name);
  const home = quoteIdentifier(schema);
  const grants: Grant[] = [schema, "public"].map((on) => ({
    ...{ role, privilege: "USAGE", kind: "SCHEMA", on: quoteIdentifier(on) },
  }));
  for (const relation of relations) {
    for (const privilege of privilegesOf(name, relation)) {
      grants.push({
        role,
        privilege,
        kind: relation.isSequence ? "SEQUENCE" : "TABLE",
        on: relation.qualified,
      });
    }
  }
  const column = (privilege: string, on: string, column: string) =>
    grants.push({ role, privilege, kind: "COLUMN", on, column });
  const execute = (on: string) =>
    grants.push({ role, privilege: "EXECUTE", kind: "FUNCTION", on: `${home}.${on}` });
  if (name === "ingest") column("UPDATE", "public.meters", "last_seen_at");
  if (name === "keys") {
    column("UPDATE", `${home}.storage_policies`, "dropped_before");
    execute("drop_partition(regclass, timestamp with time zone)");
  }
  if (name !== "api") execute("make_partition(regclass, timestamp with time zone, timestamp with time zone)");
  return grants;
}

function privilegesOf(role: RoleName, { name, isSequence }: Relation): readonly string[] {
  if (isSequence) return role === "keys" || (role === "ingest" && name === "push_ids") ? ["USAGE"] : [];
  if (role === "api") return SEALED.has(name) ? [] : ["SELECT"];
  if (role === "keys") return STRUCTURE.has(name) ? ["SELECT"] : ["SELECT", "INSERT", "UPDATE", "DELETE"];
  return name === "meter_associations" ? [] : ["SELECT", ...(INGEST_WRITES[name] ?? [])];
}

/** Rows are merged in temporary tables. */
async function onDatabase(client: Client, schema: string): Promise<Grant[]> {
  const { rows } = await client.query("SELECT current_database() AS name");
  const on = quoteIdentifier(rows[0]!.name as string);
  return (["ingest", "keys"] as const).map((role) => ({
    ...{ role: nameOfRole(schema, role), privilege: "TEMPORARY", kind: "DATABASE", on },
  }));
}

const HAS: Readonly<Record<Grant["kind"], string>> = {
  TABLE: "has_table_privilege(role, thing, privilege)",
  COLUMN: "has_column_privilege(role, thing, col, privilege)",
  SEQUENCE: "has_sequence_privilege(role, thing, privilege)",
  FUNCTION: "has_function_privilege(role, thing, privilege)",
  SCHEMA: "has_schema_privilege(role, trim(both '\"' from thing), privilege)",
  DATABASE: "has_database_privilege(role, trim(both '\"' from thing), privilege)",
};

/** Granting what is there already would wait for everybody else who changes the same table. */
async function lackingOf(client: Client, grants: readonly Grant[]): Promise<Grant[]> {
  const lacking: Grant[] = [];
  for (const kind of Object.keys(HAS) as Grant["kind"][]) {
    const some = grants.filter((grant) => grant.kind === kind);
    const { rows } = await client.query(
      `SELECT n FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS w(role, thing, privilege, col, n)
        WHERE NOT ${HAS[kind]}`,
      [
        some.map(({ role }) => role),
        some.map(({ on }) => on),
        some.map(({ privilege }) => privilege),
        some.map(({ column }) => column ?? null),
      ],
    );
    lacking.push(...rows.map(({ n }) => some[Number(n) - 1]!));
  }
  return lacking;
}

function statement({ role, privilege, kind, on, column }: Grant): string {
  const what = column === undefined ? privilege : `${privilege} (${quoteIdentifier(column)})`;
  return `GRANT ${what} ON ${kind === "COLUMN" ? "TABLE" : kind} ${on} TO ${quoteIdentifier(role)}`;
}

/** Of the keys, the ingest sees those that open pushes: not the master key, and none that was given up. */
async function hideKeys(client: Client, schema: string): Promise<void> {
  const { rows } = await client.query(
    `SELECT relrowsecurity AS hidden, ARRAY(SELECT polname::text FROM pg_policy WHERE polrelid = c.oid) AS policies
       FROM pg_class c WHERE oid = to_regclass($1)`,
    [`${quoteIdentifier(schema)}.meter_keys`],
  );
  if (rows.length === 0) return;
  const policies = rows[0]!.policies as string[];
  const make = async (name: string, rest: string) => {
    if (!policies.includes(name)) await client.query(`CREATE POLICY ${name} ON meter_keys ${rest}`);
  };
  await make(
    "keys_of_pushes",
    `FOR SELECT TO ${quoteIdentifier(nameOfRole(schema, "ingest"))} USING (kind <> 'master' AND state <> 'WITHDRAWN')`,
  );
  await make("all_keys", `TO ${quoteIdentifier(nameOfRole(schema, "keys"))} USING (true) WITH CHECK (true)`);
  if (rows[0]!.hidden !== true) await client.query("ALTER TABLE meter_keys ENABLE ROW LEVEL SECURITY");
}
