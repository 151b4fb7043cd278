/** What endpoints are given to work with: the means of turns, and what only the HTTP server needs. */
import type { LabelledTally } from '../../metrics.ts';
import type { Prices } from '../../runs/cost.ts';
import type { PictureFault } from '../../runs/file.ts';
import type { RemoteTarget, RemoteTools } from '../../runs/remote.ts';
import type { RunTool } from '../../runs/tool.ts';
import type { Imports } from '../../store/imports.ts';
import type { UsageCounts } from '../../store/usage.ts';
import type { WriteRefusal } from '../../store/write-probe.ts';
import type { Caller } from '../../turns/caller.ts';
import type { Means } from '../../turns/means.ts';
import type { SpentMs } from '../../turns/server-timing.ts';
import type { Area } from './area.ts';

/** A model as `/models` lists it. */
export interface ListedModel {
  readonly id: string;
  readonly object: 'model';
  readonly created: number;
  readonly owned_by: string;
  /** What is known about a model of an upstream; clients ignore fields that they do not know. */
  readonly longrun?: object;
}

/** The state of everything that this process depends on. */
export interface Readiness {
  /** Redis answers. */
  readonly redis: boolean;
  /** Why Redis takes no writes, or null. */
  readonly refusal: WriteRefusal | null;
  /** How many workers are alive. */
  readonly workers: number;
  /** How far this machine's clock is ahead of that of Redis. */
  readonly skewMs: number;
}

/** A request for a model server, as it is passed on. */
export interface OutboundRequest {
  /** The endpoint, such as `/embeddings`. */
  readonly path: string;
  readonly contentType: string;
  /** What the client accepts; null where it does not say. */
  readonly accept: string | null;
  readonly body: Uint8Array<ArrayBuffer> | AsyncIterable<Uint8Array>;
  /** How many bytes the body has; null where that is not known yet. */
  readonly length: number | null;
  /** Aborted when the client has gone, or was answered. */
  readonly gone: AbortSignal;
}

/** The model server that a model's name leads to. */
export interface TargetServer {
  readonly upstream: string;
  /** Whether a model may have another name there. */
  readonly renames: boolean;
  /** Whether the configuration lists the model for it. */
  readonly lists: (model: string) => boolean;
  /** The model's name there. */
  readonly nameOf: (model: string) => string;
  /** @throws {ApiError} for whatever is no good answer; `chunks` throws when it breaks off. */
  readonly send: (outgoing: OutboundRequest) => Promise<{
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly chunks: AsyncIterable<Uint8Array>;
  }>;
}

/** The model servers, for requests that are passed on as they are. */
export interface Forwarding {
  /** Whether every model is asked of the same server. */
  readonly isSingle: boolean;
  /** @throws {ApiError} 502 when there is no server. */
  readonly to: (model: string, callersKey: string | null) => TargetServer;
}

/** What models cost, as far as the configuration says. */
interface Money {
  /** Whether any model has a price. */
  readonly isKnown: boolean;
  /** As it is shown, such as `USD`. */
  readonly currency: string;
  /** The prices of a model, at the upstream that a run names or that of the model; null where they are not known. */
  readonly pricesOf: (model: string, backend: string | null) => Prices | null;
}

export interface Services extends Means {
  readonly imports: Imports;
  readonly usage: UsageCounts;
  /** Why a file cannot be shown to a model as a picture; null where it can. */
  readonly pictureFault: (project: string, fileId: string) => Promise<PictureFault | null>;
  /** Runs one of the server's tools. */
  readonly runTool: RunTool;
  /**
   * The tools of an MCP server that came with a request.
   * @throws the signal's reason when aborted, and nothing else
   */
  readonly listRemote: (project: string, server: RemoteTarget, signal: AbortSignal) => Promise<RemoteTools>;
  /** The models that a caller may name. */
  readonly models: (caller: Pick<Caller, 'key' | 'upstreamKey'>) => Promise<readonly ListedModel[]>;
  readonly forwarding: Forwarding;
  /** The server that makes speech of text. @throws {ApiError} 502 when there is none. */
  readonly speechServer: (callersKey: string | null) => TargetServer;
  readonly readiness: () => Promise<Readiness>;
  /** What runs cost. */
  readonly money: Money;
  /** The text of `/metrics`, and what it counts. */
  readonly figures: {
    /** Counts a request that was answered, or whose client has gone (499); `seconds` is null where a socket was opened. */
    readonly answered: (area: Area, status: number, seconds: number | null) => void;
    /** Hears what the time before the first word of an answer was spent on. */
    readonly firstWord: (spentMs: SpentMs) => void;
    /** Requests that were passed on, and their bytes. */
    readonly forwarded: LabelledTally;
    readonly forwardedBytes: LabelledTally;
    /** Texts that were spoken, or could not be. */
    readonly spoken: LabelledTally;
    readonly text: () => Promise<string>;
  };
}
