/**
 * The filter of system calls for code in bubblewrap, as the bytes of a BPF program that the kernel runs before every call.
 * It refuses what Python, pandas and charts do without, and by which code could reach the kernel's larger interfaces,
 * the network, or memory that no limit counts. A refused call fails with an error; it does not end the process.
 */

/** Name, number on x86_64, number on aarch64; null where there is no such call. Numbers never change. */
const REFUSED: readonly (readonly [name: string, x64: number | null, arm64: number | null])[] = [
  // Rings, filters and counters of the kernel: interfaces as large as they are seldom needed.
  ['io_uring_setup', 425, 425],
  ['io_uring_enter', 426, 426],
  ['io_uring_register', 427, 427],
  ['io_setup', 206, 0],
  ['bpf', 321, 280],
  ['perf_event_open', 298, 241],
  ['userfaultfd', 323, 282],
  ['seccomp', 317, 277],
  ['lookup_dcookie', 212, 18],
  // Keys of the kernel.
  ['add_key', 248, 217],
  ['request_key', 249, 218],
  ['keyctl', 250, 219],
  // Other processes.
  ['ptrace', 101, 117],
  ['process_vm_readv', 310, 270],
  ['process_vm_writev', 311, 271],
  ['process_madvise', 440, 440],
  ['pidfd_getfd', 438, 438],
  ['kcmp', 312, 272],
  ['move_pages', 279, 239],
  ['migrate_pages', 256, 238],
  // Namespaces and mounts.
  ['unshare', 272, 97],
  ['setns', 308, 268],
  ['mount', 165, 40],
  ['umount2', 166, 39],
  ['pivot_root', 155, 41],
  ['chroot', 161, 51],
  ['move_mount', 429, 429],
  ['open_tree', 428, 428],
  ['fsopen', 430, 430],
  ['fsconfig', 431, 431],
  ['fsmount', 432, 432],
  ['fspick', 433, 433],
  ['mount_setattr', 442, 442],
  // The machine.
  ['reboot', 169, 142],
  ['kexec_load', 246, 104],
  ['kexec_file_load', 320, 294],
  ['init_module', 175, 105],
  ['finit_module', 313, 273],
  ['delete_module', 176, 106],
  ['swapon', 167, 224],
  ['swapoff', 168, 225],
  ['acct', 163, 89],
  ['quotactl', 179, 60],
  ['quotactl_fd', 443, 443],
  ['syslog', 103, 116],
  ['vhangup', 153, 58],
  ['sethostname', 170, 161],
  ['setdomainname', 171, 162],
  ['settimeofday', 164, 170],
  ['clock_settime', 227, 112],
  ['clock_adjtime', 305, 266],
  ['adjtimex', 159, 171],
  ['iopl', 172, null],
  ['ioperm', 173, null],
  ['modify_ldt', 154, null],
  ['personality', 135, 92],
  ['uselib', 134, null],
  ['sysfs', 139, null],
  ['ustat', 136, null],
  ['nfsservctl', 180, 42],
  // Files by handles, and the watching of whole file systems.
  ['name_to_handle_at', 303, 264],
  ['open_by_handle_at', 304, 265],
  ['fanotify_init', 300, 262],
  ['fanotify_mark', 301, 263],
  // Memory that belongs to no process: no limit of ours counts it.
  ['memfd_create', 319, 279],
  ['memfd_secret', 447, 447],
  ['shmget', 29, 194],
  ['shmat', 30, 196],
  ['shmctl', 31, 195],
  ['msgget', 68, 186],
  ['msgsnd', 69, 189],
  ['msgrcv', 70, 188],
  ['msgctl', 71, 187],
  ['semget', 64, 190],
  ['semop', 65, 193],
  ['semctl', 66, 191],
  ['semtimedop', 220, 192],
  ['mq_open', 240, 180],
  ['mq_unlink', 241, 181],
  ['vmsplice', 278, 75],
  ['tee', 276, 77],
];

interface Machine {
  /** What the kernel calls it: AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64. */
  readonly audit: number;
  readonly refused: readonly number[];
  readonly clone: number;
  readonly clone3: number;
  readonly socket: number;
  readonly ioctl: number;
}

const numbersOf = (column: 1 | 2): readonly number[] =>
  REFUSED.map((row) => row[column]).filter((number) => number !== null);

const MACHINES: ReadonlyMap<string, Machine> = new Map([
  ['x64', { audit: 0xc000_003e, refused: numbersOf(1), clone: 56, clone3: 435, socket: 41, ioctl: 16 }],
  ['arm64', { audit: 0xc000_00b7, refused: numbersOf(2), clone: 220, clone3: 435, socket: 198, ioctl: 29 }],
]);

/**
 * Calls above this number are newer than Linux 6.0, and nobody has looked at them here; those of the x32 mode are above
 * it, too. To the code the kernel looks like an older one, which all libraries know.
 */
const LAST_KNOWN = 450;
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. */
const NEW_NAMESPACES = 0x7e02_0000;
/** The one family of sockets that stays on this machine, and with our namespaces in the sandbox. */
const AF_UNIX = 1;
/** Types into the terminal of whoever started us; pastes into a console. */
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;

// The instructions of BPF that are needed: load a word of the call's description, jump, return.
const LOAD = 0x20;
const IF_EQUAL = 0x15;
const IF_GREATER = 0x25;
const IF_ANY_BIT = 0x45;
const RETURN = 0x06;

// Places in the description: the call's number, the machine, the low words of its first two arguments.
const NUMBER = 0;
const ARCHITECTURE = 4;
const FIRST = 16;
const SECOND = 24;

const EPERM = 1;
const ENOSYS = 38;
const fail = (errno: number): number => 0x0005_0000 | errno;

interface Instruction {
  readonly code: number;
  readonly value: number;
  readonly label?: string;
  /** Labels of where a condition leads; by default the next instruction. */
  readonly yes?: string;
  readonly no?: string;
}

const INSTRUCTION_BYTES = 8;

/** The program for machines that Node calls `arch`; null where we have none. */
export function systemCallFilter(arch: string): Buffer | null {
  const machine = MACHINES.get(arch);
  return machine === undefined ? null : assemble(programFor(machine));
}

function programFor({ audit, refused, clone, clone3, socket, ioctl }: Machine): readonly Instruction[] {
  return [
    { code: LOAD, value: ARCHITECTURE },
    // In another mode of the machine the numbers mean other calls.
    { code: IF_EQUAL, value: audit, no: 'kill' },
    { code: LOAD, value: NUMBER },
    { code: IF_GREATER, value: LAST_KNOWN, yes: 'unknown' },
    // Its flags lie in memory, where a filter cannot look. The C library then takes the old call.
    { code: IF_EQUAL, value: clone3, yes: 'unknown' },
    ...refused.map((value) => ({ code: IF_EQUAL, value, yes: 'refuse' })),
    { code: IF_EQUAL, value: clone, no: 'ioctl' },
    { code: LOAD, value: FIRST },
    { code: IF_ANY_BIT, value: NEW_NAMESPACES, yes: 'refuse', no: 'allow' },
    { label: 'ioctl', code: IF_EQUAL, value: ioctl, no: 'socket' },
    { code: LOAD, value: SECOND },
    { code: IF_EQUAL, value: TIOCSTI, yes: 'refuse' },
    { code: IF_EQUAL, value: TIOCLINUX, yes: 'refuse', no: 'allow' },
    { label: 'socket', code: IF_EQUAL, value: socket, no: 'allow' },
    { code: LOAD, value: FIRST },
    { code: IF_EQUAL, value: AF_UNIX, no: 'refuse' },
    { label: 'allow', code: RETURN, value: 0x7fff_0000 },
    { label: 'refuse', code: RETURN, value: fail(EPERM) },
    { label: 'unknown', code: RETURN, value: fail(ENOSYS) },
    { label: 'kill', code: RETURN, value: 0x8000_0000 },
  ];
}

/** `struct sock_filter` after `struct sock_filter`; jumps are counted from the next instruction, in one byte. */
function assemble(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * INSTRUCTION_BYTES);
  for (const [index, { code, value, yes, no }] of program.entries()) {
    const distance = (label: string | undefined): number =>
      label === undefined ? 0 : program.findIndex((one) => one.label === label) - index - 1;
    const at = index * INSTRUCTION_BYTES;
    bytes.writeUInt16LE(code, at);
    bytes.writeUInt8(distance(yes), at + 2);
    bytes.writeUInt8(distance(no), at + 3);
    bytes.writeUInt32LE(value, at + 4);
  }
  return bytes;
}
