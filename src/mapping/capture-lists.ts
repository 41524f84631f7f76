import { formatObis, type ObisCode, parseObis } from "../dlms/cosem/obis-code.ts";
import type { Data } from "../dlms/encoding/data.ts";
import { type CapturedColumn, type CaptureList, capturedColumn, captureList } from "./captured.ts";
import { type ListRecord, type ListScope, type MappingConfiguration, specificity } from "./configuration.ts";
import { bestFit } from "./list-fit.ts";
import type { CaptureSource } from "./rows.ts";

/** Object lists that meters of one scope send in front of their values, remembered by their octets. */
const DESCRIBED_MAX = 8;
/** Lists made of bodies that name their own values, per scope; the oldest goes first. */
const NAMED_MAX = 64;
/** Longer ones are made anew each time: what a stranger sends must not fill the memory. */
const NAMED_COLUMNS_MAX = 200;

/** Block load capture period where a meter type has none configured. */
export const BLOCK_SECONDS = 1_800;

export interface DescribedList {
  /** The octets of the push object list as sent, tag and count included. */
  readonly octets: Buffer;
  readonly list: CaptureList;
  readonly pushSetup: ObisCode | null;
}

function compile(record: ListRecord): CaptureList {
  const columns = record.entries.map((entry) =>
    capturedColumn(parseObis(entry.code), entry.classId, entry.attribute, entry.dataIndex),
  );
  return captureList(columns, record.kind, record);
}

/** The lists of one meter type (or one meter), found by what a body shows of itself. */
export class ScopedLists {
  readonly scope: ListScope;
  readonly configuration: MappingConfiguration;
  /** Whose body it is is not known. */
  private readonly forAnybody: boolean;
  private readonly bySetup = new Map<ObisCode | null, Map<number, CaptureList[]>>();
  private readonly named = new Map<string, CaptureList>();
  private readonly compiled: Map<ListRecord, CaptureList>;
  /** The latest used first. */
  private readonly describedLists: DescribedList[] = [];

  constructor(configuration: MappingConfiguration, scope: ListScope, compiled: Map<ListRecord, CaptureList>) {
    this.configuration = configuration;
    this.scope = scope;
    this.forAnybody = scope.meterId === null && scope.meterType === null && scope.category === null;
    this.compiled = compiled;
  }

  /**
   * The list of a push setup (null: a body that names none) with as many columns as `row` has values from `first` on; of several
   * the one that fits their types best.
   */
  forRow(pushSetup: ObisCode | null, row: readonly Data[], first: number): CaptureList | undefined {
    const lists = this.ofSetup(pushSetup).get(row.length - first);
    if (lists === undefined) return undefined;
    // Nobody says whose it is: only a list of the very same sorts of values can be it.
    if (pushSetup === null && this.forAnybody) return bestFit(lists, row, first, this.configuration, 0);
    return lists.length === 1 ? lists[0] : bestFit(lists, row, first, this.configuration);
  }

  /** Lengths of all lists of a push setup, for messages. */
  lengths(pushSetup: ObisCode | null): number[] {
    return [...this.ofSetup(pushSetup).keys()].sort((a, b) => a - b);
  }

  /** The kind of profile that a push setup (null: a body that names none) carries; `single` where none is configured. */
  kindOf(pushSetup: ObisCode | null): CaptureSource {
    if (pushSetup === null && this.forAnybody) return "single";
    const first = this.ofSetup(pushSetup).values().next();
    return first.done ? "single" : first.value[0]!.kind;
  }

  /** Block load capture period of the meter type. */
  blockSeconds(): number {
    const { meterType } = this.scope;
    const type = meterType === null ? undefined : this.configuration.meterType(meterType);
    return type?.intervalSeconds ?? BLOCK_SECONDS;
  }

  /** By length; only the lists that are meant most closely for the scope. */
  private ofSetup(pushSetup: ObisCode | null): Map<number, CaptureList[]> {
    const known = this.bySetup.get(pushSetup);
    if (known !== undefined) return known;
    const name = pushSetup === null ? null : formatObis(pushSetup);
    const records = this.forAnybody
      ? this.configuration.listsOfSetup(name)
      : this.configuration.lists(name, this.scope);
    const lists = new Map<number, CaptureList[]>();
    for (const record of records) {
      const known = lists.get(record.entries.length);
      if (known === undefined) lists.set(record.entries.length, [this.listOf(record)]);
      else if (specificity(record) === specificity(known[0]!.record!)) known.push(this.listOf(record));
    }
    if (this.bySetup.size < NAMED_MAX) this.bySetup.set(pushSetup, lists);
    return lists;
  }

  private listOf(record: ListRecord): CaptureList {
    const known = this.compiled.get(record);
    if (known !== undefined) return known;
    const list = compile(record);
    this.compiled.set(record, list);
    return list;
  }

  /** The remembered object list that stands in `body` at `offset`, octet by octet. */
  described(body: Buffer, offset: number): DescribedList | undefined {
    const lists = this.describedLists;
    for (let i = 0; i < lists.length; i++) {
      const candidate = lists[i]!;
      const { octets } = candidate;
      const end = offset + octets.length;
      if (end > body.length || body.compare(octets, 0, octets.length, offset, end) !== 0) continue;
      if (i > 0) {
        lists.splice(i, 1);
        lists.unshift(candidate);
      }
      return candidate;
    }
    return undefined;
  }

  remember(described: DescribedList): void {
    this.describedLists.unshift(described);
    if (this.describedLists.length > DESCRIBED_MAX) this.describedLists.pop();
  }

  /** One shared list for all bodies that name the same values in the same order. */
  ofColumns(columns: readonly CapturedColumn[], kind: CaptureSource): CaptureList {
    if (columns.length > NAMED_COLUMNS_MAX) return captureList(columns, kind, null);
    let key: string = kind;
    for (const c of columns)
      key += `|${c.obis},${c.classId},${c.attribute},${c.dataIndex},${c.scaler},${c.unit}`;
    const known = this.named.get(key);
    if (known !== undefined) return known;
    const list = captureList(columns, kind, null);
    this.named.set(key, list);
    if (this.named.size > NAMED_MAX) this.named.delete(this.named.keys().next().value!);
    return list;
  }
}

/** All lists under one configuration. Made anew when the configuration changes, so that nothing stale survives. */
export class CaptureLists {
  readonly configuration: MappingConfiguration;
  private readonly ofMeters = new Map<string, ScopedLists>();
  /** By meter type, then by category. */
  private readonly ofTypes = new Map<string, Map<string, ScopedLists>>();
  private ofNobody: ScopedLists | null = null;
  private readonly compiled = new Map<ListRecord, CaptureList>();

  constructor(configuration: MappingConfiguration) {
    this.configuration = configuration;
  }

  /** For a meter; meters of one type share unless lists are configured for the meter itself. */
  for(meter: { id: string; meterType: string; category: string }): ScopedLists {
    const { id, meterType, category } = meter;
    const own = this.configuration.hasOwnLists(id);
    const known = own ? this.ofMeters.get(id) : this.ofTypes.get(meterType)?.get(category);
    if (known !== undefined) return known;
    const lists = this.scoped({ meterId: own ? id : null, meterType, category });
    if (own) this.ofMeters.set(id, lists);
    else this.ofTypes.set(meterType, (this.ofTypes.get(meterType) ?? new Map()).set(category, lists));
    return lists;
  }

  /** For a body of which nobody knows the meter: whatever list of its push setup fits. */
  forAnybody(): ScopedLists {
    this.ofNobody ??= this.scoped({ meterId: null, meterType: null, category: null });
    return this.ofNobody;
  }

  private scoped(scope: ListScope): ScopedLists {
    return new ScopedLists(this.configuration, scope, this.compiled);
  }
}
