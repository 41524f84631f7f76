import { writeFileSync } from "node:fs";
import { modelToJson } from "../dlms/cosem/meter-model.ts";
import { formatObis } from "../dlms/cosem/obis-code.ts";
import { EXIT, UserError } from "../exit.ts";
import type { MeterAssociation } from "../polling/meter-association.ts";
import { ObjectListUnreadable } from "../polling/object-list.ts";
import { ModelBuilder, readModel } from "../polling/read-model.ts";
import type { Program } from "./program.ts";
import { clientSapOf, type MeterSession, withMeter } from "./with-meter.ts";

export interface ReadAllOptions {
  /** Client SAPs, one after the other: "16,32,48". */
  readonly client: string;
  /** File to write; standard output where there is none. */
  readonly output?: string;
  readonly rows: string;
}

/** Most rows of a profile that a model may hold. */
const ROWS_MAX = 10_000;
/** The management logical device. */
const SERVER_SAP = 1;

/** `hes read METER --all`: walks the object lists of the associations and writes a meter model (docs/reference/meter-model.md). */
export function readAll(program: Program, name: string, options: ReadAllOptions): Promise<void> {
  const clients = options.client.split(",").map((text) => clientSapOf(text.trim()));
  const rowsMax = Number(options.rows);
  if (!Number.isInteger(rowsMax) || rowsMax < 1 || rowsMax > ROWS_MAX) {
    throw new UserError(EXIT.usage, `--rows is a number from 1 to ${ROWS_MAX}`);
  }
  return withMeter(program, name, async (session) => {
    const readAt = new Date().toISOString();
    const builder = new ModelBuilder();
    let systemTitle = session.meter.systemTitle;
    for (const clientSap of clients) {
      const association = await session.associate(clientSap);
      systemTitle = association.meterSystemTitle?.toString("hex") ?? systemTitle;
      await walk(program, session, builder, rowsMax, association);
    }
    const model = modelToJson({
      readAt,
      meter: identityOf(session, systemTitle),
      associations: builder.associations,
      objects: builder.objects,
    });
    write(program, options.output, `${JSON.stringify(model, null, 1)}\n`);
    const attributes = builder.objects.flatMap((object) => [...object.attributes.values()]);
    const missing = attributes.filter(({ kind }) => kind === "missing").length;
    program.complain(
      `${builder.objects.length} objects, ${attributes.length - missing} attributes read, ${missing} missing (each says why).`,
    );
  });
}

async function walk(
  program: Program,
  { meter, associate }: MeterSession,
  builder: ModelBuilder,
  rowsMax: number,
  association: MeterAssociation,
): Promise<void> {
  const { clientSap } = association;
  const serverSap = meter.serverSap ?? SERVER_SAP;
  try {
    await readModel(association, builder, {
      serverSap,
      rowsMax,
      onObject: ({ classId, logicalName }, index, count) => {
        program.complain(
          `client ${clientSap}: ${index + 1} of ${count}, ${classId}/${formatObis(logicalName)}`,
        );
      },
      reopen: () => {
        program.complain(
          `client ${clientSap}: the association broke at this object; on with the next in a new one`,
        );
        return associate(clientSap);
      },
    });
  } catch (error) {
    if (error instanceof ObjectListUnreadable) {
      throw new UserError(EXIT.unavailable, `client ${clientSap}: ${error.message}`);
    }
    throw error;
  }
}

const identityOf = ({ meter }: MeterSession, systemTitle: string | null) => ({
  meterNumber: meter.meterNumber,
  meterType: meter.meterType,
  manufacturer: meter.manufacturer,
  logicalDeviceName: meter.logicalDeviceName,
  systemTitle,
});

function write(program: Program, path: string | undefined, text: string): void {
  if (path === undefined) {
    program.print(text.trimEnd());
    return;
  }
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw new UserError(EXIT.data, `the model could not be written: ${(error as Error).message}`);
  }
}
