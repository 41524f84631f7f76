/** What the lines of a fleet count together. */
export interface LineCounts {
  /** Connections made. */
  connections: number;
  /** Connections that could not be made, or broke. */
  failures: number;
  /** Octets handed to a connection. */
  octets: number;
  /** Pushes sent once more because the connection broke behind them. */
  repeats: number;
  /** Pushes that wait to be sent. */
  waiting: number;
  /** Connections that meters have forgotten and never closed. */
  halfOpen: number;
  /** Pushes of which, in the end, nobody knows whether they arrived: the head-end did not close the connection in time. */
  doubtful: number;
  /** Pushes whose confirmation has come. */
  confirmed: number;
  /** Pushes sent once more because their confirmation had not come in time. */
  retries: number;
  /** Pushes whose confirmation never came, however often they were sent. */
  unconfirmed: number;
}

export function noCounts(): LineCounts {
  return {
    ...{ connections: 0, failures: 0, octets: 0, repeats: 0, waiting: 0, halfOpen: 0, doubtful: 0 },
    ...{ confirmed: 0, retries: 0, unconfirmed: 0 },
  };
}
