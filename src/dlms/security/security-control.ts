/**
 * The security control octet (Green Book 9.2.7.2.4): bits 0–3 suite, 4 authenticated, 5 encrypted, 6 broadcast key,
 * 7 compressed. 30 → suite 0, authenticated and encrypted.
 */
export const AUTHENTICATED = 0x10;
export const ENCRYPTED = 0x20;
export const BROADCAST_KEY = 0x40;
export const COMPRESSED = 0x80;

export type SecuritySuite = 0 | 1 | 2;

/** Number of the suite, 0 … 15, of which 0 … 2 are defined. */
export const suiteOf = (control: number): number => control & 0x0f;

/** The bits that say how an APDU is protected: 0, 0x10, 0x20 or 0x30. */
export const protectionOf = (control: number): number => control & (AUTHENTICATED | ENCRYPTED);

/** Octets of the keys of a suite; null where the suite is not defined. */
export function keyOctetsOf(suite: number): 16 | 32 | null {
  return suite === 2 ? 32 : suite < 2 ? 16 : null;
}

/** "authenticated+encrypted", as the configuration of meters spells it. */
export function describeProtection(control: number): string {
  switch (protectionOf(control)) {
    case AUTHENTICATED | ENCRYPTED:
      return "authenticated+encrypted";
    case AUTHENTICATED:
      return "authenticated";
    case ENCRYPTED:
      return "encrypted";
    default:
      return "none";
  }
}
