import type { Catalogue } from "../catalogue/catalogue.ts";
import type { MappingRecords, ScalerRecord } from "./configuration.ts";

/** The catalogue as a configuration without a database: for `hes decode` and for tests. Ids are positions, from 1. */
export function recordsOfCatalogue(
  catalogue: Catalogue,
  scalers: readonly ScalerRecord[] = [],
): MappingRecords {
  return {
    objects: catalogue.objects.map((object, index) => ({ ...object, id: index + 1 })),
    lists: catalogue.pushLists.map((list, index) => ({
      ...list,
      id: index + 1,
      setupId: null,
      meterId: null,
      meterType: null,
    })),
    meterTypes: catalogue.meterTypes,
    scalers: [...catalogue.scalers, ...scalers],
    events: catalogue.events,
    statusBits: [...catalogue.esw, ...catalogue.alarms],
  };
}
