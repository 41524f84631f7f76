/** What `hes doctor` found out about one thing. `wrong`: it doesn't work, or won't for long. `note`: worth knowing. */
export interface Finding {
  readonly area: string;
  readonly level: "ok" | "note" | "wrong";
  readonly what: string;
  /** What to do about it; null where there is nothing to do. */
  readonly todo: string | null;
}

export const ok = (area: string, what: string): Finding => ({ area, level: "ok", what, todo: null });
export const note = (area: string, what: string, todo: string | null = null): Finding => ({
  area,
  level: "note",
  what,
  todo,
});
export const wrong = (area: string, what: string, todo: string): Finding => ({
  area,
  level: "wrong",
  what,
  todo,
});

/** "3 meters", "1 meter". */
export const counted = (count: number, one: string): string => `${count} ${one}${count === 1 ? "" : "s"}`;

/** "3 meters were", "1 meter was"; "1 meter would be" where it was only tried. */
export const countedWere = (count: number, one: string, dryRun: boolean): string =>
  `${counted(count, one)} ${dryRun ? "would be" : count === 1 ? "was" : "were"}`;
