/**
 * What is known about the models of the upstreams, and what their refusals taught: settings, families of servers, and
 * lessons. Owns the lessons. They last as long as the process, and are told once each: in the log, and to whoever keeps
 * them for `/v1/models`.
 *
 *   H1  each refusal is answered by at most one further try, and a request learns from few
 *   H2  a lesson is kept once a request that heeds it got through, or when it is one that no further try can prove
 *   H3  lessons of one model say nothing about another, and those of a caller's own key nothing about other keys
 *   H4  what a server only repeats of a request helps that request, and is not kept for others
 */
import type { Logger } from '../log.ts';
import type { ModelError, ModelRequest } from '../runs/model.ts';
import { imagesRefused, toolsOff, toolsRefused } from './advice.ts';
import type { Descriptions } from './descriptions.ts';
import { withoutEchoes } from './echoes.ts';
import { UpstreamFailure } from './failure.ts';
import { commonOf, isConditional, lessonIn, type Lesson } from './lessons.ts';
import { overflowIn } from './overflow.ts';
import { chatBody, showsPicture, type KnownSettings } from './request.ts';
import { settingsOf, type ServerFamilies, type ModelSettings } from './settings.ts';
import { learnedAt, type Route } from './upstreams.ts';

/** Names of models come from callers, so they could be endless. */
const MAX_MODELS = 1_000;
/** Fields that are remembered for one model. */
const MAX_FIELDS = 64;
/** How many refusals one request may learn from. */
const MAX_LESSONS = 8;

/** Where a lesson is kept beside this process. @param model its name at the upstream */
export type TellLesson = (upstream: string, model: string, lesson: Lesson) => void;

export interface HabitsOptions {
  readonly families: ServerFamilies;
  readonly descriptions: Descriptions;
  readonly log: Logger;
  readonly tell: TellLesson;
}

export class Habits {
  readonly #options: HabitsOptions;
  /** The settings of models that were asked, while their servers are taken for the same family: put together once. */
  readonly #known = new Map<
    string,
    { readonly family: string | undefined; readonly settings: ModelSettings }
  >();
  /** By upstream and model; those that were learned first come first. */
  readonly #lessons = new Map<string, Lesson>();

  constructor(options: HabitsOptions) {
    this.#options = options;
  }

  /** What is set for a model, or known about it without asking it. */
  knownOf({ upstream, model }: Route): ModelSettings {
    const { families, descriptions } = this.#options;
    const family = descriptions.familyOf(upstream, model);
    const key = JSON.stringify([upstream.name, model]);
    const before = this.#known.get(key);
    if (before !== undefined && before.family === family) return before.settings;
    const settings = settingsOf(upstream, model, families, family);
    if (this.#known.size < MAX_MODELS || before !== undefined) this.#known.set(key, { family, settings });
    return settings;
  }

  /** What the model's refusals taught. */
  lessonOf(there: Route): Lesson {
    return this.#lessons.get(learnedAt(there)) ?? {};
  }

  /** What prompt and answer may have together, in tokens, as configured or reported; null when nobody has said. */
  contextTokens({ upstream, model }: Route): number | null {
    const { contextTokens } = this.knownOf({ upstream, model });
    return contextTokens ?? this.#options.descriptions.contextOf(upstream, model);
  }

  /**
   * A request that is about to be made. @throws {ModelError} for a call that is demanded of a model without tools.
   */
  ask(request: ModelRequest, there: Route): Question {
    return new Question(this, request, there);
  }

  /** The upstream could not be reached, or broke down. */
  lost({ upstream }: Route): void {
    this.#options.descriptions.lost(upstream);
  }

  /** Remembers a lesson, and tells it if it is new. */
  keep(there: Route, lesson: Lesson): void {
    const before = this.lessonOf(there);
    const refused = [...new Set([...(before.refused ?? []), ...(lesson.refused ?? [])])].slice(0, MAX_FIELDS);
    const after: Lesson = { ...before, ...lesson, ...(refused.length > 0 && { refused }) };
    if (JSON.stringify(before) === JSON.stringify(after)) return;
    this.#set(there, after);
    const { name: upstream } = there.upstream;
    this.#options.log.warn(
      { upstream, model: there.model, lesson: after },
      'upstream refused a request: from now on it is asked differently',
    );
  }

  /** A request with tools got through, so the model takes them by now. */
  takesTools(there: Route): void {
    const { tools, ...lesson } = this.lessonOf(there);
    if (tools === false) this.#set(there, lesson);
  }

  #set(there: Route, lesson: Lesson): void {
    const key = learnedAt(there);
    this.#lessons.delete(key);
    this.#lessons.set(key, lesson);
    const [oldest] = this.#lessons.keys();
    if (this.#lessons.size > MAX_MODELS && oldest !== undefined) this.#lessons.delete(oldest);
    if (there.isCallersKey !== true) this.#options.tell(there.upstream.name, there.model, lesson);
  }
}

/** One request, and what its refusals teach while it is asked. */
export class Question {
  readonly #habits: Habits;
  readonly #request: ModelRequest;
  readonly #there: Route;
  /** Whether tools stay out of every request, by the operator's will. */
  readonly #isWithoutTools: boolean;
  #settings: KnownSettings;
  #body: Readonly<Record<string, unknown>>;
  /** Lessons that are not proved yet. */
  #learned: Lesson = {};
  #count = 0;

  constructor(habits: Habits, request: ModelRequest, there: Route) {
    this.#habits = habits;
    this.#request = request;
    this.#there = there;
    const known = habits.knownOf(there);
    this.#settings = { ...known, ...habits.lessonOf(there) };
    this.#isWithoutTools = known.tools === false;
    if (this.#isWithoutTools && request.tools.length > 0 && isForced(request)) throw toolsOff(there);
    this.#body = this.#write();
  }

  /** The body of the next try. */
  get body(): Readonly<Record<string, unknown>> {
    return this.#body;
  }

  /**
   * What a failed try teaches.
   * @returns whether to ask again at once, with another body
   * @throws {ModelError} a failure that says more than this one, where asking again is no use
   */
  learn(failure: ModelError): boolean {
    if (!(failure instanceof UpstreamFailure)) return false;
    const { refusal } = failure;
    if (refusal === null) this.#habits.lost(this.#there);
    if (refusal === null || this.#count >= MAX_LESSONS) return false;
    const lesson = lessonIn(refusal, this.#body, this.#settings);
    const own = withoutEchoes(refusal, this.#body); // H4
    if (lesson === null) {
      const contextTokens = overflowIn(own.status, own.said)?.limitTokens ?? null;
      if (contextTokens !== null) this.#habits.keep(this.#there, { contextTokens });
      return false;
    }
    this.#count += 1;
    const kept = isConditional(refusal)
      ? {}
      : commonOf(lesson, lessonIn(own, this.#body, this.#settings) ?? {}, this.#settings);
    this.#settings = { ...this.#settings, ...lesson };
    const before = this.#body;
    this.#body = this.#write();
    if (lesson.tools === false && before['tools'] !== undefined && this.#body['tools'] !== undefined) {
      this.#habits.keep(this.#there, kept);
      throw toolsRefused(this.#there, refusal);
    }
    if (lesson.images === false && showsPicture(this.#body['messages'])) {
      this.#habits.keep(this.#there, kept);
      throw imagesRefused(this.#there, refusal);
    }
    const fields = [...(this.#learned.refused ?? []), ...(kept.refused ?? [])];
    this.#learned = { ...this.#learned, ...kept, ...(fields.length > 0 && { refused: fields }) };
    return true;
  }

  /** The model has begun to answer. */
  answered(): void {
    if (Object.keys(this.#learned).length > 0) this.#habits.keep(this.#there, this.#learned);
    this.#learned = {};
    if (this.#body['tools'] !== undefined) this.#habits.takesTools(this.#there);
  }

  #write(): Readonly<Record<string, unknown>> {
    const { tools, ...settings } = this.#settings;
    const isWithout = this.#isWithoutTools || (tools === false && mayGoWithout(this.#request));
    return chatBody(this.#request, this.#there.model, { ...settings, tools: isWithout ? false : undefined });
  }
}

/** Whether the caller is served without its tools as well. */
function mayGoWithout(request: ModelRequest): boolean {
  return request.tools.length === 0 || (request.tools_optional && !isForced(request));
}

function isForced({ tool_choice: choice }: ModelRequest): boolean {
  return choice !== 'auto' && choice !== 'none';
}
