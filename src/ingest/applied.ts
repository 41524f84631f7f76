import type { AcceptedPush, CommitOutcome } from "../storage/accepted-push.ts";
import type { MeterRecord } from "../storage/meter-record.ts";
import type { AlertFeed } from "./alert-feed.ts";
import type { IngestObserver } from "./observer.ts";

/** What follows the COMMIT of a push: it is counted, and events that nobody has told before go through the alert rules. */
export function noteApplied(
  { verdict, rowsNew }: CommitOutcome,
  { push, meter }: { readonly push: AcceptedPush; readonly meter: MeterRecord | null },
  { observer, alerts }: { readonly observer: IngestObserver; readonly alerts: AlertFeed },
): void {
  observer.pushDone(verdict === "replay" ? "refused" : verdict);
  if (verdict !== "applied") return;
  countRows(push.rows, observer);
  if (meter !== null) alerts.add(meter, rowsNew);
}

function countRows(rows: readonly { table: { name: string } }[], observer: IngestObserver): void {
  let name = "";
  let count = 0;
  for (const { table } of rows) {
    if (table.name !== name) {
      if (count > 0) observer.rowsStored(name, count);
      name = table.name;
      count = 0;
    }
    count++;
  }
  if (count > 0) observer.rowsStored(name, count);
}
