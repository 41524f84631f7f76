/** Control characters, but for tabs and ends of lines: an escape sequence moves a terminal's cursor, and PostgreSQL takes no NUL in a text. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not come through
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** Text of which a part may be what a meter, or a stranger, calls itself, so that it can be shown and stored: control characters as `\x1b`. */
export function printable(text: string): string {
  return text.replace(CONTROL, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
