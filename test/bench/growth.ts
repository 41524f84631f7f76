import { emptyTables } from "./bare-copy.ts";
import { fill } from "./fill.ts";
import { Generator } from "./generator.ts";
import { type LineOptions, Loads, WARM_UP_PUSHES, withDaemon } from "./line.ts";
import { table } from "./report.ts";

/** Fewest rows that count as tables in use. */
const FEW_ROWS = 100_000;
const AIM_RATIO = 0.9;

/** The rate on standing connections with few rows present and with many. */
export async function benchGrowth(options: LineOptions, manyRows: number): Promise<void> {
  const measured: { rows: number; rate: number; postgresUs: number }[] = [];
  await withDaemon(options, async (running) => {
    const generator = new Generator();
    try {
      const loads = new Loads({ ...running, options, habit: "standing" }, generator);
      await loads.send(WARM_UP_PUSHES, null);
      for (const rows of [FEW_ROWS, manyRows]) {
        await emptyTables(running.database);
        await fill(running.database, rows);
        const { pushes, seconds, postgresCpuSeconds } = (await loads.send(options.pushesPerMeter, null))
          .measured;
        measured.push({ rows, rate: pushes / seconds, postgresUs: (postgresCpuSeconds / pushes) * 1e6 });
      }
    } finally {
      generator.end();
    }
  });
  const lines = measured.map(({ rows, rate, postgresUs }) => [rows, rate.toFixed(0), postgresUs.toFixed(0)]);
  console.log(`\n${table(["rows present", "pushes a second", "CPU of PostgreSQL a push, µs"], lines)}`);
  const ratio = measured[1]!.rate / measured[0]!.rate;
  console.log(
    `\nrate with many ÷ with few: ${ratio.toFixed(2)} (aim ${AIM_RATIO}) ${ratio >= AIM_RATIO ? "✓" : "✗"}`,
  );
}
