import type { Data } from "../encoding/data-types.ts";

/** scal_unit_type: value in unit = raw value × 10^scaler. */
export interface ScalerUnit {
  readonly scaler: number;
  /** The unit's number; see unit.ts. */
  readonly unit: number;
}

/** The structure { integer, enum }, or null where the data is something else. */
export function scalerUnitFromData(data: Data): ScalerUnit | null {
  if (data.type !== "structure" || data.value.length !== 2) return null;
  const scaler = data.value[0]!;
  const unit = data.value[1]!;
  if (scaler.type !== "integer" || unit.type !== "enum") return null;
  return { scaler: scaler.value, unit: unit.value };
}

export function scalerUnitToData({ scaler, unit }: ScalerUnit): Data {
  return {
    type: "structure",
    value: [
      { type: "integer", value: scaler },
      { type: "enum", value: unit },
    ],
  };
}
