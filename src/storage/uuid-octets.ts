const HYPHENS = [8, 13, 18, 23];
const TEXT_LENGTH = 36;

/** The last uuid that was read, as four 32-bit numbers: the rows of a push, over all tables, are of one meter. */
export class UuidOctets {
  a = 0;
  b = 0;
  c = 0;
  d = 0;
  private text: string | null = null;

  /** @throws TypeError where the text is no uuid */
  read(text: string): void {
    if (text === this.text) return;
    if (text.length !== TEXT_LENGTH || HYPHENS.some((at) => text.charCodeAt(at) !== 0x2d)) {
      throw new TypeError(`${text} is no uuid`);
    }
    this.text = null;
    this.a = (quad(text, 0) << 16) | quad(text, 4);
    this.b = (quad(text, 9) << 16) | quad(text, 14);
    this.c = (quad(text, 19) << 16) | quad(text, 24);
    this.d = (quad(text, 28) << 16) | quad(text, 32);
    this.text = text;
  }
}

function quad(text: string, at: number): number {
  let value = 0;
  for (let index = at; index < at + 4; index++) value = (value << 4) | digit(text.charCodeAt(index), text);
  return value;
}

function digit(code: number, text: string): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  if (letter >= 0x61 && letter <= 0x66) return letter - 0x57;
  throw new TypeError(`${text} is no uuid`);
}
