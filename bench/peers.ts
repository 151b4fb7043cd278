/** Other programs in front of the same model server, where they are installed on this machine. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Arm } from './ask.ts';
import { chatArm, MESSAGES, tokensOf } from './measure.ts';
import { startCommand, type Command } from './processes.ts';
import { COPIES, freePort, ready } from './services.ts';

/** Another program that passes on what the model says. */
interface Peer {
  readonly arm: Arm;
  readonly stop: () => Promise<void>;
}

type Start = (upstream: string, model: string) => Promise<Peer>;

/** The peers that this machine has; `missing` says why others are left out. */
export async function startPeers(
  upstream: string,
  model: string,
  missing: (why: string) => void,
): Promise<readonly Peer[]> {
  const peers: Peer[] = [];
  const all: Readonly<Record<string, Start>> = { LiteLLM: litellm, Portkey: portkey, aegra };
  for (const [name, start] of Object.entries(all)) {
    try {
      peers.push(await start(upstream, model));
    } catch (error) {
      missing(`${name} is left out: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return peers;
}

const litellm: Start = async (upstream, model) => {
  const program = process.env['BENCH_LITELLM'] ?? onPath('litellm');
  if (program === null) throw new Error('there is no litellm on PATH, and BENCH_LITELLM names none.');
  const port = await freePort();
  const env = {
    ...process.env,
    OPENAI_API_KEY: 'bench',
    OPENAI_API_BASE: upstream,
    LITELLM_LOG: 'ERROR',
    LITELLM_LOCAL_MODEL_COST_MAP: 'True',
    // It listens here only, and nobody else's key should cost it time.
    LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY: 'true',
  };
  const args = ['--model', 'openai/*', '--host', '127.0.0.1', '--port', String(port), '--telemetry', 'False'];
  const command = startCommand([program, ...args], COPIES, env);
  await ready(`http://127.0.0.1:${port}/health/liveliness`, command, 'LiteLLM');
  return peerOf(command, chatArm('LiteLLM', `http://127.0.0.1:${port}/v1`, model));
};

const portkey: Start = async (upstream, model) => {
  const program = process.env['BENCH_PORTKEY'];
  if (program === undefined) throw new Error('BENCH_PORTKEY does not name its start-server.js.');
  const port = await freePort();
  const node = [process.execPath, program, `--port=${port}`, '--headless'] as const;
  const command = startCommand(node, COPIES, process.env);
  await ready(`http://127.0.0.1:${port}/`, command, 'Portkey');
  const headers = { 'x-portkey-provider': 'openai', 'x-portkey-custom-host': upstream };
  return peerOf(command, chatArm('Portkey', `http://127.0.0.1:${port}/v1`, model, headers));
};

/** A graph of one model call, in a thread. It keeps its state in PostgreSQL. */
const aegra: Start = async (upstream, model) => {
  const program = process.env['BENCH_AEGRA'] ?? onPath('aegra');
  if (program === null) throw new Error('there is no aegra on PATH, and BENCH_AEGRA names none.');
  const database = process.env['BENCH_POSTGRES'];
  if (database === undefined)
    throw new Error('BENCH_POSTGRES does not give the address of an empty database (postgresql://...).');
  const port = await freePort();
  const env = {
    ...process.env,
    DATABASE_URL: database,
    LOG_LEVEL: 'WARNING',
    BENCH_MODEL: model,
    BENCH_UPSTREAM: upstream,
  };
  const folder = join(import.meta.dirname, 'aegra');
  const command = startCommand(
    [program, 'serve', '--host', '127.0.0.1', '--port', String(port)],
    folder,
    env,
  );
  const base = `http://127.0.0.1:${port}`;
  await ready(`${base}/health`, command, 'aegra');
  const body = { assistant_id: 'agent', input: { messages: MESSAGES }, stream_mode: ['messages-tuple'] };
  return peerOf(command, {
    name: 'aegra',
    base,
    path: '/threads/{thread}/runs/stream',
    body,
    tokens: tokensOf(model),
    needsThread: true,
  });
};

const peerOf = ({ stop }: Command, arm: Arm): Peer => ({ arm, stop });

function onPath(name: string): string | null {
  const folders = (process.env['PATH'] ?? '').split(':');
  return folders.map((folder) => join(folder, name)).find((file) => existsSync(file)) ?? null;
}
