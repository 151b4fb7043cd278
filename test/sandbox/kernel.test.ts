/** What code gets and what its owner is told, in a real sandbox. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { KernelOutput } from '../../src/sandbox/sandbox.ts';
import { never } from './options.ts';
import { hasBubblewrap, logsOf, newFolder, newKernel, sandboxWith } from './sandbox.ts';

const runs = await hasBubblewrap();

describe.runIf(runs)('a piece of code', () => {
  test('prints, and shows the value of its last expression as a notebook does', async () => {
    const { run } = await newKernel();
    expect(await run("print('hello')\n6 * 7")).toEqual({
      status: 'completed',
      outputs: [{ type: 'logs', logs: 'hello\n42\n' }],
      files: [],
    });
    expect(logsOf(await run('6 * 7;'))).toBe('');
    expect(logsOf(await run('None'))).toBe('');
    expect(logsOf(await run('_'))).toBe('42\n');
    expect(logsOf(await run('import asyncio\nawait asyncio.sleep(0, "awaited")'))).toBe("'awaited'\n");
  });

  test('finds the variables of the pieces before it', async () => {
    const { run } = await newKernel();
    await run('import math\nx = 20\ndef double(n): return 2 * n');
    expect(logsOf(await run('double(x) + math.floor(2.5)'))).toBe('42\n');
  });

  test('that fails leaves a traceback of its own lines, and its variables', async () => {
    const { run } = await newKernel();
    const result = await run('x = 1\ndef f():\n    return x / 0\n\nf()');
    const logs = logsOf(result);
    expect(result.status).toBe('raised');
    expect(logs).toMatch(
      /^Traceback \(most recent call last\):\n {2}File "<cell 1>", line 5, in <module>\n {4}f\(\)/,
    );
    expect(logs).toMatch(/ZeroDivisionError: division by zero\n$/);
    expect(logs).not.toContain('kernel');
    expect(logsOf(await run('1 +'))).toContain('SyntaxError');
    expect(logsOf(await run('x'))).toBe('1\n');
  });

  test('answers a question about a table', async () => {
    const { run } = await newKernel({}, { 'sales.csv': 'city,amount\nRome,10\nOslo,25.5\nRome,32\n' });
    const result = await run(
      "import pandas as pd\nfloat(pd.read_csv('/mnt/data/sales.csv').groupby('city').amount.sum()['Rome'])",
    );
    expect(result).toMatchObject({ status: 'completed', files: [] });
    expect(logsOf(result)).toBe('42.0\n');
  });

  test('draws charts, shown or left open, and each becomes an image', async () => {
    const { run } = await newKernel();
    const { outputs, files } = await run(
      "import matplotlib.pyplot as plt\nplt.plot([1, 4, 9])\nplt.show()\nprint('between')\nplt.bar(['a'], [3]);",
    );
    expect(outputs.map(({ type }) => type)).toEqual(['image', 'logs', 'image']);
    expect(files).toEqual([]);
    for (const output of outputs) {
      if (output.type !== 'image') continue;
      await using file = await output.image.open();
      const bytes = await file.readFile();
      expect(bytes).toHaveLength(output.image.bytes);
      expect(bytes.subarray(0, 8).toString('latin1')).toBe('\u0089PNG\r\n\u001A\n');
    }
  });

  test('makes files, and those that are new or changed are named', async () => {
    const { run } = await newKernel({}, { 'given.txt': 'given' });
    const first = await run(
      "import os\nos.makedirs('out/deep')\nopen('out/deep/größe.txt', 'w').write('made')\nopen('given.txt').read()",
    );
    expect(logsOf(first)).toBe("'given'\n");
    expect(first.files.map(({ path, bytes }) => [path, bytes])).toEqual([['out/deep/größe.txt', 4]]);
    await using file = await first.files[0]?.open();
    expect(await file?.readFile('utf8')).toBe('made');
    const second = await run("open('given.txt', 'a').write('!');");
    expect(second.files.map(({ path }) => path)).toEqual(['given.txt']);
    expect((await run('1')).files).toEqual([]);
  });

  test('is told of while it runs, piece by piece, and the pieces are the result', async () => {
    const { kernel, dataDir } = await newKernel();
    const heard: KernelOutput[] = [];
    const firstWord = Promise.withResolvers<void>();
    const code = `import os, time
print('one')
while not os.path.exists('go'): time.sleep(0.01)
print('two')`;
    const running = kernel.run(code, {
      signal: never,
      onOutput: (output) => {
        heard.push(output);
        firstWord.resolve();
      },
    });
    await firstWord.promise;
    expect(heard).toEqual([{ type: 'logs', logs: 'one\n' }]);
    await writeFile(join(dataDir, 'go'), '');
    expect(logsOf(await running)).toBe('one\ntwo\n');
    expect(heard.at(-1)).toEqual({ type: 'logs', logs: 'two\n' });
  });

  test('may start processes and threads, and what they write is told', async () => {
    const { run } = await newKernel();
    const result = await run(`
import multiprocessing, os, subprocess, sys, threading
subprocess.run([sys.executable, '-c', 'import numpy; print("by a program", numpy.ones(2).sum())'])
thread = threading.Thread(target=print, args=('by a thread',)); thread.start(); thread.join()
os.write(1, b'raw\\n')
def double(n): return 2 * n
with multiprocessing.Pool(2) as pool: print(pool.map(double, [1, 2]))
`);
    const logs = logsOf(result);
    for (const words of ['by a program 2.0', 'by a thread', 'raw', '[2, 4]']) expect(logs).toContain(words);
    expect(result.status).toBe('completed');
  });
});

describe.runIf(runs)('a limit', () => {
  test('of logs cuts them, and says so', async () => {
    const { run } = await newKernel();
    for (const code of ["print('ä' * 10**6)", "for _ in range(10**5): print('ä')"]) {
      const logs = logsOf(await run(code));
      expect(logs).toMatch(/\n\[The logs of a call are cut at 64 kB\.\]\n$/);
      expect(Buffer.byteLength(logs)).toBeLessThan(64 * 1024 + 100);
      expect(logs).not.toContain('\uFFFD');
    }
    expect(logsOf(await run('1'))).toBe('1\n');
  });

  test('of time ends an endless loop, and the next call gets a fresh Python and is told', async () => {
    const { run } = await newKernel({ codeTimeoutS: 2 });
    await run('x = 1');
    const begunMs = performance.now();
    const ended = await run("print('begun')\nwhile True: pass");
    expect(performance.now() - begunMs).toBeGreaterThan(1_900);
    expect(ended.status).toBe('timeout');
    expect(logsOf(ended)).toBe('begun\n[The code was ended: it took longer than 2 s.]\n');
    expect(logsOf(await run("'x' in globals()"))).toBe(
      '[The variables of earlier calls are gone: Python was started anew.]\nFalse\n',
    );
    expect(logsOf(await run('2'))).toBe('2\n');
  });

  test('of images and of files keeps the first ones', async () => {
    const { run } = await newKernel();
    const result = await run(
      "from PIL import Image\nfor n in range(25):\n    display(Image.new('RGB', (2, 2)))\n    open(f'{n:02}.txt', 'w').close()",
    );
    expect(result.outputs.filter(({ type }) => type === 'image')).toHaveLength(20);
    expect(result.files).toHaveLength(20);
    expect(logsOf(result)).toBe(
      '[Only the first 20 images are kept.]\n[Of the new files, only 20 are kept.]\n',
    );
  });

  test('of the code itself refuses it before it is run', async () => {
    const { run } = await newKernel();
    const result = await run(`x = '${'a'.repeat(300_000)}'`);
    expect(result.status).toBe('raised');
    expect(logsOf(result)).toBe('[The code was not run: it is longer than 256 kB.]\n');
  });

  test('of kernels lets further ones wait, in their order', async () => {
    const sandbox = sandboxWith({ codeKernels: 1 });
    const open = async (signal = never) => sandbox.open({ dataDir: await newFolder(), signal });
    const first = await open();
    const second = open();
    const impatient = new AbortController();
    const third = open(impatient.signal);
    impatient.abort(new Error('no longer wanted'));
    await expect(third).rejects.toThrow('no longer wanted');
    await first.close();
    const kernel = await second;
    expect(logsOf(await kernel.run('1', { signal: never }))).toBe('1\n');
  });
});

describe.runIf(runs)('a kernel', () => {
  test('that is stopped ends its code at once, and can be used again', async () => {
    const { kernel, run } = await newKernel();
    const stop = new AbortController();
    const running = kernel.run("print('begun')\nwhile True: pass", {
      signal: stop.signal,
      onOutput: () => stop.abort(new Error('stopped')),
    });
    await expect(running).rejects.toThrow('stopped');
    expect(logsOf(await run('1'))).toMatch(/Python was started anew.*\n1\n$/);
  });

  test('whose Python ends says so', async () => {
    const { run } = await newKernel();
    const { status, outputs } = await run('import os\nos._exit(3)');
    expect(status).toBe('ended');
    expect(outputs).toEqual([{ type: 'logs', logs: '[The code was ended: its process ended.]\n' }]);
    expect((await run('exit()')).status).toBe('completed');
  });

  test('that is closed runs nothing more', async () => {
    const { kernel, run } = await newKernel();
    await run('1');
    await kernel.close();
    await expect(run('1')).rejects.toThrow('the kernel is closed');
  });
});
