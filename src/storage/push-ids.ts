import type { Database } from "./database.ts";

/** Identifiers that one value of the sequence stands for. */
const BLOCK = 10_000;

/** Identifiers for pushes and their frames, by the block: a push costs no visit to the sequence. A crash skips the rest of a block. */
export class PushIds {
  private readonly database: Database;
  private next = 0;
  private end = 0;
  private fetching: Promise<void> | null = null;

  constructor(database: Database) {
    this.database = database;
  }

  async take(count: number): Promise<number[]> {
    const ids: number[] = [];
    while (ids.length < count) {
      if (this.next === this.end) {
        this.fetching ??= this.fetch().finally(() => {
          this.fetching = null;
        });
        await this.fetching;
        continue;
      }
      ids.push(this.next);
      this.next += 1;
    }
    return ids;
  }

  private async fetch(): Promise<void> {
    const [row] = await this.database.query("SELECT nextval('push_ids') AS block");
    this.next = row!["block"] * BLOCK;
    this.end = this.next + BLOCK;
  }
}
