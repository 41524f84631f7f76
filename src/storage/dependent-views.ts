import type { Client } from "./database.ts";
import { StorageError } from "./storage-error.ts";

interface SavedRelation {
  /** Qualified and quoted. */
  readonly name: string;
  readonly kind: string;
  readonly definition: string | null;
  readonly comment: string | null;
  /** GRANT statements without the name's change: they are run when the relation is there again. */
  readonly grants: readonly string[];
}

/**
 * Takes away everything that is defined over some relations, so that these can be replaced, and makes it again: views (of ours, in
 * `_timescaledb_cache`, and of users) and the grants on them and on the relations themselves.
 */
export async function setAsideViews(client: Client, relations: readonly string[]): Promise<SetAside> {
  const { rows } = await client.query(DEPENDENTS, [relations]);
  const views = rows as SavedRelation[];
  const odd = views.find(({ kind }) => kind !== "v");
  if (odd) {
    throw new StorageError(
      "internal",
      `${odd.name} is defined over ${relations.join(", ")} and is no plain view: drop it first, and make it again afterwards.`,
    );
  }
  const { rows: own } = await client.query(GRANTS_OF, [relations]);
  for (const { name } of [...views].reverse()) await client.query(`DROP VIEW ${name}`);
  return {
    restore: async () => {
      for (const { grants } of own as SavedRelation[]) await runAll(client, grants);
      for (const view of views) {
        await client.query(`CREATE VIEW ${view.name} AS ${view.definition}`);
        if (view.comment !== null) {
          await client.query(`COMMENT ON VIEW ${view.name} IS '${view.comment.replaceAll("'", "''")}'`);
        }
        await runAll(client, view.grants);
      }
    },
  };
}

export interface SetAside {
  /** Makes the views again, in the order of their dependence. */
  restore(): Promise<void>;
}

async function runAll(client: Client, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await client.query(statement);
}

const NAME = "format('%I.%I', n.nspname, c.relname)";
const GRANTS = `coalesce((SELECT array_agg(format('GRANT %s ON %s TO %s', a.privilege_type, ${NAME},
    CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END))
  FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner), '{}')`;

/** In an order in which they can be made. */
const DEPENDENTS = `
  WITH RECURSIVE found (oid, depth) AS (
    SELECT r.ev_class, 1 FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
     WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
       AND d.refobjid = ANY($1::regclass[]) AND r.ev_class <> d.refobjid
    UNION
    SELECT r.ev_class, f.depth + 1 FROM found f JOIN pg_depend d ON d.refobjid = f.oid JOIN pg_rewrite r ON r.oid = d.objid
     WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND r.ev_class <> f.oid)
  SELECT ${NAME} AS name, c.relkind AS kind, pg_get_viewdef(c.oid) AS definition, obj_description(c.oid) AS comment, ${GRANTS} AS grants
    FROM (SELECT oid, max(depth) AS depth FROM found GROUP BY oid) f JOIN pg_class c USING (oid)
    JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.oid <> ALL($1::regclass[]) ORDER BY f.depth, c.oid`;

const GRANTS_OF = `
  SELECT ${NAME} AS name, c.relkind AS kind, NULL AS definition, NULL AS comment, ${GRANTS} AS grants
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY($1::regclass[])`;
