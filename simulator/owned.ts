/**
 * The same octets in memory of their own. What is short shares 8 KiB with its neighbours otherwise, and keeps all of them: for what meters
 * remember that is ten times what they need.
 */
export function owned(octets: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(octets.length);
  octets.copy(copy);
  return copy;
}
