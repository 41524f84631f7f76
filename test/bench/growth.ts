import { benchLine, type LineOptions } from "./line.ts";

/** Fewest rows that count as tables in use. */
const FEW_ROWS = 100_000;
const AIM_RATIO = 0.9;

/** The rate on standing connections with few rows present and with many. */
export async function benchGrowth(options: LineOptions): Promise<void> {
  const rates: number[] = [];
  for (const rowsPresent of [FEW_ROWS, options.rowsPresent]) {
    const [result] = await benchLine({ ...options, habits: ["standing"], rowsPresent });
    rates.push(result!.full.pushes / result!.full.seconds);
  }
  const ratio = rates[1]! / rates[0]!;
  console.log(
    `\nRate with ${options.rowsPresent} rows present ÷ with ${FEW_ROWS}: ${ratio.toFixed(2)} (aim ${AIM_RATIO}) ${ratio >= AIM_RATIO ? "✓" : "✗"}`,
  );
}
