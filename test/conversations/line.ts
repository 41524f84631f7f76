import type { Exchange, ServiceMeans } from "../../src/dlms/association/client-exchange.ts";
import type { ClientOptions } from "../../src/dlms/association/client-options.ts";
import { ClientSession, type SessionEvent } from "../../src/dlms/association/client-session.ts";
import { ServerSession, type ServerSessionOptions } from "../../src/dlms/association/server-session.ts";
import type { Link } from "../../src/dlms/bytes/link.ts";
import { type Faults, Pipe, random } from "./pipe.ts";

/** Steps of the virtual clock after which a conversation counts as hanging. */
const STEPS_MAX = 200_000;

/** A client and a meter at the ends of a line, on a clock of their own. */
export class Conversation {
  readonly client: ClientSession;
  readonly server: ServerSession;
  readonly events: SessionEvent[] = [];
  now = 0;
  readonly #there: Pipe;
  readonly #back: Pipe;
  #steps = 0;

  constructor(
    link: Link,
    options: ClientOptions,
    server: ServerSessionOptions,
    faults: Faults,
    seed: number,
  ) {
    this.client = new ClientSession(link, options);
    this.server = new ServerSession(server);
    this.#there = new Pipe(faults, random(seed));
    this.#back = new Pipe(faults, random(seed + 0x5bd1e995));
  }

  open(): SessionEvent {
    this.client.open(this.now);
    return this.until("associated", "failed");
  }

  run(service: (means: ServiceMeans) => Exchange<unknown>): SessionEvent {
    this.client.run(service, this.now);
    return this.until("done", "exchange-failed", "failed");
  }

  close(): SessionEvent {
    this.client.close(this.now);
    return this.until("closed");
  }

  /** Lets time go on until one of these happens. @throws Error where nothing would ever happen any more */
  until(...kinds: SessionEvent["kind"][]): SessionEvent {
    for (;;) {
      this.#move();
      for (let event = this.client.takeEvent(); event !== null; event = this.client.takeEvent()) {
        this.events.push(event);
        if (kinds.includes(event.kind)) return event;
      }
      if (++this.#steps > STEPS_MAX) throw new Error(`no ${kinds.join(", ")} after ${this.now} ms: it hangs`);
      const times = [this.client.deadline(), this.server.deadline(), this.#there.next(), this.#back.next()];
      const next = Math.min(...times.filter((time) => time !== null));
      if (next === Number.POSITIVE_INFINITY) throw new Error(`nothing more happens after ${this.now} ms`);
      this.now = Math.max(this.now, next);
      this.#deliver();
    }
  }

  #move(): void {
    for (let out = this.client.takeOutput(); out !== null; out = this.client.takeOutput())
      this.#there.put(out, this.now);
    for (let out = this.server.takeOutput(); out !== null; out = this.server.takeOutput())
      this.#back.put(out, this.now);
  }

  #deliver(): void {
    for (let octets = this.#there.take(this.now); octets !== null; octets = this.#there.take(this.now)) {
      this.server.receive(Buffer.from(octets), this.now);
    }
    for (let octets = this.#back.take(this.now); octets !== null; octets = this.#back.take(this.now)) {
      this.client.receive(Buffer.from(octets), this.now);
    }
    if ((this.server.deadline() ?? Number.POSITIVE_INFINITY) <= this.now) this.server.handleTimeout(this.now);
    if ((this.client.deadline() ?? Number.POSITIVE_INFINITY) <= this.now) this.client.handleTimeout(this.now);
  }
}
