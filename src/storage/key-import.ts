import type { KeyRing } from "../keys/key-ring.ts";
import { keyOctets } from "../keys/secret-text.ts";
import type { Client, Database } from "./database.ts";
import { type CsvLine, ImportProblems, readCsvLines } from "./import-csv.ts";
import { LineReader } from "./meter-cells.ts";
import type { ImportOptions } from "./meter-import.ts";
import { type NewKey, storeKeys } from "./meter-keys.ts";
import { findSharedKeys, type SharedKey } from "./shared-keys.ts";

export const KEY_COLUMNS = [
  "meter_number",
  "client_sap",
  "mechanism",
  "secret",
  "guek",
  "gak",
  "dedicated",
  "context",
  "pre_established",
  "conformance",
  "max_receive_pdu_size",
] as const;
const CONTEXTS = ["auto", "plain", "ciphered"];
const MECHANISMS = ["none", "lls", "hls2", "hls3", "hls4", "hls5", "hls6", "hls7"];
/** Longest secret of an association, in octets. */
const SECRET_MAX = 64;

export interface KeyImportReport {
  readonly associations: number;
  readonly keysStored: number;
  /** Keys of these meters that other meters have too; not looked for in a dry run. */
  readonly sharedKeys: readonly SharedKey[];
}

interface AssociationLine {
  readonly line: number;
  readonly meterNumber: string;
  readonly clientSap: number;
  readonly mechanism: string;
  readonly context: string;
  readonly preEstablished: { readonly conformance: number; readonly maxReceivePduSize: number } | null;
  readonly secret: Buffer | null;
  readonly keys: readonly { readonly kind: "guek" | "gak" | "dedicated"; readonly secret: Buffer }[];
}

function readAssociation(line: CsvLine, problems: ImportProblems): AssociationLine {
  const cells = new LineReader(line, problems);
  if (cells.text("client_sap") === null) cells.fail("client_sap is empty");
  const secret = cells.octets("secret");
  if (secret && secret.length > SECRET_MAX) {
    cells.fail(`secret has ${secret.length} octets; at most ${SECRET_MAX} can be`);
  }
  const mechanism = cells.oneOf("mechanism", MECHANISMS) ?? "none";
  if ((mechanism === "lls" || mechanism === "hls2") && secret === null) {
    cells.fail(`mechanism is ${mechanism}, and secret is empty`);
  }
  return {
    line: line.number,
    meterNumber: cells.required("meter_number"),
    clientSap: cells.integer("client_sap", 1, 255) ?? 0,
    mechanism,
    context: cells.oneOf("context", CONTEXTS) ?? "auto",
    preEstablished: readPreEstablished(cells, mechanism),
    secret,
    keys: (["guek", "gak", "dedicated"] as const).flatMap((kind) => {
      const key = cells.octets(kind);
      return key ? [{ kind, secret: key }] : [];
    }),
  };
}

/** null: the association is opened by AARQ, which negotiates the rest. */
function readPreEstablished(cells: LineReader, mechanism: string): AssociationLine["preEstablished"] {
  const conformance = cells.conformance("conformance");
  const maxReceivePduSize = cells.integer("max_receive_pdu_size", 0, 0xffff);
  if ((cells.oneOf("pre_established", ["no", "yes"]) ?? "no") === "no") {
    if (conformance !== null || maxReceivePduSize !== null) {
      cells.fail("conformance and max_receive_pdu_size are negotiated; they belong to pre_established yes");
    }
    return null;
  }
  if (mechanism !== "none")
    cells.fail(`pre_established is yes: nobody is authenticated by ${mechanism} then`);
  if (cells.text("dedicated") !== null) {
    cells.fail("pre_established is yes: without AARQ there is no dedicated key");
  }
  if (cells.text("conformance") === null || cells.text("max_receive_pdu_size") === null) {
    cells.fail(
      "pre_established is yes: conformance and max_receive_pdu_size are needed, as attribute 5 of the meter's association object tells them",
    );
  }
  return { conformance: conformance ?? 0, maxReceivePduSize: maxReceivePduSize ?? 0 };
}

/**
 * Adds or changes the associations of meters and the keys that belong to one association only (columns KEY_COLUMNS, header first).
 * @throws UserError naming every bad line; nothing is imported then
 */
export async function importKeys(
  database: Database,
  ring: KeyRing,
  csvText: string,
  options: ImportOptions = {},
): Promise<KeyImportReport> {
  const problems = new ImportProblems();
  const lines = readCsvLines(csvText, KEY_COLUMNS, ["meter_number", "client_sap"]).map((line) =>
    readAssociation(line, problems),
  );
  const seen = new Map<string, number>();
  for (const { line, meterNumber, clientSap } of lines) {
    const before = seen.get(`${meterNumber}|${clientSap}`);
    if (before !== undefined) problems.add(line, `meter and client_sap are those of line ${before}`);
    seen.set(`${meterNumber}|${clientSap}`, line);
  }
  problems.throwIfAny();
  return database.transaction(async (client) => {
    const meters = await metersOf(client, lines);
    const keys: NewKey[] = [];
    for (const { line, meterNumber, clientSap, keys: own } of lines) {
      const meter = meters.get(meterNumber);
      if (!meter) {
        problems.add(line, `no meter has the number ${meterNumber}: import meters before their keys`);
        continue;
      }
      for (const key of own) {
        const expected = keyOctets(meter.suite);
        if (key.secret.length !== expected) {
          problems.add(
            line,
            `${key.kind} has ${key.secret.length} octets; security suite ${meter.suite} takes ${expected}`,
          );
        }
        keys.push({ ...key, meterId: meter.id, clientSap });
      }
    }
    problems.throwIfAny();
    if (!options.dryRun) await storeAssociations(client, ring, lines, meters);
    const associations = lines.length;
    if (options.dryRun) return { associations, keysStored: keys.length, sharedKeys: [] };
    const keysStored = await storeKeys(client, ring, keys);
    const sharedKeys = await findSharedKeys(
      client,
      [...meters.values()].map(({ id }) => id),
    );
    return { associations, keysStored, sharedKeys };
  });
}

interface MeterOfLine {
  readonly id: string;
  readonly suite: number;
}

async function metersOf(
  client: Client,
  lines: readonly AssociationLine[],
): Promise<Map<string, MeterOfLine>> {
  const { rows } = await client.query(
    "SELECT id, meter_number, security_suite FROM public.meters WHERE meter_number = ANY($1)",
    [lines.map(({ meterNumber }) => meterNumber)],
  );
  return new Map(rows.map((row) => [row.meter_number as string, { id: row.id, suite: row.security_suite }]));
}

/** Secrets are sealed like keys: kind `secret`, and the association's id in place of a key's. */
async function storeAssociations(
  client: Client,
  ring: KeyRing,
  lines: readonly AssociationLine[],
  meters: ReadonlyMap<string, MeterOfLine>,
): Promise<void> {
  const { rows } = await client.query(
    `INSERT INTO meter_associations (meter_id, client_sap, mechanism, context, pre_established, conformance, max_receive_pdu_size)
     SELECT meter, sap, mechanism, context, conformance IS NOT NULL, conformance, size
       FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::text[], $5::int[], $6::int[]) AS x(meter, sap, mechanism, context, conformance, size)
     ON CONFLICT (meter_id, client_sap) DO UPDATE SET mechanism = excluded.mechanism, context = excluded.context,
       pre_established = excluded.pre_established, conformance = excluded.conformance, max_receive_pdu_size = excluded.max_receive_pdu_size
     RETURNING id, meter_id, client_sap`,
    [
      lines.map(({ meterNumber }) => meters.get(meterNumber)!.id),
      lines.map(({ clientSap }) => clientSap),
      lines.map(({ mechanism }) => mechanism),
      lines.map(({ context }) => context),
      lines.map(({ preEstablished }) => preEstablished?.conformance ?? null),
      lines.map(({ preEstablished }) => preEstablished?.maxReceivePduSize ?? null),
    ],
  );
  const ids = new Map(rows.map((row) => [`${row.meter_id}|${row.client_sap}`, row.id as number]));
  const sealed = lines.flatMap(({ meterNumber, clientSap, secret }) => {
    if (secret === null) return [];
    const meterId = meters.get(meterNumber)!.id;
    const keyId = ids.get(`${meterId}|${clientSap}`)!;
    return [{ keyId, envelope: ring.seal(secret, { meterId, kind: "secret", keyId, systemTitle: null }) }];
  });
  await client.query(
    `UPDATE meter_associations a SET secret = x.secret FROM unnest($1::int[], $2::bytea[]) AS x(id, secret) WHERE a.id = x.id`,
    [sealed.map(({ keyId }) => keyId), sealed.map(({ envelope }) => envelope)],
  );
}
