/**
 * What `/v1/models` tells about each model beside the usual fields: what is configured, reported and learned. Lessons are
 * learned by workers; they are passed in as they are kept, as JSON.
 */
import { isRecord } from '../runs/record.ts';
import { countOf, parseJson, stringOr } from './json.ts';
import type { ListedByUpstream } from './listing.ts';
import { familyOwning, ownSettings, settingsOf, type ServerFamilies } from './settings.ts';
import type { Upstream } from './upstreams.ts';

/** What is known about a model. Null: nobody has said. */
export interface ModelFacts {
  /** The name of the upstream that has it. */
  readonly upstream: string;
  /** The family of servers that the upstream belongs to. */
  readonly server: string | null;
  /** What prompt and answer may have together. */
  readonly context_tokens: number | null;
  readonly tools: boolean | null;
  readonly images: boolean | null;
  /** Fields of requests that are not sent, because the operator or a refusal says so. */
  readonly omitted: readonly string[];
}

/** The facts about a model. @param model its name at the upstream @param listed how the upstream lists it */
export type Know = (upstream: Upstream, model: string, listed: ListedByUpstream | undefined) => ModelFacts;

export interface FactsOptions {
  readonly families: ServerFamilies;
  /** Names of an upstream and of a model at it → what refusals taught about it, as JSON; empty where that cannot be read. */
  readonly lessons: () => Promise<ReadonlyMap<string, string>>;
}

/** The key of a model among the lessons. */
export function lessonKey(upstream: string, model: string): string {
  return JSON.stringify([upstream, model]);
}

export class Facts {
  readonly #options: FactsOptions;

  constructor(options: FactsOptions) {
    this.#options = options;
  }

  /** What is known now. */
  async read(): Promise<Know> {
    const lessons = await this.#options.lessons();
    return (upstream, model, listed) =>
      this.#facts(upstream, model, listed, lessons.get(lessonKey(upstream.name, model)) ?? '{}');
  }

  #facts(
    upstream: Upstream,
    model: string,
    listed: ListedByUpstream | undefined,
    lesson: string,
  ): ModelFacts {
    const { families } = this.#options;
    const described = familyOwning(families, listed?.ownedBy ?? '');
    const settings = settingsOf(upstream, model, families, described);
    const parsed = parseJson(lesson);
    const learned = isRecord(parsed) ? parsed : {};
    const refused: readonly unknown[] = Array.isArray(learned['refused']) ? learned['refused'] : [];
    return {
      upstream: upstream.name,
      server: ownSettings(upstream, model)?.preset ?? upstream.preset ?? described ?? null,
      context_tokens:
        settings.contextTokens ?? countOf(learned['contextTokens']) ?? listed?.contextTokens ?? null,
      tools: learned['tools'] === false ? false : (settings.tools ?? null),
      images: learned['images'] === false ? false : (settings.images ?? null),
      omitted: [...new Set([...(settings.omit ?? []), ...refused.map(stringOr)])],
    };
  }
}
