/** A change of one place in the compiled code: a policy that somebody might think of, and that is wrong. */
export interface WrongPolicy {
  readonly name: string;
  /** From the root of the compiled tree. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/*
 * Not among them: never to read on from a meter that had to wait. It dials again when it isn't confirmed, and is read from then: that costs time, and
 * nothing that a run looks at. test/ingest/durable-log.test.ts looks at reading on.
 */
export const WRONG_POLICIES: readonly WrongPolicy[] = [
  {
    name: "acknowledge when it is written, and leave the syncing to the system",
    file: "src/durable-log/spool/writer.js",
    find: "await segment.file.datasync();",
    replace: "",
  },
  {
    name: "sync the same file again after it failed",
    file: "src/durable-log/spool/writer.js",
    find: "await segment.file.datasync();",
    replace: "await segment.file.datasync().catch(() => undefined);",
  },
  {
    name: "trim the log when a push is read, and on its way to the database",
    file: "src/ingest/storing.js",
    find: "read(push, position) {",
    replace: "read(push, position) { this.parts.durableLog.trim([position]); return;",
  },
  {
    name: "acknowledge when a push is on its way to the log and to the database",
    file: "src/ingest/drain.js",
    find: "const push = new DrainedPush(mapped, settled);",
    replace: "const push = new DrainedPush(mapped, settled); push.tell(true);",
  },
  {
    name: "give up what the database could not take because the log has not answered yet",
    file: "src/ingest/storing.js",
    find: "if (isLogged === null || isStored === null)",
    replace: "if (isStored === null)",
  },
  {
    name: "take what was read from the log after a restart for new",
    file: "src/durable-log/spool/reader.js",
    find: "again: segment.recovered",
    replace: "again: false",
  },
  {
    name: "give up a push that the database could not take",
    file: "src/ingest/steps.js",
    find: "if (patience.none || !isAway(error))",
    replace: "if (patience.none || attempt > 2 || !isAway(error))",
  },
  {
    name: "number records from the mark after a restart",
    file: "src/durable-log/spool/recover.js",
    find: "next = Math.max(next, first, contents.next);",
    replace: "",
  },
  {
    name: "forget the counters in the log at a restart",
    file: "src/ingest/logged-counters.js",
    find: "rememberDigest(state, frame);",
    replace: "state.high = null;",
  },
  {
    name: "acknowledge whatever has an old counter",
    file: "src/ingest/counter-verdict.js",
    find: 'if (verdict === "retransmission" ||',
    replace: 'if (verdict !== "fresh" ||',
  },
  {
    name: "acknowledge a retransmission while the push itself is on its way",
    file: "src/ingest/underway.js",
    find: "if (underway === undefined) {",
    replace: "if (true) {",
  },
  {
    name: "say how far the log is drained before it is",
    file: "src/durable-log/spool/spool.js",
    find: "const { sequence } = this.mark;",
    replace: "const sequence = this.mark.sequence + 2;",
  },
  {
    name: "move the counter when it is stored, and not when it is accepted",
    file: "src/ingest/counter-verdict.js",
    find: "acceptCounter(state, counter, digest);",
    replace: "",
  },
  {
    name: "remove a segment that was read",
    file: "src/durable-log/spool/spool.js",
    find: "one.sealed && one.untrimmed <= 0 && isRead(one)",
    replace: "one.sealed && isRead(one)",
  },
  {
    name: "hand records over to the reader although older ones wait in a file",
    file: "src/durable-log/spool/reader.js",
    find: "!isNext || ",
    replace: "",
  },
  {
    name: "read from the file once more what was handed over",
    file: "src/durable-log/spool/reader.js",
    find: "segment.cursor = segment.end;",
    replace: "",
  },
];
