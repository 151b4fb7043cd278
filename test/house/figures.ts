/** The house in figures: how many files, how large, how they lean on each other, and on how many floors rooms stand. */
import { cycle, isCompositionRoot, type Source } from './reading.ts';

/** One part of a house, measured. */
export interface Figures {
  readonly files: number;
  readonly lines: number;
  readonly medianLines: number;
  readonly maxLines: number;
  readonly longest: string;
  /** Imports that are there when the program runs, of each file on average; composition roots left out. */
  readonly valueImportsPerFile: number;
  /** Files in circles of such imports. */
  readonly filesInCycles: number;
}

export function figuresOf(sources: readonly Source[]): Figures {
  const files = sources.filter(({ path }) => path.endsWith('.ts'));
  const sized = files
    .map(({ path, text }) => ({ path, lines: text.replace(/\n$/, '').split('\n').length }))
    .toSorted((one, other) => one.lines - other.lines);
  const lines = sized.map((file) => file.lines);
  const leaning = files.filter(({ path }) => !isCompositionRoot(path));
  const imports = leaning.flatMap((file) => file.imports).filter((one) => one.relative && !one.typeOnly);
  return {
    files: files.length,
    lines: lines.reduce((sum, count) => sum + count, 0),
    medianLines: lines[Math.floor(lines.length / 2)] ?? 0,
    maxLines: lines.at(-1) ?? 0,
    longest: sized.at(-1)?.path ?? '',
    valueImportsPerFile: Number((imports.length / Math.max(1, leaning.length)).toFixed(2)),
    filesInCycles: cycle(sources).length,
  };
}

/** Rooms, and the imports between them. */
export interface Floors {
  readonly rooms: number;
  readonly floors: number;
  /** Pairs of rooms of which one imports the other, types included. */
  readonly arrows: number;
  /** Those of them that close a circle of rooms. */
  readonly upward: number;
}

/** @param roomOf the room of a file; null leaves it out */
export function floorsOf(sources: readonly Source[], roomOf: (path: string) => string | null): Floors {
  const arrows = new Map<string, Set<string>>();
  for (const { path, imports } of sources) {
    const from = isCompositionRoot(path) ? null : roomOf(path);
    if (from === null) continue;
    const to = arrows.get(from) ?? new Set();
    arrows.set(from, to);
    for (const one of imports) {
      const room = one.relative ? roomOf(one.to) : null;
      if (room !== null && room !== from) to.add(room);
    }
  }
  const floor = new Map<string, number>();
  let upward = 0;
  const visit = (room: string, trail: readonly string[]): number => {
    const known = floor.get(room);
    if (known !== undefined) return known;
    let height = 1;
    for (const below of arrows.get(room) ?? []) {
      if (trail.includes(below)) upward += 1;
      else height = Math.max(height, 1 + visit(below, [...trail, room]));
    }
    floor.set(room, height);
    return height;
  };
  const heights = [...arrows.keys()].map((room) => visit(room, []));
  return {
    rooms: arrows.size,
    floors: Math.max(0, ...heights),
    arrows: [...arrows.values()].reduce((sum, to) => sum + to.size, 0),
    upward,
  };
}
