import type pg from "pg";
import type { Client } from "./database.ts";

/**
 * Several statements as one message of the simple query protocol, which PostgreSQL runs as one transaction, and the octets of its COPYs
 * right behind it: one write and one wait, however many tables a batch fills. PostgreSQL comes to each COPY's octets when it has entered
 * that COPY; after an error it passes over what is left of them (documentation, "COPY Operations").
 */
export async function queryWithCopies(
  client: Client,
  statements: readonly string[],
  copies: readonly Buffer[],
): Promise<void> {
  const query = new BatchQuery(statements.join(";\n"), copies);
  client.query(query);
  await query.done;
}

/** What pg calls while the query is the connection's active one. */
class BatchQuery implements pg.Submittable {
  readonly done: Promise<void>;
  private readonly sql: string;
  private readonly copies: readonly Buffer[];
  private resolve!: () => void;
  private reject!: (error: Error) => void;

  constructor(sql: string, copies: readonly Buffer[]) {
    this.sql = sql;
    this.copies = copies;
    this.done = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  submit(connection: pg.Connection): void {
    const { stream } = connection;
    stream.cork();
    connection.query(this.sql);
    for (const octets of this.copies) stream.write(octets);
    stream.uncork();
  }

  handleReadyForQuery(): void {
    this.resolve();
  }

  handleError(error: Error): void {
    this.reject(error);
  }

  // The octets are on their way already.
  handleCopyInResponse(): void {}
  handleCommandComplete(): void {}
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleEmptyQuery(): void {}
}
