/*
 * Days whose raw rows retention may have dropped must not be made again: what is left of them, or what came late, would take the place
 * of the whole day. A day also needs the midnight register that ends the day before.
 */

/** SQL: the first day that may be written, a date or NULL where nothing was ever dropped. `zone` is an SQL expression. */
export const firstWritableDay = (zone: string) =>
  `(SELECT (max(dropped_before) AT TIME ZONE ${zone})::date + 2 FROM storage_policies
     WHERE table_name IN ('energy_measurements', 'voltage_measurements'))`;
