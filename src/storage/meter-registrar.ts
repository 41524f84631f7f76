import type { Database } from "./database.ts";
import type { MeterRegistrar } from "./ingest-stores.ts";
import type { MeterDirectory } from "./meter-record.ts";

/** Type of meters that registered themselves, until somebody says what they are. */
const TYPE = "UNKNOWN";

/** Makes meters of what strangers say of themselves (security.unknown_meters = "register"): for test benches, not for the field. */
export function openMeterRegistrar(
  database: Database,
  directory: MeterDirectory & { forget(): void },
): MeterRegistrar {
  return {
    register: async ({ meterNumber, systemTitle }) => {
      await database.query(
        `INSERT INTO meter_types (name, category, description) VALUES ($1, 'unknown', 'meters that registered themselves')
         ON CONFLICT (name) DO NOTHING`,
        [TYPE],
      );
      // Without a key nothing can be asked of its protection; with a system title it will need one.
      await database.query(
        `INSERT INTO public.meters (meter_number, meter_type, system_title, required_protection, meter_group)
         VALUES ($1, $2, $3, $4, 'registered') ON CONFLICT DO NOTHING`,
        [meterNumber, TYPE, systemTitle, systemTitle === null ? 0 : 0x30],
      );
      directory.forget();
      return systemTitle === null
        ? directory.byIdentifier(meterNumber)
        : directory.bySystemTitle(systemTitle);
    },
  };
}
