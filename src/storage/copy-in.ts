import { once } from "node:events";
import { from } from "pg-copy-streams";
import type { Client } from "./database.ts";

/** Sends `data` as the octets of `COPY … FROM STDIN`. */
export async function copyIn(client: Client, sql: string, data: Buffer): Promise<void> {
  const stream = client.query(from(sql));
  stream.end(data);
  await once(stream, "finish");
}
