/** Ollama, built from its Go module for the processor. */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ModelServer } from './model-server.ts';
import { programPath, run, type Packages } from './packages.ts';
import { usesProcessor, type Target } from './target.ts';

const MODULE = 'github.com/ollama/ollama@v0.17.4';
/** Holds `miniaudio.h`, one of the headers that archives of Ollama's module leave out. */
const MINIAUDIO = 'github.com/gen2brain/malgo@v0.11.24';
const CONTEXT = 1_024;
const MODEL = 'smollm2';
/** How Ollama says in its log that it has dropped a part of the prompt; its answer does not say so. */
const CUT = /truncating input (?:prompt|messages)[^\n]*/;

/** @returns the program */
async function build(packages: Packages): Promise<string> {
  const folder = await packages.once('ollama', MODULE, async (target) => {
    const include = join(target, 'include');
    const debian = await packages.debian('debs', 'nlohmann-json3-dev', 'libstb-dev');
    const miniaudio = await packages.goModule(MINIAUDIO);
    await mkdir(join(include, 'miniaudio'), { recursive: true });
    await copyFile(join(miniaudio, 'miniaudio.h'), join(include, 'miniaudio/miniaudio.h'));
    for (const name of ['nlohmann', 'stb']) {
      if (!existsSync(join(include, name))) {
        await symlink(join(debian, 'usr/include', name), join(include, name));
      }
    }
    const flags = '-O2 -march=native';
    await run('go', ['install', '-p', '1', MODULE], {
      cwd: target,
      env: {
        GOBIN: join(target, 'bin'),
        CGO_CPPFLAGS: `-I${include}`,
        CGO_CFLAGS: flags,
        CGO_CXXFLAGS: flags,
      },
    });
  });
  return join(folder, 'bin/ollama');
}

export const ollama: Target = {
  name: 'ollama',
  title: 'Ollama',
  contextTokens: CONTEXT,
  callsBy: 'nothing',
  noTools: null,
  noSchema: null,
  start: async (packages) => {
    const program = await build(packages);
    const home = join(packages.cache, 'ollama-home');
    await mkdir(home, { recursive: true });
    const server = await ModelServer.start(
      (port) => ({
        command: program,
        args: ['serve'],
        env: {
          HOME: home,
          OLLAMA_HOST: `127.0.0.1:${port}`,
          OLLAMA_MODELS: join(home, 'models'),
          OLLAMA_CONTEXT_LENGTH: String(CONTEXT),
          OLLAMA_NO_CLOUD: '1',
          // It says only then that it leaves messages out.
          OLLAMA_DEBUG: '1',
          OLLAMA_KEEP_ALIVE: '30m',
        },
      }),
      '/v1/models',
    );
    try {
      const lines = await readFile(programPath('Modelfile'), 'utf8');
      const file = join(home, 'Modelfile');
      await writeFile(file, lines.replace('MODEL', await packages.model()));
      await run(program, ['create', MODEL, '-f', file], {
        env: { HOME: home, OLLAMA_HOST: `127.0.0.1:${server.port}` },
      });
    } catch (error) {
      await server.kill();
      throw error;
    }
    return {
      version: MODULE.split('/').at(-1) ?? MODULE,
      front: server,
      behind: server,
      model: MODEL,
      settings: { contextTokens: CONTEXT },
      isBusy: () => usesProcessor(server),
      quietFault: () => {
        const { printed } = server;
        server.printed = '';
        return CUT.exec(printed)?.[0] ?? null;
      },
    };
  },
};
