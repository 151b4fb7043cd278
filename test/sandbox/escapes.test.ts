/**
 * Code that wants out, or wants more than it may have: what it tries is refused or ended, the next call works, and
 * nothing of it is left.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { hasBubblewrap, logsOf, newFolder, newKernel } from './sandbox.ts';

const runs = await hasBubblewrap();

/** Numbers of system calls on x86_64 and aarch64. */
const CALLS = {
  io_uring_setup: [425, 425],
  keyctl: [250, 219],
  bpf: [321, 280],
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  unshare: [272, 97],
  setns: [308, 268],
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  move_mount: [429, 429],
  fsopen: [430, 430],
  open_by_handle_at: [304, 265],
  memfd_create: [319, 279],
  shmget: [29, 194],
  msgget: [68, 186],
  init_module: [175, 105],
  kexec_load: [246, 104],
  reboot: [169, 142],
  settimeofday: [164, 170],
  syslog: [103, 116],
  seccomp: [317, 277],
} as const;
const EPERM = 1;
const ENOSYS = 38;
/** clone with a new user namespace, by its number here. */
const CLONE = process.arch === 'x64' ? 56 : 220;
const column = process.arch === 'x64' ? 0 : 1;

describe.runIf(runs)('code', () => {
  test('sees no environment, no files and no processes of this machine', async () => {
    const { run, dataDir } = await newKernel();
    const seen = logsOf(
      await run(`
import os
print(sorted(os.environ), os.getuid(), os.uname().nodename, sorted(os.listdir('/')), os.listdir('/mnt/data'))
for path in ['/etc/passwd', '/etc/shadow', '/root', '/home', '/proc', '/proc/1/environ', '/sys', '/var', '/run', '/dev/kmsg', '/dev/mem', '/srv']:
    print(path, os.path.exists(path))
os.kill(1, 9)
print('still here')
`),
    );
    expect(seen).not.toContain('True');
    expect(seen).toContain('still here');
    expect(seen).toContain(' 65534 sandbox ');
    for (const hidden of [dataDir, process.cwd(), ...Object.values(process.env)].filter(
      (text) => text !== undefined && text.length > 8 && !text.startsWith('/usr'),
    ))
      expect(seen).not.toContain(hidden);
  });

  test('can write only to its folder and to a little memory', async () => {
    const { run } = await newKernel();
    const tried = await run(`
import os
for path in ['/usr/lib/x', '/x', '/dev/x', '/kernel/x', '/packages/x', '/fonts/x', '/etc/x', '/mnt/x', '/mnt/data/x', '/tmp/x', '/dev/shm/x']:
    try:
        open(path, 'w').close(); print(path, 'written')
    except OSError as error: print(path, 'refused')
def fill(path):
    size = 0
    try:
        with open(path, 'wb') as file:
            while size < 3 * 10**8: size += file.write(b'x' * 2**20)
    except OSError: pass
    return size
print(fill('/tmp/big') <= 64 * 2**20, fill('/dev/shm/big') <= 64 * 2**20, fill('/mnt/data/big') <= 256 * 2**20)
`);
    const logs = logsOf(tried);
    expect(logs.match(/\S+ written/g)).toEqual([
      '/mnt/data/x written',
      '/tmp/x written',
      '/dev/shm/x written',
    ]);
    expect(logs).toContain('True True True');
  });

  test('reaches no network, and cannot even make a socket for it', async () => {
    const { run } = await newKernel();
    const logs = logsOf(
      await run(`
import socket
for family in [socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET, 38, 40]:
    try:
        socket.socket(family, socket.SOCK_DGRAM); print('made', family)
    except OSError as error: print('refused')
try:
    socket.create_connection(('127.0.0.1', 6379), 1); print('made a connection')
except OSError: print('refused')
try:
    socket.getaddrinfo('example.com', 80); print('made a name out')
except OSError: print('refused')
a, b = socket.socketpair(); a.send(b'inside'); print(b.recv(9))
`),
    );
    expect(logs).not.toContain('made');
    expect(logs).toContain("b'inside'");
  });

  test('is refused the system calls by which others have broken out', async () => {
    const { run } = await newKernel();
    const logs = logsOf(
      await run(`
import ctypes, json
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    return [libc.syscall(number, *arguments), ctypes.get_errno()]
calls = json.loads('${JSON.stringify(CALLS)}')
results = {name: call(numbers[${column}], 0, 0, 0, 0, 0) for name, numbers in calls.items()}
results['clone into a namespace'] = call(${CLONE}, 0x10000000 | 17, 0, 0, 0, 0)
results['clone3'] = call(435, 0, 0)
results['a call of tomorrow'] = call(451, 0, 0)
results['typing'] = [libc.ioctl(0, 0x5412, b'x'), ctypes.get_errno()]
print(json.dumps(results))
`),
    );
    const refused = Object.fromEntries(Object.keys(CALLS).map((name) => [name, [-1, EPERM]]));
    expect(JSON.parse(logs)).toEqual({
      ...refused,
      'clone into a namespace': [-1, EPERM],
      clone3: [-1, ENOSYS],
      'a call of tomorrow': [-1, ENOSYS],
      typing: [-1, EPERM],
    });
  });

  test('that forks for ever is bounded, ended, and gone', async () => {
    const { run } = await newKernel({ codeTimeoutS: 3 });
    const before = (await familyOf(process.pid)).length;
    const ended = await run('import os\nwhile True:\n    try: os.fork()\n    except OSError: pass');
    expect(['timeout', 'ended']).toContain(ended.status);
    expect(logsOf(await run('42'))).toMatch(/\n42\n$/);
    // Two processes of bubblewrap, and Python.
    expect(await familyOf(process.pid)).toHaveLength(before + 3);
  });

  test('that takes memory is ended, alone or by its children together', async () => {
    const { run } = await newKernel({ codeMemoryMb: 256 });
    expect(logsOf(await run('x = bytearray(2_500_000_000)'))).toMatch(/\nMemoryError\n$/);
    // Not so fast that the address space is full before anybody looks.
    const alone = await run(
      'import numpy, time\nx = []\nwhile True: x.append(numpy.ones(500_000)); time.sleep(0.02)',
    );
    expect(alone.status).toBe('memory');
    expect(logsOf(alone)).toMatch(/\[The code was ended: it took more than 256 MB of memory\.\]\n$/);
    const together = await run(`
import os, time
for _ in range(8):
    if os.fork() == 0:
        x = []
        while len(x) < 60: x.append(b'x' * 2**20); time.sleep(0.01)
        time.sleep(60)
time.sleep(60)`);
    expect(together.status).toBe('memory');
    expect((await run('1')).status).toBe('completed');
  });

  test('that fills the disk is ended, by size or by number', async () => {
    const { run } = await newKernel();
    const big = await run(
      "for n in range(20):\n    with open(f'{n}', 'wb') as file:\n        for _ in range(100): file.write(b'x' * 2**20)",
    );
    expect(big.status).toBe('disk');
    expect(logsOf(big)).toContain('it wrote more than 512 MB of files');
    expect((await run('1')).status).toBe('completed');
  });

  test('that makes files without end, or hides them, is ended, and its folder can be removed', async () => {
    for (const code of [
      "n = 0\nwhile True:\n    open(f'{n}', 'w').close(); n += 1",
      "import os, time\nos.mkdir('closed'); open('closed/x', 'w').close(); os.chmod('closed', 0)\nfor _ in range(1500): os.mkdir('deep-folder'); os.chdir('deep-folder')\nwhile True: time.sleep(1)",
    ]) {
      const { run } = await newKernel();
      expect((await run(code)).status).toBe('disk');
    }
  });

  test('that writes without end is cut, and costs its owner nothing', async () => {
    const { run } = await newKernel({ codeTimeoutS: 120 });
    const raw = await run("import os\nfor _ in range(1000): os.write(1, b'x' * 10**6)");
    expect(raw.status).toBe('completed');
    expect(logsOf(raw).length).toBeLessThan(65_000 + 1_000);
  });

  test.each([
    ['garbage', "os.write(fd, b'garbage\\n')"],
    [
      'another call’s end',
      'os.write(fd, b\'{"nonce":"x","type":"done","raised":false,"files":[],"more":0}\\n\')',
    ],
    ['a line without end', "[os.write(fd, b'x' * 10**6) for _ in range(1000)]"],
    ['a flood', 'while True: kernel.channel.say("logs", text="x")'],
    ['very deep JSON', "os.write(fd, b'[' * 10**5 + b'\\n')"],
  ])('that writes %s to the channel is ended', async (_, code) => {
    const { run } = await newKernel();
    const ended = await run(
      `import os, sys, time\nkernel = sys.modules['kernel']\nfd = kernel.channel.descriptor\n${code}\ntime.sleep(60)`,
    );
    expect(ended.status).toBe('ended');
    expect((await run('1')).status).toBe('completed');
  });

  test('that closes everything ends only itself', async () => {
    const { run } = await newKernel();
    expect((await run('import os\nos.closerange(0, 128)')).status).toBe('ended');
    expect((await run('1')).status).toBe('completed');
  });

  test('cannot lead its owner to files of this machine', async () => {
    const { run } = await newKernel();
    const { files } = await run(`
import os
os.symlink('/etc/passwd', 'link.txt'); os.symlink('/etc', 'folder'); os.mkfifo('pipe')
open('real.txt', 'w').write('real')
sys = __import__('sys'); sys.modules['kernel'].changed_since = lambda before, after: (['real.txt', 'link.txt', 'folder/passwd', 'pipe', '../../etc/passwd', '/etc/passwd', ''], 0)
`);
    expect(files.map(({ path }) => path)).toEqual(['real.txt']);
    await run("import os\nos.remove('real.txt'); os.symlink('/etc/passwd', 'real.txt')");
    await expect(files[0]?.open()).rejects.toThrow('ELOOP');
  });

  test('ends with its owner, however that ends', async () => {
    const dataDir = await newFolder();
    const owner = spawn(process.execPath, [fileURLToPath(new URL('owner.ts', import.meta.url)), dataDir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(owner.stdout, 'data');
    const family = await familyOf(owner.pid ?? 0);
    // The owner, two processes of bubblewrap, Python, and the child that the code has started.
    expect(family.length).toBeGreaterThanOrEqual(5);
    owner.kill('SIGKILL');
    await expect.poll(() => family.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
  });
});

/** A process and all below it. */
async function familyOf(root: number): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const parents = await Promise.all(
    pids.map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    }),
  );
  const family = [root];
  // Grows while it is walked.
  for (const one of family) family.push(...pids.filter((_, index) => parents[index] === one).map(Number));
  return family;
}
