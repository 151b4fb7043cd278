/** Settings of code_interpreter: what runs its code, with which packages, and how much it may use. */
import { z } from 'zod';
import type { Env } from './env.ts';
import { list } from './list.ts';

/** A name and version as pip takes them; nothing that pip would take for an option or a place. */
const PACKAGE = /^[A-Za-z0-9][\w.-]*(\[[\w,.-]+\])?([=<>!~]=?[\w.*+!-]+)?$/;

export const codeFields = {
  codeSandbox: z.enum(['auto', 'bubblewrap', 'docker', 'off']).default('auto'),
  /** With Docker: the image that has Python. */
  codeImage: z
    .string()
    .regex(/^[\w][\w./:@-]*$/)
    .default('python:3.12-slim'),
  /** With Docker: another runtime than its default, such as gVisor's `runsc`. */
  codeRuntime: z
    .string()
    .regex(/^[\w][\w.-]*$/)
    .optional(),
  /** Besides numpy, pandas, matplotlib, pillow and openpyxl. */
  codePackages: list(z.string().regex(PACKAGE)).default([]),
  /** Runs of one worker process that may have a Python at the same time. */
  codeKernels: z.coerce.number().int().min(1).max(1_000).default(8),
  /** Of all processes of one run's Python together. */
  codeMemoryMb: z.coerce.number().int().min(128).max(65_536).default(512),
  /** Of one call. */
  codeTimeoutS: z.coerce.number().int().min(1).max(3_600).default(60),
  /** Where the packages are set up. */
  codeFolder: z.string().min(1).default('.data/code'),
};

type CodeConfig = Readonly<z.infer<z.ZodObject<typeof codeFields>>>;

/** What the engines and pip need of the environment: how to find programs, Docker, and packages. Code sees none of it. */
const CODE_ENVIRONMENT =
  /^(PATH|HOME|TMPDIR|XDG_RUNTIME_DIR|DOCKER_\w+|PIP_\w+|SSL_CERT_(FILE|DIR)|(https?|no|all)_proxy)$/i;

/** The settings about code, as the sandbox takes them. */
export function codeSettingsOf(config: CodeConfig, env: Env) {
  const entries = Object.entries(env).flatMap(([name, value]) =>
    value !== undefined && CODE_ENVIRONMENT.test(name) ? [[name, value] as const] : [],
  );
  return {
    codeSandbox: config.codeSandbox,
    codeImage: config.codeImage,
    codeRuntime: config.codeRuntime,
    codePackages: config.codePackages,
    codeKernels: config.codeKernels,
    codeMemoryMb: config.codeMemoryMb,
    codeTimeoutS: config.codeTimeoutS,
    codeFolder: config.codeFolder,
    codeEnv: Object.fromEntries(entries),
  };
}
