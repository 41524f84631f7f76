import type { Discarded } from "./deframed.ts";

/**
 * A link carries whole APDUs over octets. Sans-IO: what comes in is given to it with the time, and after every call what goes out, when
 * it wants to be woken, and what has happened are asked for until there is nothing more. `now` is in milliseconds of any clock that
 * only goes forward.
 */
export interface Link {
  /** Begins to open the link; "connected" follows, or "disconnected". */
  connect(now: number): void;
  /** Begins to close it; "disconnected" follows. */
  disconnect(now: number): void;
  /** Sends an APDU, or keeps it until the other side may be sent to. */
  send(apdu: Buffer, now: number): void;
  /** More is expected of the other side, although it has sent an APDU: asks for it where the link's rules need that. */
  poll(now: number): void;
  receive(octets: Buffer, now: number): void;
  handleTimeout(now: number): void;
  /** When `handleTimeout` is to be called; null: never. */
  deadline(): number | null;
  /** Octets to transmit; null where there are none. */
  takeOutput(): Buffer | null;
  takeEvent(): LinkEvent | null;
}

export type LinkEvent =
  | { readonly kind: "connected" }
  | LinkApdu
  | { readonly kind: "disconnected"; readonly reason: LinkEnd; readonly text: string }
  | Discarded;

export interface LinkApdu {
  readonly kind: "apdu";
  /** A buffer of its own, or a view of octets that are not written to again. */
  readonly apdu: Buffer;
  /** SAP of who sent it and of whom it is for. */
  readonly source: number;
  readonly destination: number;
  /** It came beside the conversation: a UI frame, or for another client. */
  readonly unsolicited: boolean;
}

/**
 * requested: by `disconnect` · refused: the other side doesn't open the link · peer: it closed it · timeout: it does not answer ·
 * protocol: it broke the rules.
 */
export type LinkEnd = "requested" | "refused" | "peer" | "timeout" | "protocol";
