/** What a list must know of the objects in it. */
import type { TemplateResult } from 'lit-html';

export interface Listed {
  readonly id: string;
}

export interface ListColumn<T> {
  readonly name: string;
  readonly cell: (item: T) => unknown;
  /** Left out where the screen is narrow. */
  readonly isWide?: boolean;
  readonly isNumber?: boolean;
}

interface Search<T> {
  readonly words: () => string;
  /** Asks for what is not there yet, of those that are loaded; of none when the search is over. @returns how many lack it */
  readonly prepare: (items: readonly T[]) => number;
}

/** Objects of one sort, such as all files of a project. Words are asked for with each drawing: the language may change. */
export interface Kind<T extends Listed> {
  /** Where the API lists them, below `/v1`. */
  readonly path: string;
  readonly title: () => string;
  readonly columns: () => readonly ListColumn<T>[];
  /** What a row is called, for those who hear it. */
  readonly nameOf: (item: T) => string;
  /** The text that a search looks at. */
  readonly searched: (item: T) => string;
  /** What that text is made of, in words, and getting it where it must be asked for. Without it, it is what rows show. */
  readonly search?: Search<T>;
  /** The console's page of an object, if its ids are something that one may search for. */
  readonly placeOf?: (id: string) => string;
  /** Whether a text may be the id of such an object. */
  readonly isId?: (text: string) => boolean;
  /** What the button says that deletes. */
  readonly deleteWords: () => string;
  /** The question before so many are deleted: it says what is lost. */
  readonly question: (count: number) => string;
  readonly emptyView: () => TemplateResult;
  /** More fields for the search, such as filters that the API knows. */
  readonly filters?: () => TemplateResult;
}
