/** Whose counter: counters are kept per key, originator and client SAP. */
export interface CounterName {
  /** Row of `meter_keys`. */
  readonly keyId: number;
  /** Of the originator, 16 hex digits in lower case. */
  readonly systemTitle: string;
  readonly clientSap: number;
  /** All three: what a counter is looked up by. Made once for a meter and not for each of its pushes, or hashing it would cost more than the look-up. */
  readonly text: string;
}

export function counterName(keyId: number, systemTitle: string, clientSap: number): CounterName {
  return { keyId, systemTitle, clientSap, text: `${keyId}/${systemTitle}/${clientSap}` };
}
