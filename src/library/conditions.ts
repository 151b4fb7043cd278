/**
 * Filters as SQL that both databases take. What clients wrote, keys included, is bound and never part of the text. Pure.
 *
 * A file's attributes are rows of a table with the columns `text`, `number` and `flag`, of which one is set.
 */
import { filterProblem, type AttributeFilter, type AttributeValue } from '../runs/vector-store.ts';

export type SqlValue = string | number;

/** Values for a statement, in the order of their places. */
export class Bindings {
  readonly values: SqlValue[] = [];
  /** The table of attributes. */
  readonly attributes: string;
  readonly #place: (number: number) => string;

  /** @param place how the statement refers to the value of this number, counted from 1 */
  constructor(attributes: string, place: (number: number) => string) {
    this.attributes = attributes;
    this.#place = place;
  }

  /** Binds a value. */
  bind(value: SqlValue): string {
    this.values.push(value);
    return this.#place(this.values.length);
  }

  /** Binds the values of a list; `(NULL)` for none, in which nothing lies. */
  list(values: readonly SqlValue[]): string {
    return `(${values.length === 0 ? 'NULL' : values.map((value) => this.bind(value)).join(', ')})`;
  }
}

const OPERATORS = { eq: '=', gt: '>', gte: '>=', lt: '<', lte: '<=' } as const;

/**
 * The condition that the row `f` of a file meets if the filter lets the file through.
 * @throws {RangeError} for a filter that is too large.
 */
export function conditionOf(filter: AttributeFilter | null, bindings: Bindings): string {
  if (filter === null) return '1 = 1';
  const problem = filterProblem(filter);
  if (problem !== null) throw new RangeError(problem);
  return condition(filter, bindings);
}

function condition(filter: AttributeFilter, bindings: Bindings): string {
  switch (filter.type) {
    case 'and':
    case 'or': {
      const parts = filter.filters.map((one) => condition(one, bindings));
      if (parts.length === 0) return filter.type === 'and' ? '1 = 1' : '1 = 0';
      return `(${parts.join(filter.type === 'and' ? ' AND ' : ' OR ')})`;
    }
    case 'ne':
      return `NOT ${condition({ ...filter, type: 'eq' }, bindings)}`;
    case 'nin':
      return `NOT ${condition({ ...filter, type: 'in' }, bindings)}`;
    case 'in': {
      const key = bindings.bind(filter.key);
      const lists = COLUMNS.flatMap((column) => {
        const values = filter.value.filter((value) => columnOf(value) === column).map(plain);
        return values.length === 0 ? [] : [`a.${column} IN ${bindings.list(values)}`];
      });
      return attribute(bindings.attributes, key, lists.length === 0 ? '1 = 0' : `(${lists.join(' OR ')})`);
    }
    case 'eq':
    case 'gt':
    case 'gte':
    case 'lt':
    case 'lte': {
      const key = bindings.bind(filter.key);
      const column = columnOf(filter.value);
      return attribute(
        bindings.attributes,
        key,
        `a.${column} ${OPERATORS[filter.type]} ${bindings.bind(plain(filter.value))}`,
      );
    }
  }
}

const attribute = (table: string, key: string, test: string): string =>
  `EXISTS (SELECT 1 FROM ${table} a WHERE a.file = f.id AND a.key = ${key} AND ${test})`;

const COLUMNS = ['text', 'number', 'flag'] as const;
type AttributeColumn = (typeof COLUMNS)[number];

function columnOf(value: AttributeValue): AttributeColumn {
  if (typeof value === 'string') return 'text';
  return typeof value === 'number' ? 'number' : 'flag';
}

/** Truth is a number in SQLite. */
function plain(value: AttributeValue): SqlValue {
  return typeof value === 'boolean' ? Number(value) : value;
}

/** The columns of an attribute's row, in the order text, number, flag. */
export function attributeColumns(value: AttributeValue): readonly (SqlValue | null)[] {
  const own = columnOf(value);
  return COLUMNS.map((column) => (column === own ? plain(value) : null));
}
