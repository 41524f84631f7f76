import ts from "typescript";

/**
 * Counts in JavaScript which branches are taken, so that a fuzzer sees whether an input did something new. Statements and expressions
 * are only added, never moved: line numbers stay.
 */
export interface Instrumented {
  readonly text: string;
  /** Counters used, from `firstCounter` on. */
  readonly counters: number;
  /** Whole numbers that the code mentions: what it compares octets with. */
  readonly constants: readonly number[];
}

/** Where the counters are; set before an instrumented module is loaded. */
export const COUNTERS = "hesFuzzCounters";

interface Insertion {
  readonly at: number;
  readonly text: string;
}

export function instrument(text: string, firstCounter: number): Instrumented {
  const file = ts.createSourceFile("module.js", text, ts.ScriptTarget.ES2023, true, ts.ScriptKind.JS);
  const insertions: Insertion[] = [];
  const constants = new Set<number>();
  let counters = 0;
  const count = () => `$c[${firstCounter + counters++}]++`;
  const before = (at: number, inserted: string) => insertions.push({ at, text: inserted });

  const countExpression = (node: ts.Expression) => {
    before(node.getStart(file), `(${count()},(`);
    before(node.end, "))");
  };
  const countStatement = (node: ts.Statement) => {
    if (ts.isBlock(node)) before(node.getStart(file) + 1, `${count()};`);
    else {
      before(node.getStart(file), `{${count()};`);
      before(node.end, "}");
    }
  };
  const visit = (node: ts.Node): void => {
    if (ts.isNumericLiteral(node)) constants.add(Number(node.text));
    // What stands inside is visited first, so that of two insertions at one place the inner one is the nearer one.
    ts.forEachChild(node, visit);
    if (ts.isFunctionLike(node) && "body" in node && node.body !== undefined) {
      const body = node.body as ts.ConciseBody;
      if (ts.isBlock(body)) countStatement(body);
      else countExpression(body);
    } else if (ts.isIfStatement(node)) {
      countStatement(node.thenStatement);
      if (node.elseStatement !== undefined) countStatement(node.elseStatement);
    } else if (ts.isIterationStatement(node, false)) {
      countStatement(node.statement);
    } else if (ts.isCaseOrDefaultClause(node)) {
      const [first] = node.statements;
      if (first !== undefined) before(first.getStart(file), `${count()};`);
    } else if (ts.isConditionalExpression(node)) {
      countExpression(node.whenTrue);
      countExpression(node.whenFalse);
    } else if (ts.isBinaryExpression(node) && SHORT_CIRCUITS.has(node.operatorToken.kind)) {
      countExpression(node.right);
    } else if (ts.isCatchClause(node)) {
      countStatement(node.block);
    }
  };
  visit(file);
  return {
    text: `const $c=globalThis.${COUNTERS};${apply(text, insertions)}`,
    counters,
    constants: [...constants].filter(
      (value) => Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff,
    ),
  };
}

const SHORT_CIRCUITS = new Set([
  ts.SyntaxKind.AmpersandAmpersandToken,
  ts.SyntaxKind.BarBarToken,
  ts.SyntaxKind.QuestionQuestionToken,
]);

/** Openings at one place: the outer one, which was added last, comes first. Closings: the inner one, which was added first. */
function apply(text: string, insertions: readonly Insertion[]): string {
  const closes = (insertion: Insertion) => insertion.text === "))" || insertion.text === "}";
  const ordered = insertions
    .map((insertion, order) => ({ ...insertion, order, closes: closes(insertion) }))
    .sort(
      (a, b) =>
        a.at - b.at ||
        Number(b.closes) - Number(a.closes) ||
        (a.closes ? a.order - b.order : b.order - a.order),
    );
  let result = "";
  let from = 0;
  for (const insertion of ordered) {
    result += text.slice(from, insertion.at) + insertion.text;
    from = insertion.at;
  }
  return result + text.slice(from);
}
