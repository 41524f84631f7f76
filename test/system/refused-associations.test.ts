import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { type DaemonProcess, eventually, startDaemonProcess } from "../support/daemon.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type CommandLine, commandLine } from "../support/hes.ts";

/** A process that starts on a busy machine takes its time. */
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

/** Associate source: result rejected-permanent (1), diagnostic 13, authentication failure (Green Book 9.5). */
const REJECTED = "611FA109060760857405080101A203020101A305A10302010DBE0604040E010601";
/** Accepted with mechanism 3, and a challenge of seven octets, where 8 to 64 are allowed (Green Book 9.2.7.4). */
const SHORT_CHALLENGE =
  "6141A109060760857405080101A203020100A305A10302010E88020780890760857405080203AA09800753657276657243" +
  "BE10040E0800065F1F040000301D02000007";

let test: TestDatabase;
let cli: CommandLine;
let daemon: DaemonProcess;
const meters: Server[] = [];

/** A meter that gives the same answer to whatever comes, in wrapper framing. */
async function meter(aare: string): Promise<number> {
  const apdu = Buffer.from(aare, "hex");
  const answer = Buffer.from("0001000100200000", "hex");
  answer.writeUInt16BE(apdu.length, 6);
  const server = createServer((socket) => {
    socket.on("data", () => socket.write(Buffer.concat([answer, apdu]))).on("error", () => undefined);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  meters.push(server);
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  test = await createTestDatabase();
  cli = commandLine(test.url);
  const lines = [
    "meter_number,meter_type,required_protection,framing,mode,host,port,server_sap",
    `REFUSES,D1,none,wrapper,dial,127.0.0.1,${await meter(REJECTED)},1`,
    `FALSE,D1,none,wrapper,dial,127.0.0.1,${await meter(SHORT_CHALLENGE)},1`,
  ];
  const imported = await cli.hes("meters", "import", cli.file("meters.csv", `${lines.join("\n")}\n`));
  expect(imported).toMatchObject({ code: 0 });
  const keys = [
    "meter_number,client_sap,mechanism,secret,context",
    "REFUSES,32,lls,text:secret,plain",
    "FALSE,32,hls3,text:secret,plain",
  ];
  expect(await cli.hes("keys", "import", cli.file("keys.csv", `${keys.join("\n")}\n`))).toMatchObject({
    code: 0,
  });
  daemon = await startDaemonProcess({
    HES_DATABASE__URL: test.url,
    HES_DATA_DIR: join(cli.folder, "data"),
  });
});
afterAll(async () => {
  await daemon?.end("SIGTERM");
  for (const server of meters) server.close();
  cli?.remove();
  await test.drop();
});

it("counts what is refused in associations of its own, and notes it as security events of the meter", async () => {
  await test.database.query(
    `INSERT INTO poll_tasks (purpose, meter_id, push_object_id, client_sap, due_at, start_at, priority, retry_max)
     SELECT 'on-demand', m.id, (SELECT min(id) FROM push_objects WHERE kind = 'poll' AND category = 'D1'), 32, now(), now(), 0, 0
       FROM public.meters m`,
  );
  const text = await eventually(async () => {
    const all = await (await fetch(`${daemon.http}/metrics`)).text();
    return /reason="association_refused"} [1-9]/.test(all) && /reason="hls_failed"} [1-9]/.test(all)
      ? all
      : null;
  }, "both are counted");
  expect(text).toMatch(/^hes_refused_total\{reason="association_refused"\} 1$/m);
  expect(text).toMatch(/^hes_refused_total\{reason="hls_failed"\} 1$/m);
  const noted = await eventually(async () => {
    const rows = await test.database.query(
      `SELECT m.meter_number, e.reason, e.source, e.occurrences FROM security_events e JOIN public.meters m ON m.id = e.meter_id ORDER BY 1`,
    );
    return rows.length === 2 ? rows : null;
  }, "both are noted");
  expect(noted).toMatchObject([
    { meter_number: "FALSE", reason: "hls_failed", source: "127.0.0.1", occurrences: 1 },
    { meter_number: "REFUSES", reason: "association_refused", source: "127.0.0.1", occurrences: 1 },
  ]);
});

it("notes what a command meets, too", async () => {
  expect((await cli.hes("read", "FALSE", "1.0.1.8.0.255", "--client", "32")).code).not.toBe(0);
  await eventually(async () => {
    const [row] = await test.database.query(
      "SELECT sum(occurrences)::int AS n FROM security_events WHERE reason = 'hls_failed'",
    );
    return row!["n"] === 2 ? row! : null;
  }, "it is noted");
});
